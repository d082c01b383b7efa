"""Decide by content type and first bytes whether a body is media or a text in its place."""

from __future__ import annotations

import hashlib

from video_jobs.domain.errors import NotAVideo
from video_jobs.media.images import sniff

SAMPLE = 512
"""How many bytes decide it. Every media file has, much earlier, a byte that no text has."""

_TEXT_STARTS = (b"{", b"[", b"<")
_NEVER_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\f\r")


_WEBM = b"\x1a\x45\xdf\xa3"
_SOUND = (b"ID3", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9")  # and WAVE
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # of MP4 and its kin


def is_video(beginning: bytes) -> bool:
    """Whether the first bytes are those of a video."""
    return beginning[4:8] in _FIRST_BOXES or beginning.startswith(_WEBM)


def is_no_video(content_type: str, beginning: bytes) -> bool:
    """Whether a body is plainly something else: text or a picture."""
    return _is_picture(beginning) or is_text(content_type, beginning)


def is_sound(beginning: bytes) -> bool:
    """Whether the first bytes are plainly those of sound without a picture."""
    return beginning.startswith(_SOUND) or (beginning[:4], beginning[8:12]) == (b"RIFF", b"WAVE")


def not_a_video(message: str, beginning: bytes) -> NotAVideo:
    """The error about a body that is something else."""
    error = NotAVideo(message)
    if _is_picture(beginning):
        error.sha256 = hashlib.sha256(beginning).hexdigest()
    return error


def _is_picture(beginning: bytes) -> bool:
    return sniff(beginning) is not None or beginning.startswith(b"GIF8")


def is_text(content_type: str, beginning: bytes) -> bool:
    """Whether a body is text, JSON or HTML: its first bytes count for more than its content type."""
    reads_as_text = _NEVER_IN_TEXT.isdisjoint(beginning[:SAMPLE])
    if beginning[4:8] == b"ftyp" or (is_video(beginning) and not reads_as_text):
        return False
    kind, _, subtype = content_type.partition("/")
    labelled = kind == "text" or subtype.endswith(("json", "xml", "html"))
    return labelled or reads_as_text or beginning.lstrip()[:1] in _TEXT_STARTS
