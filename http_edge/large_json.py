"""Large images in a JSON body: their base64 is taken out before the rest is parsed, and decoded in place.

If it were parsed with the rest, an image would be in memory three times: as the body, as a text and as bytes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from video_jobs.domain.errors import InvalidRequest

_LARGE = 256 << 10  # bytes
_BEFORE = b";base64,"


@dataclass(frozen=True)
class TakenOut:
    """The pieces of base64 that were taken out of a body, by the marks that replace them in it."""

    base64: dict[str, memoryview] = field(default_factory=dict, repr=False)
    _back: set[str] = field(default_factory=set)

    def put_back(self, data: str) -> memoryview | str:
        """The base64 that `data` stands for, or `data` itself if it is no mark."""
        if data not in self.base64:
            return data
        self._back.add(data)
        return self.base64[data]

    def refuse_elsewhere(self) -> None:
        """Raises InvalidRequest if a taken-out text was in a field that takes no image."""
        if self._back != self.base64.keys():
            raise InvalidRequest.of("body", "has an image in a field that takes none")


def take_out_images(body: bytes) -> tuple[bytes, TakenOut]:
    """The body without its large base64 texts, and those texts.

    In JSON, a semicolon is always inside a text. A base64 text has no backslash, so it ends at the next quote.
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
