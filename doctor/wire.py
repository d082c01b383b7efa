"""One GET that trusts nothing in the answer: it accepts any status and any body, and reads only the beginning."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from video_jobs.backends.answers import error_message
from video_jobs.backends.elsewhere import REDIRECTS, Elsewhere, Refused
from video_jobs.backends.inline_video import InlineVideo, split_address
from video_jobs.backends.session import new_session
from video_jobs.domain.errors import Unavailable
from video_jobs.net.deadline import Deadline
from video_jobs.net.told import header_date
from video_jobs.net.web_address import WebAddress, read_address

_CHUNK = 64 << 10  # bytes
_FIRST = 64  # bytes that tell what a body is
_DEADLINE = 20.0  # seconds for one response
_TIMEOUT = (8.0, 15.0)  # seconds to connect, and of silence


@dataclass(frozen=True)
class Response:
    """The answer. `status` is None if there was none, and `problem` says why."""

    status: int | None = None
    content_type: str = ""
    length: int | None = None  #: as announced, in bytes
    body: bytes = b""  #: its beginning
    location: str | None = None  #: full URL of a redirect; may be a secret
    server: str = ""
    date: datetime | None = None  #: the server's clock
    problem: str = ""
    may_be_quoted: bool = True  #: False for another host than the video API's own

    @property
    def kind(self) -> str:
        """What the first bytes say."""
        start = self.body.lstrip()[:256]
        if self.body[4:8] == b"ftyp":
            return "video"
        if self.body.startswith((b"\xff\xd8\xff", b"\x89PNG")) or self.body[8:12] == b"WEBP":
            return "picture"
        if start.startswith((b"{", b"[")):
            return "JSON"
        if start.startswith(b"<"):
            return "HTML" if b"<html" in start.lower() or b"<!doctype html" in start.lower() else "XML"
        if not start:
            return "empty"
        return "text" if all(byte >= 32 or byte in b"\t\r\n" for byte in start) else "other bytes"

    @property
    def said(self) -> str:
        """The server's own words about a refusal, cleaned; empty if it said nothing."""
        return error_message(self.body).in_words.strip() if self.may_be_quoted else ""

    @property
    def in_words(self) -> str:
        """The words that follow 'the server answers'."""
        return f"{self.status} {self.said}".strip() if self.status else self.problem

    @property
    def redirects(self) -> bool:
        return self.status in REDIRECTS

    @property
    def redirect_host(self) -> str:
        try:
            return read_address(self.location or "").host
        except ValueError:
            return "nowhere"


class Wire:
    """Gets URLs. `sign`'s headers go only to the origin of `base_url`. The doctor connects to no address to which the
    app would not connect."""

    def __init__(
        self, base_url: str, sign: Callable[[], Mapping[str, str]], elsewhere: Elsewhere | None = None
    ) -> None:
        self.base_url = base_url
        self._origin = read_address(base_url).origin
        self._sign = sign
        self._elsewhere = elsewhere or Elsewhere()

    def get(self, url: str, most: int = 4096) -> Response:
        """Follows no redirect. Reads at most that many bytes; of a video only the first. Raises NotSent if it can get no
        token."""
        try:
            address = read_address(url)
        except ValueError as error:
            return Response(problem=f"the address can't be used: {error}")
        if address.origin != self._origin:
            return self._get_elsewhere(address, most)
        headers = {"Accept-Encoding": "identity", "User-Agent": "reelkeep-doctor", **self._sign()}
        deadline = Deadline(_DEADLINE)
        try:
            with (
                deadline.watching(),
                new_session(1, url) as session,  # a body that was not read must not disturb the next request
                session.get(
                    url, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True
                ) as response,
            ):
                return _read(response.raw, response.status_code, response.headers, url, most)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            late = deadline.expired or isinstance(error, requests.Timeout)
            return Response(
                problem="no answer in time" if late else "no answer: the connection broke or never stood"
            )

    def _get_elsewhere(self, address: WebAddress, most: int) -> Response:
        deadline = Deadline(_DEADLINE)
        with deadline.watching(), contextlib.ExitStack() as stack:
            try:
                raw = self._elsewhere.get(address, self._origin[0], deadline, stack)
            except Refused as error:
                return Response(problem=str(error), may_be_quoted=False)
            return _read(raw, raw.status, raw.headers, str(address), most, may_be_quoted=False)


def is_own(url: str, base_url: str) -> bool:
    """Whether a URL is at the origin of the base URL, as the HTTP library reads both."""
    try:
        return read_address(url).origin == read_address(base_url).origin
    except ValueError:
        return False


def _read(
    raw: Any, status: int, headers: Mapping[str, str], url: str, most: int, *, may_be_quoted: bool = True
) -> Response:
    body = b""
    inside = split_address(url)[1]
    with contextlib.suppress(HTTPError, OSError, Unavailable):  # cut off: what has arrived is used
        if inside is not None:
            raw = InlineVideo(iter(partial(raw.read, _CHUNK, decode_content=True), b""), inside)
        body = raw.read(_FIRST, decode_content=True) or b""
        if Response(body=body).kind not in ("video", "picture", "other bytes"):
            body += raw.read(most - len(body), decode_content=True) or b""
    length = headers.get("content-length", "")
    return Response(
        status=status,
        content_type=headers.get("content-type", "")[:100].partition(";")[0].strip().lower(),
        length=int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else None,
        body=body,
        location=_location(headers.get("location"), url),
        server=headers.get("server", ""),
        date=header_date(headers),
        may_be_quoted=may_be_quoted,
    )


def _location(text: str | None, url: str) -> str | None:
    try:
        return str(read_address(text, url)) if text else None
    except ValueError:
        return None
