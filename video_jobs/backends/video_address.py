"""Find the address of a video's bytes in a job's record or another answer.

Many servers that speak the videos protocol serve no bytes themselves, and each has its own place for the address.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

# All names are compared in small letters, without `_`.
_ADDRESSES = ("videourl", "url", "downloadurl", "outputurl", "contenturl", "resulturl", "uri")
_PLACES = (
    "video",
    "metadata",
    "data",
    "output",
    "result",
    "videos",
    "outputs",
    "results",
    "urls",
    "videourls",
    "resulturls",
    "outputurls",
    "content",
    "response",
    *("taskresult", "videoresult", "creations", "artifacts", "assets", "files"),
    *("generatevideoresponse", "generatedvideos", "generatedsamples"),
)
_INLINE = ("b64json", "base64", "videobase64", "bytesbase64encoded", "encodedvideo")
"""Names of a video inside the answer, in whose place an address stands: see `inline_video`."""
_MOST_NAMES = 200  # of one object
_DEEPEST = 4
_MOST = 5  # addresses of one video


def addresses_in(body: Any, index: int = 0) -> list[str]:
    """The addresses that a JSON value names for the video of that index, the likeliest first; any of them may be wrong.

    A single value belongs to the first video; in a list, each entry belongs to one video.
    """
    found = dict.fromkeys(_addresses(body, index, is_chosen=index == 0, depth=0))
    return list(found)[:_MOST]


def _addresses(value: Any, index: int, *, is_chosen: bool, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        if is_chosen and value.lstrip()[:8].lower().startswith(("http://", "https://")):
            yield value
    elif isinstance(value, list):
        if index < len(value):
            yield from _addresses(value[index], 0, is_chosen=True, depth=depth + 1)
    elif isinstance(value, dict):
        value = {name.replace("_", "").lower(): value[name] for name in islice(value, _MOST_NAMES)}
        for name in _ADDRESSES:
            named = value.get(name)
            if is_chosen and isinstance(named, str) and named.startswith("/"):
                yield named
            yield from _addresses(named, index, is_chosen=is_chosen, depth=depth + 1)
        for name in (*_PLACES, *_INLINE):
            yield from _addresses(value.get(name), index, is_chosen=is_chosen, depth=depth + 1)
