"""The images in a request: files of a form, data URLs, and https addresses, which the app fetches later."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from http_edge.fields import shown_name
from http_edge.large_json import TakenOut
from video_jobs.domain.capabilities import MOST_REFERENCES
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.video_request import FIRST, LAST
from video_jobs.lifecycle.images import Images, SentImage, refuse_too_many_bytes
from video_jobs.net.web_address import LONGEST as LONGEST_ADDRESS

_EXAMPLE = "data:image/png;base64,…"

ImageText = Annotated[
    str,
    Field(
        description=(
            "PNG, JPEG or WebP by its content; all images together at most 20 MiB. Send a data URL, an https address of the "
            "public internet (the app fetches it before it answers) or, in a form, a file."
        ),
        json_schema_extra={"pattern": "^(data:.*;base64,|https://)"},
    ),
]
ImageTexts = Annotated[
    list[ImageText],
    Field(
        max_length=MOST_REFERENCES,
        description="Images of what the video shows, if the model takes them. In a form, send several parts of this name.",
    ),
]


def read_image(field: str, text: str, taken_out: TakenOut) -> SentImage:
    """Read a data URL or an https address. Raises InvalidRequest, which names the field."""
    if text.startswith("https://"):
        if len(text) > LONGEST_ADDRESS:
            raise InvalidRequest.of(
                field, f"has more than {LONGEST_ADDRESS} characters; send the image itself"
            )
        return SentImage(field, address=text)
    if not text.startswith("data:"):
        words = f"must be a base64 data URL ({_EXAMPLE}), an https address, or in multipart a file part with a file name"
        raise InvalidRequest.of(field, words)
    return SentImage(field).with_content(from_data_url(field, text, taken_out))


def image_files(files: Mapping[str, Sequence[Any]], names: Mapping[str, str]) -> dict[str, list[SentImage]]:
    """The images of a form. `names` gives, for each allowed part name, which image it is.

    Raises InvalidRequest for any other part, and for a file that is not an image.
    """
    strange = sorted(set(files) - set(names))
    if strange:
        words = f"is not an allowed file; send images as {', '.join(dict.fromkeys(names.values()))}, and text without a file name"
        raise InvalidRequest.of(shown_name(strange[0]), words)
    found: dict[str, list[SentImage]] = {}
    for part, sent in files.items():
        if len(sent) > MOST_REFERENCES:
            raise InvalidRequest.of(part, f"are {len(sent)} files; at most {MOST_REFERENCES} are taken")
        for file in sent:
            content: bytes = file.read()
            # A browser sends an empty part for a file that nobody chose.
            if content or getattr(file, "filename", True):
                found.setdefault(names[part], []).append(SentImage(part).with_content(content))
    return found


def numbered(first: list[SentImage], last: list[SentImage], references: list[SentImage]) -> Images:
    """Number the images as `VideoRequest.images` does. Raises InvalidRequest for a second first or last image, or for too many."""
    for sent in (first, last):
        if len(sent) > 1:
            raise InvalidRequest.of(sent[1].field, "is sent more than once; one image is taken")
    if len(references) > MOST_REFERENCES:
        words = f"are {len(references)}; at most {MOST_REFERENCES} are taken"
        raise InvalidRequest.of(references[0].field, words)
    images: dict[int, SentImage] = dict(zip((FIRST,), first, strict=False))
    images.update(zip((LAST,), last, strict=False))
    images.update(enumerate(references, LAST + 1))
    refuse_too_many_bytes(images)
    return images


def from_data_url(field: str, text: str, taken_out: TakenOut) -> bytes:
    """Raises InvalidRequest, which names the field."""
    # Without a regular expression: for a text of semicolons, its backtracking would need gigabytes.
    head, _, data = text.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64")):
        raise InvalidRequest.of(field, f"must be a base64 data URL, like {_EXAMPLE}")
    try:
        return binascii.a2b_base64(taken_out.put_back(data), strict_mode=True)
    except ValueError as error:
        raise InvalidRequest.of(field, f"is not valid base64: {error}") from error
