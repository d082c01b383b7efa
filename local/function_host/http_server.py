"""HTTP triggers: a threaded HTTP/1.1 server on 127.0.0.1 that gives the same answers as the real host, as measured.

The host's own answers have no body: 400, 401, 404, 414, 429, 431, 500. This host adds two protections, since a local host
has no key that keeps other sites out: it answers only to loopback names, and refuses changes that another site requests.
Both refusals are 403, with an explanation.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from local.function_host.admin import Admin
from local.function_host.calls import Answer, HttpCall, http_call, query_of
from local.function_host.dispatcher import Dispatcher
from local.function_host.functions import FunctionFailedError
from local.function_host.host_json import HostJson
from local.function_host.keys import AccessKeys
from local.function_host.routes import RouteTable
from local.function_host.workers import WorkerGoneError

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_BODY_BYTES = 100 * 1024 * 1024
MAX_LINE_BYTES = 8 * 1024
MAX_HEADER_BYTES = 32 * 1024
BODY_LIMIT_SETTING = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"  # bytes
IDLE_SECONDS = 60.0
WRITE_CHUNK_BYTES = 256 * 1024
LINGER_SECONDS = 2.0

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_NUMBER = 18  # digits


class HttpServer:
    """Serves a route table. port 0 takes a free one. Raises OSError when the port is taken.

    The port refuses connections until `start`.
    """

    def __init__(
        self,
        routes: RouteTable,
        dispatcher: Dispatcher,
        port: int,
        keys: AccessKeys,
        settings: HostJson,
        admin: Admin,
    ) -> None:
        self._server = _Server((HOST, port), routes, dispatcher, keys, settings, admin)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="http", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def busy(self) -> int:
        """How many requests are being read, run or answered."""
        return self._server.busy

    @property
    def throttled(self) -> bool:
        """Whether every request is answered 429, as a busy host does."""
        return self._server.throttled

    @throttled.setter
    def throttled(self, value: bool) -> None:
        self._server.throttled = value

    def start(self) -> None:
        self._server.server_activate()
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections, and no more requests on those that are open."""
        self._server.closing = True
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def close(self) -> None:
        """Cut the connections that are still open."""
        self._server.cut_connections()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    # Two hosts on one port would share its requests at random.
    allow_reuse_port = False

    def __init__(
        self,
        address: tuple[str, int],
        routes: RouteTable,
        dispatcher: Dispatcher,
        keys: AccessKeys,
        settings: HostJson,
        admin: Admin,
    ) -> None:
        self.routes = routes
        self.dispatcher = dispatcher
        self.keys = keys
        self.admin = admin
        self.closing = False
        self.throttled = False
        self._most_outstanding = settings.most_outstanding
        self._room = threading.Semaphore(settings.most_concurrent) if settings.most_concurrent else None
        self._lock = threading.Lock()
        self._busy = 0
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler, bind_and_activate=False)
        try:
            self.server_bind()
        except BaseException:
            self.server_close()
            raise

    @property
    def busy(self) -> int:
        with self._lock:
            return self._busy

    @property
    def is_full(self) -> bool:
        """Whether more requests are open than the host takes, the one that asks included."""
        most = self._most_outstanding
        return self.throttled or (most is not None and self.busy > most)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def having_room(self) -> contextlib.AbstractContextManager[Any]:
        return self._room or contextlib.nullcontext()

    @contextlib.contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)

    def cut_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            log.debug("The client went away: %s", error)
        else:
            log.error("A request could not be served", exc_info=error)


class _RefusedError(Exception):
    """A request that the host answers without the app."""

    def __init__(self, status: int, words: str = "") -> None:
        super().__init__(status)
        self.answer = (
            Answer(status, [("Content-Type", "text/plain; charset=utf-8")], words.encode())
            if words
            else Answer(status)
        )


class _CutError(Exception):
    """The connection is cut without an answer."""


class _HeaderLines:
    """The lines of a request's head. Raises LineTooLong beyond the real host's limit of all together."""

    def __init__(self, lines: Any) -> None:
        self._lines, self._left = lines, MAX_HEADER_BYTES

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._lines.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise http.client.LineTooLong("headers")
        return line


class _Handler(BaseHTTPRequestHandler):
    """One connection. The base class limits the number of header lines to 100."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with self.server.connected(self.connection), contextlib.suppress(_CutError):
            super().handle()

    def handle_one_request(self) -> None:
        try:
            self.raw_requestline = self.rfile.readline(MAX_LINE_BYTES + 1)
        except TimeoutError:
            self.close_connection = True
            return
        self.requestline, self.command = "", None  # type: ignore[assignment]
        self.request_version = self.protocol_version
        if len(self.raw_requestline) > MAX_LINE_BYTES:
            self._refuse(Answer(414))
        elif not self.raw_requestline:
            self.close_connection = True
        elif self.parse_request():
            self._serve()
            self.wfile.flush()

    def parse_request(self) -> bool:
        whole, self.rfile = self.rfile, _HeaderLines(self.rfile)  # type: ignore[assignment]
        self._asked_to_continue = False
        try:
            return super().parse_request()
        finally:
            self.rfile = whole

    def handle_expect_100(self) -> bool:
        # A client that asks whether to send its body gets the answer after its key was checked.
        self._asked_to_continue = True
        return True

    def _serve(self) -> None:
        if self.server.closing:
            raise _CutError
        with self.server.serving():
            try:
                answer = self._respond()
            except _RefusedError as refusal:
                self._refuse(refusal.answer)
            else:
                self._write(answer)

    def _respond(self) -> Answer:
        if self.server.is_full:
            raise _RefusedError(429)
        path, query = self._target()
        self._refuse_other_sites()
        headers = {name.lower(): value for name, value in self.headers.items()}
        params = query_of(query)
        own = self.server.admin.answer(self.command, path, headers, params)
        if own is not None:
            self._read_body()
            return own
        found = self.server.routes.find(self.command, path)
        if found is None:
            raise _RefusedError(404)
        trigger, route_values = found
        if not self.server.keys.admit(trigger.auth_level, headers, params):
            raise _RefusedError(401)
        body = self._read_body()
        url = f"http://{self.headers['Host']}{path}{'?' if query else ''}{query}"
        call = http_call(self.command, url, query, self.headers.items(), route_values, body)
        with self.server.having_room():
            return self._call(trigger.function, call, headers)

    def _call(self, function: str, call: HttpCall, headers: Mapping[str, str]) -> Answer:
        try:
            answer = self.server.dispatcher.call(function, call, headers.get("traceparent"))
        except FunctionFailedError:
            return Answer(500)
        except WorkerGoneError as gone:
            if gone.was_young:
                raise _CutError from None
            return Answer(500)
        assert answer is not None
        return answer

    def _target(self) -> tuple[str, str]:
        """Path and query, dot segments resolved. Raises _RefusedError."""
        # Not self.path, since the base class removes leading slashes from it.
        words = self.requestline.split(" ")
        target = words[1] if len(words) == 3 else ""
        path, _, query = target.partition("?")
        odd = not target.isascii() or any(ord(each) < 0x20 or ord(each) == 0x7F for each in target)
        if odd or not path.startswith("/") or len(self.headers.get_all("Host", [])) != 1:
            raise _RefusedError(400)
        return _without_dots(path), query

    def _refuse_other_sites(self) -> None:
        host = urlsplit(f"http://{self.headers['Host']}")
        try:
            name, port = host.hostname, host.port
        except ValueError:
            raise _RefusedError(400) from None
        if name not in _LOOPBACK:
            raise _RefusedError(403, "This local host answers to localhost, 127.0.0.1 and [::1] only.\n")
        if self.command in _SAFE:
            return
        origin = self.headers.get("Origin")
        if self.headers.get("Sec-Fetch-Site") == "cross-site" or (
            origin is not None and not _is_same_origin(origin, port)
        ):
            raise _RefusedError(403, "Another site's page may not change anything at this local host.\n")

    def _read_body(self) -> bytes:
        """Raises _RefusedError, and ConnectionAbortedError if the client leaves before the body's end."""
        limit = _body_limit()
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            self._continue()
            self._drain_chunks(limit)
            return b""  # as the real host hands it on
        lengths = {value.strip() for value in self.headers.get_all("Content-Length", ["0"])}
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()):
            raise _RefusedError(400)
        if len(length) > _LONGEST_NUMBER or int(length) > limit:
            raise _RefusedError(500)
        if int(length):
            self._continue()
        return self._read(int(length))

    def _continue(self) -> None:
        if self._asked_to_continue:
            self._asked_to_continue = False
            super().handle_expect_100()

    def _drain_chunks(self, limit: int) -> None:
        while size := self._chunk_size():
            limit -= size
            if limit < 0:
                raise _RefusedError(500)
            self._read(size)
            self.rfile.readline(MAX_LINE_BYTES)
        trailers = _HeaderLines(self.rfile)
        while trailers.readline(MAX_LINE_BYTES).strip():
            pass

    def _chunk_size(self) -> int:
        text = self.rfile.readline(MAX_LINE_BYTES).partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", text):
            raise _RefusedError(400)
        return int(text, 16)

    def _read(self, length: int) -> bytes:
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            raise ConnectionAbortedError("the client left within its request body")
        return body

    def _write(self, answer: Answer) -> None:
        has_body = bool(answer.body) and answer.status >= 200 and answer.status not in (204, 304)
        in_chunks = has_body and self.request_version != "HTTP/1.0"
        if self.server.closing or (has_body and not in_chunks):
            self.close_connection = True
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        for name, value in answer.headers if has_body or answer.status == 304 else _without_type(answer):
            self.send_header(name, value)
        if in_chunks:
            self.send_header("Transfer-Encoding", "chunked")
        elif not has_body and answer.status >= 200 and answer.status not in (204, 304):
            self.send_header("Content-Length", "0")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if has_body and self.command != "HEAD":
            self._write_body(answer.body, in_chunks)

    def _write_body(self, body: bytes, in_chunks: bool) -> None:
        # A timeout holds for one whole send. Sent in pieces, a slow client may take any time.
        view = memoryview(body)
        for start in range(0, len(view), WRITE_CHUNK_BYTES):
            piece = view[start : start + WRITE_CHUNK_BYTES]
            if in_chunks:
                self.wfile.write(b"%x\r\n" % len(piece))
            self.wfile.write(piece)
            if in_chunks:
                self.wfile.write(b"\r\n")
        if in_chunks:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, answer: Answer) -> None:
        """Answer, and close: the rest of the request is not read."""
        self.close_connection = True
        if self.request_version == "HTTP/0.9":  # as which the base class would write no status line
            self.request_version = self.protocol_version
        self._write(answer)
        self._linger()

    def _linger(self) -> None:
        """Read the rest: closing with unread bytes resets the connection, and the client might never get the answer."""
        deadline = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(WRITE_CHUNK_BYTES):
                    return

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class calls this for requests that it cannot read."""
        self._refuse(Answer(code if code in (414, 431) else 400))

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s", format % args)


def _without_dots(path: str) -> str:
    """RFC 3986's dot segments resolved, also where the dots are encoded; empty segments stay."""
    resolved: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        plain = re.sub("%2e", ".", segment, flags=re.IGNORECASE)
        is_last = position == len(segments) - 1
        if plain == "..":
            resolved = resolved[:-1]
        elif plain != ".":
            resolved.append(segment)
            continue
        if is_last:
            resolved.append("")
    return "/" + "/".join(resolved)


def _is_same_origin(origin: str, port: int | None) -> bool:
    try:
        of = urlsplit(origin)
        return of.scheme == "http" and of.hostname in _LOOPBACK and (of.port or 80) == (port or 80)
    except ValueError:
        return False


def _body_limit() -> int:
    text = os.environ.get(BODY_LIMIT_SETTING, "").strip()
    fits = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
    return min(int(text), MAX_BODY_BYTES) if fits else MAX_BODY_BYTES


def _without_type(answer: Answer) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers if name.lower() != "content-type"]
