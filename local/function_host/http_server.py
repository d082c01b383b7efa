"""HTTP triggers: a threaded HTTP/1.1 server on 127.0.0.1 in front of the app's routes.

Each connection has a thread; sync handlers run on the threads that all triggers share.
"""

import contextlib
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from local.function_host.http_messages import Answer, UnusableAnswerError, answer_of, request_of
from local.function_host.invocations import FunctionFailedError, Invoker
from local.function_host.keys import AccessKeys
from local.function_host.routes import RouteTable

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_BODY_BYTES = 100 * 1024 * 1024  # As in Azure.
IDLE_SECONDS = 60.0
WRITE_CHUNK_BYTES = 256 * 1024
LINGER_SECONDS = 2.0


class HttpServer:
    """Serves a route table. port 0 takes a free one. Raises OSError when the port is taken."""

    def __init__(self, routes: RouteTable, invoker: Invoker, port: int, keys: AccessKeys) -> None:
        self._server = _Server((HOST, port), routes, invoker, keys)
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

    def start(self) -> None:
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
        self, address: tuple[str, int], routes: RouteTable, invoker: Invoker, keys: AccessKeys
    ) -> None:
        self.routes = routes
        self.invoker = invoker
        self.keys = keys
        self.closing = False
        self._lock = threading.Lock()
        self._busy = 0
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    @property
    def busy(self) -> int:
        with self._lock:
            return self._busy

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

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
    """A request that is answered without asking the app."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """One connection. The base class limits the header block: 100 lines of 64 KiB."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with self.server.connected(self.connection):
            super().handle()

    def do_GET(self) -> None:
        with self.server.serving():
            try:
                answer = self._respond()
            except _RefusedError as refusal:
                self._refuse(refusal.status)
            else:
                self._write(answer)

    # Each function lists its own methods; routing decides.
    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_TRACE = do_GET  # noqa: N815

    def _respond(self) -> Answer:
        if self.server.closing:
            raise _RefusedError(503)
        if self.request_version == "HTTP/0.9":
            raise _RefusedError(400)
        # Any site can have a browser on this machine send a form here, where no key keeps it out as in Azure.
        if self.headers.get("Sec-Fetch-Site") == "cross-site" and self.command not in ("GET", "HEAD"):
            raise _RefusedError(403)
        try:
            target = urlsplit(self.path)
        except ValueError:
            raise _RefusedError(400) from None
        found = self.server.routes.find(self.command, target.path)
        if found is None:
            raise _RefusedError(404)
        trigger, route_values = found
        body = self._read_body()
        address = self.headers.get("Host") or f"{HOST}:{self.server.server_port}"
        path_and_query = target._replace(scheme="", netloc="", fragment="").geturl()
        try:
            request = request_of(
                self.command,
                f"http://{address}{path_and_query}",
                target.query,
                self.headers.items(),
                route_values,
                body,
            )
        except ValueError:
            raise _RefusedError(400) from None
        if not self.server.keys.admit(trigger.auth_level, request.headers, request.params):
            return Answer(401)
        try:
            return answer_of(self.server.invoker.call_on_pool(trigger.function, request))
        except FunctionFailedError:
            return Answer(500)
        except UnusableAnswerError as error:
            log.error("'%s': %s", trigger.function.name, error)
            return Answer(500)

    def _body_length(self) -> int:
        """Raises _RefusedError for a body whose length is unknown, ambiguous or too large."""
        if "Transfer-Encoding" in self.headers:
            # The real host passes no body on without Content-Length; say so instead of losing it.
            raise _RefusedError(411)
        lengths = {value.strip() for value in self.headers.get_all("Content-Length", ["0"])}
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()):
            raise _RefusedError(400)
        if len(length) > 18 or int(length) > MAX_BODY_BYTES:
            raise _RefusedError(413)
        return int(length)

    def _read_body(self) -> bytes:
        length = self._body_length()
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            raise ConnectionAbortedError("the client left within its request body")
        return body

    def handle_expect_100(self) -> bool:
        # A client that asks first is told before it sends, not after.
        try:
            self._body_length()
        except _RefusedError as refusal:
            self._refuse(refusal.status)
            return False
        return super().handle_expect_100()

    def _write(self, answer: Answer) -> None:
        has_body = answer.status >= 200 and answer.status not in (204, 304)
        if self.server.closing:
            self.close_connection = True
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        for name, value in answer.headers if has_body or answer.status == 304 else _without_type(answer):
            self.send_header(name, value)
        if has_body:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if has_body and self.command != "HEAD":
            # A timeout holds for one send as a whole: in pieces, a slow client may take as long as it likes.
            view = memoryview(answer.body)
            for start in range(0, len(view), WRITE_CHUNK_BYTES):
                self.wfile.write(view[start : start + WRITE_CHUNK_BYTES])

    def _refuse(self, status: int) -> None:
        """Answer with an empty body, and close: the rest of the request is not read."""
        self.close_connection = True
        # For what it takes for HTTP/0.9 the base class would write no status line.
        self.request_version = self.protocol_version
        self._write(Answer(status))
        self._linger()

    def _linger(self) -> None:
        """Closing on unread bytes resets the connection, and the client might never see the answer."""
        deadline = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(WRITE_CHUNK_BYTES):
                    return

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class calls this for requests that it cannot read, and for methods that it does not know.

        The real host takes any method, and finds no function that lists it.
        """
        self._refuse(404 if code == 501 else code)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s", format % args)


def _without_type(answer: Answer) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers if name.lower() != "content-type"]
