"""Decide by content type and first bytes whether a body is media or a text in its place."""

from __future__ import annotations

from video_jobs.media.images import sniff

SAMPLE = 512
"""How many bytes decide it. Every media file has, much earlier, a byte that no text has."""

_TEXT_STARTS = (b"{", b"[", b"<")
_NEVER_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\f\r")


_WEBM = b"\x1a\x45\xdf\xa3"
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # of MP4 and its kin


def is_video(beginning: bytes) -> bool:
    """Whether the first bytes are those of a video."""
    return beginning[4:8] in _FIRST_BOXES or beginning.startswith(_WEBM)


def is_no_video(content_type: str, beginning: bytes) -> bool:
    """Whether a body is plainly something else: text or a picture."""
    picture = sniff(beginning) is not None or beginning.startswith(b"GIF8")
    return picture or is_text(content_type, beginning)


def is_text(content_type: str, beginning: bytes) -> bool:
    """Whether a body is text, JSON or HTML: its first bytes count for more than its content type."""
    reads_as_text = _NEVER_IN_TEXT.isdisjoint(beginning[:SAMPLE])
    if beginning[4:8] == b"ftyp" or (is_video(beginning) and not reads_as_text):
        return False
    kind, _, subtype = content_type.partition("/")
    labelled = kind == "text" or subtype.endswith(("json", "xml", "html"))
    return labelled or reads_as_text or beginning.lstrip()[:1] in _TEXT_STARTS
