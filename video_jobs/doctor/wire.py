"""One GET whose answer is looked at and not believed: any status, any body, only its beginning."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from video_jobs.backends.answers import error_message
from video_jobs.deadline import Deadline, DeadlineAdapter

_FIRST = 64  # bytes that tell what a body is
_DEADLINE = 20.0  # seconds for one look
_TIMEOUT = (8.0, 15.0)  # seconds to connect, and of silence
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Look:
    """What came back. `status` is None where nothing did, and `trouble` says why."""

    status: int | None = None
    content_type: str = ""
    length: int | None = None  #: as announced, in bytes
    body: bytes = b""  #: its beginning
    location: str | None = None  #: full URL of a redirect; may be a secret
    server: str = ""
    date: datetime | None = None  #: the server's clock
    trouble: str = ""

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
        """The server's own words about a refusal, cleaned; empty where it said nothing."""
        return error_message(self.body).in_words.strip()

    @property
    def in_words(self) -> str:
        """To stand behind 'the server answers'."""
        return f"{self.status} {self.said}".strip() if self.status else self.trouble

    @property
    def redirects(self) -> bool:
        return self.status in _REDIRECTS

    @property
    def redirect_host(self) -> str:
        return urlsplit(self.location or "").hostname or "nowhere"


class Wire:
    """Looks at URLs; `sign`'s headers go to the origin of `base_url` and to no other."""

    def __init__(self, base_url: str, sign: Callable[[], Mapping[str, str]]) -> None:
        self.base_url = base_url
        self._sign = sign

    def look(self, url: str, most: int = 4096) -> Look:
        """Follows no redirect. Reads at most that many bytes; of a video only the first. Raises NotSent where
        no token can be had."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "reelkeep-doctor"}
        if origin(url) == origin(self.base_url):
            headers |= self._sign()
        deadline = Deadline(_DEADLINE)
        try:
            with (
                deadline.watching(),
                _session() as session,
                session.get(
                    url, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True
                ) as response,
            ):
                return _look_at(response, most)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            late = deadline.expired or isinstance(error, requests.Timeout)
            return Look(
                trouble="no answer in time" if late else "no answer: the connection broke or never stood"
            )


def _session() -> requests.Session:
    """One for each look: what is left of a body that we don't read must be in nobody's way."""
    session = requests.Session()
    session.mount("http://", DeadlineAdapter(1))
    session.mount("https://", DeadlineAdapter(1))
    session.auth = lambda request: request  # nor a key from ~/.netrc
    return session


def origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _look_at(response: requests.Response, most: int) -> Look:
    body = b""
    with contextlib.suppress(HTTPError, OSError):  # cut off: what came is what we look at
        body = response.raw.read(_FIRST, decode_content=True) or b""
        if Look(body=body).kind not in ("video", "picture", "other bytes"):
            body += response.raw.read(most - len(body), decode_content=True) or b""
    headers = response.headers
    length = headers.get("content-length", "")
    location = headers.get("location")
    return Look(
        status=response.status_code,
        content_type=headers.get("content-type", "").partition(";")[0].strip().lower(),
        length=int(length) if length.isdecimal() else None,
        body=body,
        location=urljoin(response.url, location) if location else None,
        server=headers.get("server", ""),
        date=_date(headers.get("date")),
    )


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
