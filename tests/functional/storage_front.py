"""A server in front of one of Azurite's services that passes calls on, and answers as a test wants."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from local.azurite_process import Azurite

_NEVER_PASSED_ON = ("connection", "transfer-encoding", "content-length", "keep-alive")


@dataclass(frozen=True)
class Odd:
    """How a call is answered: by the service, or with a status and a code of errors."""

    status: int | None = None
    code: str = ""
    carried_out: bool = False  #: whether the service gets the call all the same
    cut: bool = False  #: whether the connection ends in the middle of the answer
    headers: tuple[tuple[str, str], ...] = ()
    page: bytes = b""  #: a page of HTML in place of the service's words

    @property
    def body(self) -> bytes:
        """As tables say it; the others say it in the header, too."""
        message = '"message":{"lang":"en-US","value":"It is only a test."}'
        return f'{{"odata.error":{{"code":"{self.code}",{message}}}}}'.encode()


CUT = Odd(carried_out=True, cut=True)
PASSED_ON = Odd(carried_out=True)


class Front:
    """`answers`: for the next calls that are no reads, or for all of them."""

    def __init__(self, endpoint: str) -> None:
        self.answers: deque[Odd] = deque()
        self.reads_too = False
        self.calls: list[str] = []
        service = urlsplit(endpoint)
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                front.calls.append(f"{self.command} {self.path}")
                odd = front.next(self.command)
                answer = None if odd is not None and not odd.carried_out else self._passed_on(body)
                if odd is not None and odd.status is not None:
                    kind = "text/html" if odd.page else "application/json"
                    ours = [("x-ms-error-code", odd.code), ("x-ms-request-id", "odd")] if not odd.page else []
                    head = [("Content-Type", kind), *ours, *odd.headers]
                    self._answer(odd.status, head, odd.page or odd.body)
                elif answer is not None:
                    response, said = answer
                    self._answer(
                        response.status, response.getheaders(), said, cut=odd is not None and odd.cut
                    )

            def _passed_on(self, body: bytes) -> tuple[HTTPResponse, bytes]:
                connection = HTTPConnection(service.hostname or "", service.port)
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body)
                response = connection.getresponse()
                said = response.read()
                connection.close()
                return response, said

            def _answer(self, status: int, headers: Any, body: bytes, *, cut: bool = False) -> None:
                self.send_response_only(status, "Said")
                for name, value in headers:
                    if name.lower() not in _NEVER_PASSED_ON:
                        self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if cut else body)
                self.wfile.flush()
                self.close_connection = self.close_connection or cut

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = socket.AF_INET

        self.server = Server(("127.0.0.1", 0), Handler)

    def next(self, method: str) -> Odd | None:
        if not self.answers or (method in ("GET", "HEAD") and not self.reads_too):
            return None
        return self.answers.popleft()


@contextmanager
def in_front_of(azurite: Azurite, service: str) -> Iterator[tuple[Front, str]]:
    """The front of `blob`, `queue` or `table`, and the connection string that leads through it."""
    endpoint = str(getattr(azurite, f"{service}_endpoint"))
    front = Front(endpoint)
    thread = Thread(target=front.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        there = f"http://127.0.0.1:{front.server.server_address[1]}/{azurite.account_name}"
        yield front, azurite.connection_string.replace(endpoint, there)
    finally:
        front.server.shutdown()
        front.server.server_close()
        thread.join()
