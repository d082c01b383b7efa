"""Checks a large form before the parser gets it, and refuses one that would cost the parser seconds.

The parser searches everything before the first boundary, and splits the headers of parts, with regular expressions
that let no other thread run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from video_jobs.domain.errors import InvalidRequest

_SMALL = 64 << 10  # bytes; a form of at most this length costs little, whatever it contains
_MOST_PARTS = 1000
_MOST_HEADERS = 128 << 10  # bytes of all parts together
_BLANK_LINES = (b"\r\n\r\n", b"\n\n", b"\r\r")
_LINE_ENDS = (b"\n", b"\r")  # the parser accepts each of them alone
_BOUNDARY = re.compile(
    r""";\s*boundary=(?:"([\w'()+,./:=? -]{1,70})"|([\w'+.-]{1,70}))\s*(?:;|$)""", re.A | re.I
)
_NAMED = re.compile(r"boundary[*0-9]*\s*=", re.A | re.I)


def refuse_costly_form(content_type: str, body: bytes) -> None:
    """Raises InvalidRequest."""
    boundary = b"--" + _boundary(content_type).encode("ascii")
    # Each part begins with such a line; an image contains hardly any.
    if sum(body.count(end + b"--") for end in _LINE_ENDS) > _MOST_PARTS:
        raise _refused(f"has more than {_MOST_PARTS} parts; send fields and an image")
    if len(body) <= _SMALL:
        return
    if not body.startswith((boundary, b"\r\n" + boundary)):
        raise _refused(
            "does not begin with the boundary that Content-Type names; let your client write the form"
        )
    left = _MOST_HEADERS
    for at in (body.index(boundary), *sorted(_after_line_ends(body, boundary))):
        start = at + len(boundary)
        if body.startswith(b"--", start):
            return
        left -= _header_length(body, start, left)
    raise _refused("is a form that was cut off: its last boundary is missing. Send it again")


def _boundary(content_type: str) -> str:
    found = _BOUNDARY.search(content_type)
    if found is None or len(_NAMED.findall(content_type)) != 1:
        raise InvalidRequest.of(
            "Content-Type",
            "is multipart without a boundary of 1 to 70 plain characters; let your client write it",
        )
    return str(found[1] or found[2])


def _after_line_ends(body: bytes, boundary: bytes) -> Iterator[int]:
    for end in _LINE_ENDS:
        at = body.find(end + boundary, 1)
        while at >= 0:
            yield at + 1
            at = body.find(end + boundary, at + 1)


def _header_length(body: bytes, start: int, most: int) -> int:
    ends = [body.find(blank, start, start + most) for blank in _BLANK_LINES]
    if max(ends) < 0:
        raise _refused(f"has parts whose headers never end, or have more than {_MOST_HEADERS} bytes")
    return min(end for end in ends if end >= 0) - start


def _refused(words: str) -> InvalidRequest:
    return InvalidRequest.of("body", words)
