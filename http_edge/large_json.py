"""Large images in a body of JSON: their base64 is taken out before the rest is parsed, and decoded where it lies.

Parsed with the rest, one would be in memory as a text, as a piece of that text, and as bytes, all at once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from video_jobs.domain.errors import InvalidRequest

_LARGE = 256 << 10  # bytes
_BEFORE = b";base64,"


@dataclass(frozen=True)
class TakenOut:
    """What was taken out of a body: pieces of base64, by the marks that stand for them in it."""

    base64: dict[str, memoryview] = field(default_factory=dict, repr=False)
    _back: set[str] = field(default_factory=set)

    def put_back(self, data: str) -> memoryview | str:
        """What `data` was before."""
        if data not in self.base64:
            return data
        self._back.add(data)
        return self.base64[data]

    def refuse_elsewhere(self) -> None:
        """Raises InvalidRequest where one of the texts was no image's."""
        if self._back != self.base64.keys():
            raise InvalidRequest.of("body", "has an image in a field that takes none")


def take_out_images(body: bytes) -> tuple[bytes, TakenOut]:
    """The body without its large texts of base64.

    A semicolon stands in texts only. This one goes on to the next quote, since no backslash escapes that.
    """
    found, pieces, done = TakenOut(), list[bytes](), 0
    at = body.find(_BEFORE)
    while at >= 0:
        start = at + len(_BEFORE)
        end = body.find(b'"', start)
        if end < 0:
            break
        if end - start >= _LARGE and body.find(b"\\", start, end) < 0:
            mark = secrets.token_hex(16)
            found.base64[mark] = memoryview(body)[start:end]
            pieces += body[done:start], mark.encode("ascii")
            done = end
        at = body.find(_BEFORE, end)
    return (b"".join((*pieces, body[done:])) if pieces else body), found
