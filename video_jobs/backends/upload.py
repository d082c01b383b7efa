"""A request's body with images. Beside an image's own bytes, only the piece that is being sent is in memory."""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from urllib3 import encode_multipart_formdata

from video_jobs.ports import Image

_PIECE = 192 << 10  # bytes; a multiple of three, after which base64 goes on as if nothing had been cut


@dataclass(frozen=True)
class Upload:
    """Iterate over it once, or again: nothing is used up."""

    content_type: str
    parts: Sequence[bytes | BinaryIO]
    as_base64: bool = False  #: the files

    def __len__(self) -> int:
        return sum(map(self._length, self.parts))

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
                continue
            part.seek(0)
            while piece := part.read(_PIECE):
                yield base64.b64encode(piece) if self.as_base64 else piece

    def _length(self, part: bytes | BinaryIO) -> int:
        if isinstance(part, bytes):
            return len(part)
        size = part.seek(0, io.SEEK_END)
        return -(-size // 3) * 4 if self.as_base64 else size


def form_with(fields: Sequence[tuple[str, str]], name: str, image: Image, kind: str) -> Upload:
    """A form of these fields, and then the image as a file. `kind` is its media type."""
    images = _Marked()
    file = (f"image.{kind.removeprefix('image/')}", images.mark_for(image), kind)
    parts: list[tuple[str, Any]] = [*fields, (name, file)]
    body, content_type = encode_multipart_formdata(parts)
    return Upload(content_type, images.put_into(body))


class JsonUpload:
    """JSON in which data URLs of images may stand anywhere."""

    def __init__(self) -> None:
        self._images = _Marked()

    def data_url(self, image: Image, kind: str) -> str:
        """What stands for it until the body is sent. `kind` is its media type."""
        return f"data:{kind};base64,{self._images.mark_for(image)}"

    def of(self, body: Mapping[str, Any]) -> Upload:
        text = json.dumps(body, allow_nan=False).encode("ascii")
        return Upload("application/json", self._images.put_into(text), as_base64=True)


class _Marked:
    """Images, by the marks that stand for them in a body."""

    def __init__(self) -> None:
        self.files: dict[bytes, BinaryIO] = {}

    def mark_for(self, image: Image) -> str:
        mark = secrets.token_hex(16)
        self.files[mark.encode("ascii")] = io.BytesIO(image) if isinstance(image, bytes) else image
        return mark

    def put_into(self, body: bytes) -> list[bytes | BinaryIO]:
        marks = b"|".join(self.files)
        parts = re.split(b"(" + marks + b")", body) if marks else [body]
        return [self.files.get(part, part) for part in parts]
