"""The images of a create, under the names that clients use. An image under another name is refused: if it were ignored,
a video without it would be made and paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import WithJsonSchema

from http_edge.images import image_files, numbered, read_image
from http_edge.large_json import TakenOut
from http_edge.submissions import Fields
from video_jobs.domain.errors import InvalidRequest
from video_jobs.lifecycle.images import Images, SentImage

REFERENCE = "input_reference"
_URL, _IMAGE_URL, _FILE_ID = "url", "image_url", "file_id"
_FRAMES = "frame_images"
_FIRST = (REFERENCE, "input_image", "image", "image_url", "first_frame", "start_image")
_LAST = ("last_frame", "last_image", "end_image")
_REFERENCES = ("reference_images", "input_references")
_REFUSED = ("images", "image_reference", "reference_url")
_NAMES = (*_FIRST, *_LAST, *_REFERENCES, _FRAMES)
SEVERAL = tuple(f"{name}{brackets}" for name in _REFERENCES for brackets in ("", "[]"))
FILES = (REFERENCE, "image", "last_frame", "reference_images")
_EXAMPLE = '{"image_url": "data:image/png;base64,…"}'
_FRAME_TYPES = {"first_frame": _FIRST[0], "last_frame": _LAST[0]}
_TAKEN = f"{REFERENCE} or image, last_frame, reference_images or input_references, and {_FRAMES}"

_ONE = {"type": "string", "description": "A base64 data URL, or an https address of the public internet."}
_OBJECT = {"type": "object", "properties": {_IMAGE_URL: _ONE}, "required": [_IMAGE_URL]}


def _documented(words: str, *, several: bool = False) -> Any:
    image: dict[str, Any] = {"anyOf": [_ONE, _OBJECT]}
    schema = {"type": "array", "items": image} if several else image
    return WithJsonSchema({"anyOf": [schema, {"type": "null"}], "description": words})


ImageReference = Annotated[Any, _documented("The image that the video starts from; in a form a file.")]
LastFrame = Annotated[Any, _documented("The image that the video ends with; in a form a file.")]
References = Annotated[Any, _documented("Images of what the video shows; in a form files.", several=True)]
FrameImages = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            _IMAGE_URL: {"type": "object", "properties": {_URL: _ONE}, "required": [_URL]},
                            "frame_type": {"enum": list(_FRAME_TYPES)},
                        },
                        "required": [_IMAGE_URL, "frame_type"],
                    },
                },
                {"type": "null"},
            ],
            "description": "First and last image, as OpenRouter has them.",
        }
    ),
]


def read_images(sent: Fields) -> Images:
    """Read the images. A field that is null or empty counts as left out. Raises InvalidRequest."""
    files, taken_out = sent.files or {}, sent.taken_out
    parts = {part: base_of(part) for part in files}
    known = {part: base for part, base in parts.items() if base in _NAMES and base != _FRAMES}
    found: dict[str, list[SentImage]] = image_files(files, {**{name: name for name in FILES}, **known})
    for part, value in sent.values.items():
        base = base_of(part)
        if value in (None, "", []):
            continue
        if base in _REFUSED and value != {}:
            raise not_taken(base)
        if base not in _NAMES:
            continue
        if base == _FRAMES:
            for kind, image in _frames(part, value, taken_out):
                found.setdefault(kind, []).append(image)
            continue
        found.setdefault(base, []).extend(_images(part, base, value, taken_out))
    return numbered(*(_all(found, names) for names in (_FIRST, _LAST, _REFERENCES)))


def not_taken(field: str) -> InvalidRequest:
    return InvalidRequest.of(field, f"is not taken; send images as {_TAKEN}: {_EXAMPLE}")


def without_images(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {part: value for part, value in fields.items() if base_of(part) not in _NAMES}


def base_of(part: str) -> str:
    """The field's name without the brackets that forms use for lists and objects: `reference_images[]`, `input_reference[image_url]`."""
    return part.partition("[")[0]


def names_of(images: Images) -> dict[str, str]:
    """For each kind of image, the name under which it was sent. A first one that is missing has OpenAI's name."""
    kinds = ("input_image", "last_image", "reference_images")
    sent = {kinds[min(number, 2)]: each.field.partition(".")[0] for number, each in images.items()}
    return {"input_image": REFERENCE, **sent}


def _all(found: Mapping[str, list[SentImage]], names: tuple[str, ...]) -> list[SentImage]:
    return [image for name in names for image in found.get(name, [])]


def _images(part: str, base: str, value: Any, taken_out: TakenOut) -> Iterator[SentImage]:
    word = part.rpartition("[")[2].removesuffix("]") if "[" in part else ""
    if word == _FILE_ID:
        raise _no_files(f"{base}.{_FILE_ID}")
    if word and word not in (_URL, _IMAGE_URL) and not word.isdecimal():
        return  # other facts about the image, such as its type, are ignored
    several = base in _REFERENCES and isinstance(value, list)
    for each in value if several else [value]:
        yield _image(f"{base}.{word}" if word else base, each, taken_out)


def _image(field: str, value: Any, taken_out: TakenOut) -> SentImage:
    """A text, `{"image_url": text}`, `{"image_url": {"url": text}}` or `{"url": text}`."""
    if isinstance(value, dict):
        if value.get(_FILE_ID) is not None:
            raise _no_files(f"{field}.{_FILE_ID}")
        name = _IMAGE_URL if value.get(_IMAGE_URL) is not None else _URL
        value, field = value.get(name), f"{field}.{name}" if name in value else field
        if value is None:
            raise InvalidRequest.of(field, f"needs an image_url: {_EXAMPLE}")
        if isinstance(value, dict):
            value, field = value.get(_URL), f"{field}.{_URL}"
    if not isinstance(value, str):
        raise InvalidRequest.of(field, f"must be a file part, or {_EXAMPLE}")
    return read_image(field, value, taken_out)


def _frames(part: str, value: Any, taken_out: TakenOut) -> Iterator[tuple[str, SentImage]]:
    if part != _FRAMES or not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidRequest.of(
            _FRAMES, "must be a list of objects, in JSON; in a form send image and last_frame"
        )
    for frame in value:
        kind = frame.get("frame_type")
        if not isinstance(kind, str) or kind not in _FRAME_TYPES:
            raise InvalidRequest.of(f"{_FRAMES}.frame_type", f"must be {' or '.join(_FRAME_TYPES)}")
        yield _FRAME_TYPES[kind], _image(_FRAMES, frame, taken_out)


def _no_files(field: str) -> InvalidRequest:
    return InvalidRequest.of(field, "is not supported, since this app stores no files; send the image itself")
