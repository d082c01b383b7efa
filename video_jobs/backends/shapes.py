"""A video's size in the form of many models: aspect ratio, like 16:9, and resolution, like 720p."""

from __future__ import annotations

import re
from math import gcd
from typing import Any

from video_jobs.domain.job import VideoRequest

_USUAL = ((16, 9), (9, 16), (1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (21, 9), (9, 21))
_ALIKE = 0.02  # by how much a usual shape may be missed: 854x480 is 16:9
_RATIO = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})")
_LINES = re.compile(r"([1-9][0-9]{2,3})[pP]")


def aspect_ratio(request: VideoRequest) -> str | None:
    """The requested aspect ratio, else the size's; None if neither is known."""
    width, height = request.width, request.height
    if request.aspect_ratio is not None or not width:
        return request.aspect_ratio
    for across, down in _USUAL:
        if abs(width * down / (height * across) - 1) < _ALIKE:
            return f"{across}:{down}"
    part = gcd(width, height)
    return f"{width // part}:{height // part}"


def resolution(request: VideoRequest) -> str | None:
    """Likewise."""
    if request.resolution is not None or not request.width:
        return request.resolution
    return f"{min(request.width, request.height)}p"


def resolution_with_4k(request: VideoRequest) -> str | None:
    """Likewise, as many makers write it: `4k` has no lines."""
    lines = resolution(request)
    return "4k" if lines in ("2160p", "4K") else lines


def size_told(ratio: Any, lines: Any) -> tuple[int, int] | tuple[None, None]:
    """Width and height again; None for what can't be read."""
    shape = _RATIO.fullmatch(ratio) if isinstance(ratio, str) else None
    said = _LINES.fullmatch(lines) if isinstance(lines, str) else None
    if shape is None or said is None:
        return None, None
    across, down, shorter = int(shape[1]), int(shape[2]), int(said[1])
    longer = round(shorter * max(across, down) / min(across, down) / 2) * 2
    return (longer, shorter) if across >= down else (shorter, longer)
