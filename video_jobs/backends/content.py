"""A body that is streamed: its bytes as they arrive, and the answer's headers about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from urllib3 import BaseHTTPResponse

from video_jobs.backends.answers import error_message, json_in
from video_jobs.backends.inline_video import InlineVideo, shortened
from video_jobs.backends.redaction import Redactor
from video_jobs.domain.errors import BackendError, Unavailable, VideoTooLarge
from video_jobs.media.body_kind import SAMPLE
from video_jobs.net.deadline import Deadline

_WHOLE = re.compile(r"(?:bytes[ =])?0-([0-9]{0,15}) ?/ ?([0-9]{1,15})", re.IGNORECASE)
_LONGEST_LABEL = 100  # characters of a content type
_PIECE = 64 << 10  # bytes
_LONGEST_QUOTED = 64 << 10  # bytes of a body that are searched for an error

Translated = Callable[[], AbstractContextManager[None]]
"""Translates the library's errors."""


class HttpContent:
    """See `ports.ContentStream`.

    Args:
        raw, headers: the answer.
        most: the largest number of bytes.
        redactor: None if another origin than the backend's sends the body; then no message quotes it.
        address: at which the backend gives it again.
    """

    def __init__(
        self,
        raw: BaseHTTPResponse | InlineVideo,
        headers: Mapping[str, str],
        deadline: Deadline,
        most: int,
        redactor: Redactor | None,
        translated: Translated,
        address: str | None = None,
    ) -> None:
        self._raw = raw
        self._headers = headers
        self._deadline = deadline
        self._most = most
        self._redactor = redactor
        self._translated = translated
        self._address = address
        # Chunks show themselves where the body ends, and count for more than a length beside them.
        self._announced = "" if "transfer-encoding" in headers else headers.get("content-length", "")
        self._beginning = b""
        self._trouble: BackendError | None = None  # what broke the body off
        if self.length is not None and self.length > most:
            raise _too_large(most)

    def as_json(self, most: int) -> Any:
        """The JSON of at most `most` bytes, in which an address replaces each video inside it; None if it is none. `chunks` gives
        nothing after it. Raises what broke the body off, unless the JSON was complete by then."""
        trouble: BackendError | None = None

        def pieces() -> Iterator[bytes]:
            nonlocal trouble
            try:
                yield from self.chunks(_PIECE)
            except BackendError as error:
                trouble = error

        text = shortened(pieces(), most, self._address)
        try:
            return json_in(text)
        except (ValueError, RecursionError):
            if trouble is not None:
                raise trouble from None
            return None

    def inside(self, number: int) -> HttpContent:
        """The video of that number inside this JSON."""
        marked = {"transfer-encoding": "chunked"}  # the JSON shows where it ends
        raw = InlineVideo(self.chunks(_PIECE), number)
        return HttpContent(raw, marked, self._deadline, self._most, self._redactor, self._translated)

    @property
    def content_type(self) -> str:
        label = self._headers.get("content-type", "")[:_LONGEST_LABEL].partition(";")[0].strip()
        return (label if self._redactor is None else self._redactor.text(label)).lower()

    @property
    def length(self) -> int | None:
        # With an encoding, the announced length is not the length of the decoded bytes.
        encoded = "content-encoding" in self._headers
        readable = self._announced.isascii() and self._announced.isdecimal() and len(self._announced) < 20
        return int(self._announced) if readable and not encoded else None

    @property
    def has_marked_end(self) -> bool:
        return self._announced.isdecimal() or "transfer-encoding" in self._headers

    def beginning(self, size: int = SAMPLE) -> bytes:
        """The first bytes; `chunks` gives them again. Raises the same errors as `chunks`."""
        while len(self._beginning) < size and (more := self._read(size - len(self._beginning))):
            self._beginning += more
        return self._beginning[:size]

    def chunks(self, size: int) -> Iterator[bytes]:
        passed = 0
        held, self._beginning = self._beginning, b""
        while True:
            chunk = held + self._read(size - len(held)) if len(held) < size else held[:size]
            held = held[size:]
            if not chunk:
                return
            passed += len(chunk)
            if passed > self._most:
                raise _too_large(self._most)
            yield chunk

    def quotation(self, beginning: bytes) -> str:
        """Quotes a body that is not a video, for use in a sentence. Text of another origin is never quoted."""
        if self._redactor is None:
            return "something that is not a video, from another host,"
        said = error_message(beginning[:_LONGEST_QUOTED], self._redactor).in_words
        return f"{self._redactor.text(self.content_type) or 'text'}{said}"

    def _read(self, size: int) -> bytes:
        """Fewer bytes only at the end. What comes before a break is given first."""
        chunk = bytearray()
        try:
            with self._translated():
                while len(chunk) < size and (more := self._read_some(size - len(chunk))):
                    chunk += more
        except BackendError as error:
            self._trouble = error
        if self._trouble is not None and not chunk and size > 0:
            raise self._trouble
        # After the deadline has closed the socket, a body without a length seems to end.
        if not chunk and size > 0 and self._deadline.expired:
            raise Unavailable("The download took longer than the time limit.")
        return bytes(chunk)

    def _read_some(self, most: int) -> bytes:
        some: bytes = b"" if self._trouble is not None else self._raw.read1(most, decode_content=True)
        return some


def is_whole(headers: Mapping[str, str]) -> bool:
    """Whether an answer with status 206 (a part) contains the whole body: some servers send that although no part was
    requested, and some count its last byte wrong."""
    span = _WHOLE.fullmatch(headers.get("content-range", "")[:_LONGEST_LABEL].strip())
    if span is None:
        return False
    length = headers.get("content-length", "")[:_LONGEST_LABEL]
    return int(span[1] or 0) + 1 == int(span[2]) or length == span[2]


def _too_large(most: int) -> VideoTooLarge:
    return VideoTooLarge(
        f"The video has more than {most:,} bytes, the limit in VIDEO_MAX_BYTES. Raise the limit; then the app fetches the video."
    )
