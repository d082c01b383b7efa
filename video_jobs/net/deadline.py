"""A time limit for a whole HTTP exchange, which neither requests nor urllib3 has.

Their timeouts hold for one read of the socket: a server that sends a byte now and then keeps a caller for
ever. Here a timer shuts the socket down when the time is over, and every read on it ends at once.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_MOST_INTERIM = 100  # interim answers before the answer
_SWITCHING = 101  # interim by its number, and yet the last: what follows is not HTTP

_BEGINNINGS = {
    "gzip": b"\x1f\x8b",
    "x-gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
}  # of what is compressed
_LONGEST_BEGINNING = 4
_ORIGIN = re.compile(r"https?://[^/?#]*")
_HEADER_NAME = re.compile(rb"[!-9;-~]+")
_MOST_STRAY = 20  # lines among the headers of an answer that are none, one after the other

_current = threading.local()


class Deadline:
    """Ends the current thread's exchange during `watching`."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self.connected = False  #: whether there was ever a connection, TLS included
        self.expired = False
        self.exact_target: str | None = None
        """Path and query of the requests from now on, as they are written: the library would rewrite them, and many are signed."""

    @property
    def left(self) -> float:
        """Seconds, never negative."""
        return max(self._ends_at - time.monotonic(), 0.0)

    @contextlib.contextmanager
    def watching(self) -> Iterator[Deadline]:
        self._timer = threading.Timer(self.left, self._expire)
        self._timer.daemon = True
        self._timer.start()
        before, _current.deadline = getattr(_current, "deadline", None), self
        try:
            yield self
        finally:
            _current.deadline = before
            self._timer.cancel()
            with self._lock:
                self._socket = None

    def _watch(self, sock: socket.socket | None, *, is_new: bool = False) -> None:
        with self._lock:
            self._socket = sock
            if self.expired:
                self._shut_down()
            if self.expired and is_new:
                raise TimeoutError  # nothing has been sent over it, and nothing will be
            self.connected = True

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            # The plain socket's method: TLS's own would change state that the reading thread relies on.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _HeaderLines:
    """Passes over lines that are no headers, and mends `Name : value`. The library would drop all headers after such a line, and so
    the length of the body."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines

    def readline(self, most: int) -> bytes:
        for _ in range(_MOST_STRAY):
            line: bytes = self._lines.readline(most)
            name, colon, value = line.partition(b":")
            if not line.strip() or line[:1].isspace():
                return line
            if colon and _HEADER_NAME.fullmatch(name.rstrip()):
                return name.rstrip() + colon + value
        raise HTTPException("too many lines that are no headers")


class FinalAnswer(HTTPResponse):
    """Passes over interim answers like 103 (Early Hints), and not over very many. The library passes over 100 alone, for as long as
    it comes, which takes all of a processor.

    A body that is called compressed and is not is read as it is: many proxies unpack what they pass on, and keep the header. After the
    look at its beginning, a body must be read with `read` or `read1`: urllib3's `stream` would miss a chunk's length.
    """

    def begin(self) -> None:
        body = self.fp
        try:
            super().begin()
        finally:
            self.fp = body
        label = self.headers.get("content-encoding", "").partition(",")[0].strip().lower()
        if label not in _BEGINNINGS or self.length == 0:
            return
        with contextlib.suppress(OSError, HTTPException):  # the read of the body raises it again
            beginning = self.peek(_LONGEST_BEGINNING)[:_LONGEST_BEGINNING]
            if not _BEGINNINGS[label].startswith(beginning[: len(_BEGINNINGS[label])]):
                del self.headers["content-encoding"]

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == _SWITCHING or not 100 <= status < 200:
                self.fp = _HeaderLines(self.fp)  # type: ignore[assignment]  # `begin` reads the headers next
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException("too many interim answers")


class _Watched:
    """Tells the current deadline which socket to end: when it is new, and when it is used again. Asks for its exact target."""

    sock: Any

    def putrequest(self, method: str, url: str, *more: Any, **options: Any) -> None:
        deadline = getattr(_current, "deadline", None)
        if deadline is not None and deadline.exact_target is not None:
            origin = _ORIGIN.match(url)  # before a proxy
            url = (origin[0] if origin else "") + deadline.exact_target
        super().putrequest(method, url, *more, **options)  # type: ignore[misc]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        deadline = getattr(_current, "deadline", None)
        if deadline is not None:
            deadline._watch(self.sock, is_new=True)

    def getresponse(self) -> Any:
        deadline = getattr(_current, "deadline", None)
        if deadline is not None:
            deadline._watch(self.sock)
        return super().getresponse()  # type: ignore[misc]


class WatchedHTTPConnection(_Watched, HTTPConnection):
    """One that a Deadline can end."""

    response_class = FinalAnswer


class WatchedHTTPSConnection(_Watched, HTTPSConnection):
    """One that a Deadline can end."""

    response_class = FinalAnswer


class _WatchedHTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = WatchedHTTPConnection


class _WatchedHTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = WatchedHTTPSConnection


_WATCHED_POOLS = {"http": _WatchedHTTPConnectionPool, "https": _WatchedHTTPSConnectionPool}


class DeadlineAdapter(HTTPAdapter):
    """Connections that a Deadline can end; no retries of any kind."""

    def __init__(self, pool_size: int) -> None:
        super().__init__(max_retries=0, pool_maxsize=pool_size)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _WATCHED_POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _WATCHED_POOLS
        return manager
