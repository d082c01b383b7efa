"""Sends an answer to the socket, correctly or with a fault."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

from .answers import Answer
from .faults import Fault

_HEALTHY = Fault()


def deliver(
    answer: Answer, handler: BaseHTTPRequestHandler, fault: Fault | None, stopping: threading.Event
) -> None:
    """Write `answer` to the handler's connection as `fault` says.

    Raises OSError if the client has gone. If the fault hides the body's end from the client, the connection is closed
    after the answer.
    """
    ill = fault or _HEALTHY
    body = answer.body
    length = body.length if ill.announce_length is None else ill.announce_length
    sends_body = handler.command != "HEAD" and answer.status not in (204, 304)
    closes = ill.no_content_length or ill.cut_after is not None or ill.announce_length is not None

    handler.send_response(answer.status)
    headers = dict(answer.headers) if ill.relabel is None else {**answer.headers, "content-type": ill.relabel}
    for name, value in headers.items():
        handler.send_header(name, value)
    if answer.status != 204 and not ill.no_content_length:
        handler.send_header("content-length", str(length))
    if closes:
        # Without a length the end of the connection is the body's end, and HTTP requires a header that says so.
        # But a cut has no such header.
        if ill.no_content_length:
            handler.send_header("connection", "close")
        handler.close_connection = True
    handler.end_headers()
    if not sends_body:
        return
    if ill.cut_after is not None:
        body = body.part(0, ill.cut_after)
    if ill.drip is not None:
        _drip(body.chunks(), handler, ill.drip, stopping)
        return
    for chunk in body.chunks():
        handler.connection.sendall(chunk)


def _drip(
    chunks: Iterator[memoryview], handler: BaseHTTPRequestHandler, rate: float, stopping: threading.Event
) -> None:
    """Send at `rate` bytes a second, in about ten portions a second, or byte by byte when it is slower."""
    portion = max(1, int(rate / 10))
    for chunk in chunks:
        for at in range(0, len(chunk), portion):
            piece = chunk[at : at + portion]
            if stopping.wait(len(piece) / rate):
                handler.close_connection = True
                return
            handler.connection.sendall(piece)
