"""Which unknown fields of a create may be ignored: tools send some of their own. One that asks for another video is refused.
If it were ignored, the wrong video would be made and paid for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from http_edge.fields import shown_name
from openai_api.images import base_of, not_taken
from video_jobs.domain.errors import InvalidRequest

_CONTENT = re.compile(
    r"\s{0,9}(data:[\w.+-]{1,60}/[\w.+-]{1,60}[;,]|https?://)|[A-Za-z0-9+/_-]{512}", re.A | re.I
)
# An address under such a name is no content.
_TELLS_SOMEBODY = re.compile("callback|hook|notif|referr?er|site|homepage", re.I)
_WHO_ASKS = ("user", "safety_identifier")  # OpenAI's; an identity may be a URL or a long token
_WORD = re.compile("[A-Z]?[a-z]+")
_MATERIAL = {
    "video",
    "videos",
    "clip",
    "clips",
    "audio",
    "audios",
    "character",
    "characters",
    "mask",
    "masks",
}
_STORED = {"file", "files", "image", "images"}
_REFERENCE = {"id", "ids", "url", "urls", "reference", "references", "file", "files"}
_SETTING = {"output", "save", "return", "with", "has", "enable", "num", "n", "max"}
_NO_NAME = re.compile(r"\d+|true|false|none", re.A | re.I)
_LONGEST_NAME = 100  # characters
# What other video APIs call our fields, in small letters without underscores.
_OTHER_NAMES = {
    **dict.fromkeys(("n", "nvariants", "numvideos", "numberofvideos", "samplecount"), "variants"),
    **dict.fromkeys(("nseconds", "durationseconds", "videolength", "videoduration"), "seconds"),
    **dict.fromkeys(("width", "height", "dimensions", "videosize"), "size"),
    "ratio": "aspect_ratio",
}
_WRAPPERS = {"extrabody", "input", "parameters", "params", "config", "videoconfig", "generationconfig"}
"""Objects, named likewise, in which other video APIs take their fields."""

_WISHES = {
    *("prompt", "size", "seconds", "duration", "aspect_ratio", "resolution", "audio", "generate_audio"),
    *("seed", "negative_prompt", "variants", "options"),
}


def refuse_other_wishes(sent: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises InvalidRequest for an unknown field that has an image or other content, that names a video or a character,
    that is a known field under another name, or that has known fields inside."""
    meant = {**_OTHER_NAMES, **{_plain(name): name for name in known}}
    for part, value in sent.items():
        if part in known or part in _WHO_ASKS or not value:
            continue
        name = base_of(part[:_LONGEST_NAME])
        plain = _plain(name)
        field = meant.get(plain)
        if _is_for_material(name) and _may_name(value):
            words = "is not taken: this API makes videos from a prompt and images only; leave it out"
            raise InvalidRequest.of(shown_name(part), words)
        if any(_CONTENT.match(text) for text in _texts(name, value)):
            raise not_taken(shown_name(part))
        if field is not None and not _changes_nothing(plain, value, sent.get(field)):
            raise InvalidRequest.of(shown_name(part), f"is not taken under this name; send it as {field}")
        inside = next(_wishes_inside(plain, value, sent), None)
        if inside is not None:
            words = f"is not taken; send {shown_name(inside)} beside the prompt, not inside it"
            raise InvalidRequest.of(shown_name(part), words)


def _wishes_inside(name: str, value: Any, sent: Mapping[str, Any]) -> Iterator[str]:
    """The fields of ours in an object like `extra_body` or `parameters` whose values are not sent beside it, too."""
    if name in _WRAPPERS and isinstance(value, dict):
        yield from (key for key in value if key in _WISHES and value[key] not in (None, sent.get(key)))


def _texts(name: str, value: Any) -> Iterator[str]:
    """All texts in the value, except addresses that nobody looks at."""
    left = _looked_at({name: value})
    while left:  # no recursion: a client decides how deep it is
        each = left.pop()
        if isinstance(each, dict):
            left += _looked_at(each)
        elif isinstance(each, list):
            left += each
        elif isinstance(each, str):
            yield each


def _looked_at(fields: Mapping[str, Any]) -> list[Any]:
    """The values. Each name is read once, and not far: a client decides how long it is, and how much is in it."""
    return [value for name, value in fields.items() if not _TELLS_SOMEBODY.search(name[:_LONGEST_NAME])]


def _is_for_material(name: str) -> bool:
    """Whether the field's name is like `video`, `remix_video_id`, `characters` or `fileIds`."""
    words = [word.lower() for word in _WORD.findall(name)]
    if len(words) > 1 and words[-1] in _REFERENCE:
        *words, kind = words
        return words[-1] in _MATERIAL or (words[-1] in _STORED and kind in ("id", "ids"))
    return bool(words) and words[-1] in _MATERIAL and words[0] not in _SETTING


def _may_name(value: Any) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and not _NO_NAME.fullmatch(value))


def _changes_nothing(name: str, value: Any, usual: Any) -> bool:
    """`usual`: what the request has under our own name."""
    if isinstance(value, dict | list):
        return True  # no known field means that by such a name
    if str(value) == str(usual):
        return True
    if name in ("width", "height"):
        sides = str(usual).split("x")
        return len(sides) == 2 and sides[name == "height"] == str(value)
    return _OTHER_NAMES.get(name) == "variants" and str(value) == "1"


def _plain(name: str) -> str:
    return re.sub("[_-]", "", name.lower())
