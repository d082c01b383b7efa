"""An answer before it goes out: status, headers, and a body that may be too long for memory."""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from werkzeug.http import http_date
from werkzeug.wrappers import Request

_CHUNK = 1 << 20
_ZEROS = memoryview(bytes(_CHUNK))
_SHORT_BOX, _LONG_BOX = 8, 16  # bytes of a box header whose size fits 32 bits, and of one that needs 64


class Route(NamedTuple):
    """Which operation a path means, and on which id."""

    operation: str
    target: str | None = None


@dataclass(frozen=True)
class Body:
    """Bytes, then zeros that are made only when they are sent. `start` and `stop` select a part of both."""

    data: bytes = b""
    zeros: int = 0
    start: int = 0
    stop: int | None = None

    @property
    def length(self) -> int:
        """Bytes to be sent."""
        return self._end - self.start

    @property
    def _end(self) -> int:
        return len(self.data) + self.zeros if self.stop is None else self.stop

    def part(self, start: int, stop: int) -> "Body":
        """The bytes from `start` to before `stop`, counted within this body."""
        end = min(self.start + stop, self._end)
        return Body(self.data, self.zeros, min(self.start + start, end), end)

    def chunks(self) -> Iterator[memoryview]:
        """The bytes in large pieces, none of them copied."""
        at, view = self.start, memoryview(self.data)
        while at < min(self._end, len(view)):
            stop = min(at + _CHUNK, self._end, len(view))
            yield view[at:stop]
            at = stop
        while at < self._end:
            size = min(_CHUNK, self._end - at)
            yield _ZEROS[:size]
            at += size


def padded_mp4(mp4: bytes, total: int | None) -> Body:
    """The MP4, padded to `total` bytes with an empty box that players skip.

    Unchanged if `total` is None or leaves no room for such a box.
    """
    missing = (total or 0) - len(mp4)
    if missing < _SHORT_BOX:
        return Body(mp4)
    if missing < 1 << 32:
        return Body(mp4 + struct.pack(">I4s", missing, b"free"), missing - _SHORT_BOX)
    return Body(mp4 + struct.pack(">I4sQ", 1, b"free", missing), missing - _LONG_BOX)


@dataclass(frozen=True)
class Answer:
    """What the client gets. `job_id` is for the ledger and is not sent."""

    status: int
    body: Body = field(default_factory=Body)
    headers: Mapping[str, str] = field(default_factory=dict)
    job_id: str | None = None


def json_answer(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None, job_id: str | None = None
) -> Answer:
    """`content` as JSON."""
    # Escaped to ASCII: JSON accepts half a surrogate pair in a prompt, but UTF-8 can't encode it.
    data = json.dumps(content).encode()
    return Answer(status, Body(data), {"content-type": "application/json", **(headers or {})}, job_id)


def media_answer(request: Request, body: Body, content_type: str, modified: float) -> Answer:
    """A file: whole, or the one range that the client asked for (several at once are answered with all).

    modified: float, unix seconds
    """
    headers = {"content-type": content_type, "accept-ranges": "bytes", "last-modified": http_date(modified)}
    wanted = request.range
    condition = request.headers.get("if-range")
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return Answer(200, body, headers)
    if condition is not None and condition != headers["last-modified"]:
        return Answer(200, body, headers)
    bounds = wanted.range_for_length(body.length)
    if bounds is None:
        return Answer(416, Body(), {**headers, "content-range": f"bytes */{body.length}"})
    start, stop = bounds
    headers["content-range"] = f"bytes {start}-{stop - 1}/{body.length}"
    return Answer(206, body.part(start, stop), headers)
