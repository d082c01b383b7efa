"""Fetches a file from an https address that a client names: only from public addresses, bounded in bytes and time.

The address may lead anywhere: to the cloud's metadata, to a machine of the operator's own network. So each name on
the way is resolved once, all its addresses are checked, the connection goes to one of them, and no key or cookie is
sent. Messages repeat nothing from the host except its status.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from video_jobs.domain.errors import NotFetched, TooManyFetched
from video_jobs.net.addresses import Address, is_public
from video_jobs.net.deadline import Deadline
from video_jobs.net.pinned import NotReachable, Resolve, get_from, resolve
from video_jobs.net.web_address import WebAddress, read_address

MOST_AT_ONCE = 4
"""Files that one process fetches at a time: each is in memory whole."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3
_LOWEST_PORT = 1024  # except 443: services on lower ports could misread a request
_HEADERS = {
    "Accept": "image/*",
    "Accept-Encoding": "identity",
    "User-Agent": "reelkeep",
    "Connection": "close",
}
_PIECE = 1 << 18
_TOO_LONG = "its host took longer than the time limit"


class PublicFetch:
    """See `ports.ImageSource`.

    Args:
        resolve, is_public, ca_file: for tests, which have no public addresses.
    """

    def __init__(
        self,
        *,
        resolve: Resolve = resolve,
        is_public: Callable[[Address], bool] = is_public,
        ca_file: str | None = None,
    ) -> None:
        self._resolve = resolve
        self._is_public = is_public
        self._ca_file = ca_file
        self._turns = threading.BoundedSemaphore(MOST_AT_ONCE)

    def fetch(self, address: str, most_bytes: int, seconds: float) -> bytes:
        deadline = Deadline(seconds)
        if not self._turns.acquire(timeout=deadline.left):
            raise TooManyFetched(
                "Too many images are being fetched right now. Send it again in a moment, or send the image itself."
            )
        try:
            with deadline.watching(), contextlib.ExitStack() as stack:
                return _content(self._open(_https(address), deadline, stack), most_bytes, deadline)
        finally:
            self._turns.release()

    def _open(self, address: WebAddress, deadline: Deadline, stack: contextlib.ExitStack) -> BaseHTTPResponse:
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._get(address, deadline, stack)
            if response.status not in _REDIRECTS:
                if response.status != 200:
                    raise NotFetched(f"its host answered {response.status}")
                return response
            address = _https(response.headers.get("location", ""), str(address))
        raise NotFetched(f"its host redirects more than {_MOST_REDIRECTS} times")

    def _get(self, address: WebAddress, deadline: Deadline, stack: contextlib.ExitStack) -> BaseHTTPResponse:
        try:
            return get_from(
                address,
                _HEADERS,
                deadline,
                stack,
                look_up=self._resolve,
                allowed=self._is_public,
                ca_file=self._ca_file,
            )
        except NotReachable as error:
            raise NotFetched(f"{str(error)[0].lower()}{str(error)[1:-1]}") from None


def _https(text: str, base: str | None = None) -> WebAddress:
    """Raises NotFetched."""
    try:
        address = read_address(text, base)
    except ValueError as error:
        raise NotFetched(f"its address can't be used: {error}") from None
    if address.scheme != "https":
        raise NotFetched("it must be at an https address")
    if address.port != 443 and address.port < _LOWEST_PORT:
        raise NotFetched(f"its address must have the port 443, or one from {_LOWEST_PORT} on")
    return address


def _content(response: BaseHTTPResponse, most_bytes: int, deadline: Deadline) -> bytes:
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise _too_large(most_bytes)
    content = io.BytesIO()  # which gives all of it without a copy
    try:
        while piece := response.read(_PIECE, decode_content=False):
            content.write(piece)
            if content.tell() > most_bytes:
                raise _too_large(most_bytes)
    except (HTTPError, OSError, ValueError):
        raise NotFetched(_TOO_LONG if deadline.expired else "the connection to its host broke") from None
    if deadline.expired:
        raise NotFetched(_TOO_LONG)
    return content.getvalue()


def _too_large(most_bytes: int) -> NotFetched:
    return NotFetched(f"it has more than the {most_bytes} bytes that are left of 20 MiB for all images")
