"""The content of a create: fields and files of a JSON or multipart body, and checks for both dialects."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image, UnidentifiedImageError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request

from .errors import ApiError

_LONGEST_TEXT = 100  # characters that are kept of one


@dataclass(frozen=True)
class Intake:
    """A create as it came in.

    fields: by name; from multipart all of them are strings
    files: by part name
    multipart: bool, which of the two it was
    """

    fields: Mapping[str, object]
    multipart: bool
    files: Mapping[str, list[FileStorage]] = field(default_factory=dict)

    def shortened(self) -> dict[str, object]:
        """The fields; of long texts, which are usually images, only the beginning."""
        fields: dict[str, object] = _shortened(dict(self.fields))  # type: ignore[assignment]
        return fields

    def text(self, name: str, default: str | None = None) -> str:
        """A field that must be a string that is not empty. Raises ApiError."""
        value = self.fields.get(name, default)
        if value is None:
            raise missing(name)
        if not isinstance(value, str) or not value:
            raise invalid(name, "a string that is not empty")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """A field that must be a whole number: one of JSON's, or digits in a form. Raises ApiError."""
        value = self.fields.get(name, default)
        if value is None:
            raise missing(name)
        if self.multipart and isinstance(value, str) and value.isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid(name, "an integer")
        return value


def read(request: Request) -> Intake:
    """The body of `request`. Raises ApiError if it is neither JSON nor a form, or too large."""
    if request.mimetype == "multipart/form-data":
        try:
            files = {name: request.files.getlist(name) for name in request.files}
            return Intake(request.form.to_dict(), multipart=True, files=files)
        except RequestEntityTooLarge as error:
            raise ApiError(413, "The form is too large.", code="request_too_large") from error
    try:
        content = json.loads(request.get_data())
    except ValueError as error:
        raise ApiError(400, "The body is not valid JSON.", code="invalid_json") from error
    if not isinstance(content, dict):
        raise ApiError(400, "The body must be a JSON object.", code="invalid_type")
    return Intake(content, multipart=False)


def _shortened(value: object) -> object:
    if isinstance(value, dict):
        return {name: _shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    return value[:_LONGEST_TEXT] if isinstance(value, str) else value


def missing(name: str) -> ApiError:
    """A required field was left out."""
    return ApiError(
        400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name
    )


def invalid(name: str, expected: str) -> ApiError:
    """A field has a type or value that it can't have."""
    return ApiError(
        400, f"Invalid value for '{name}': expected {expected}.", code="invalid_value", param=name
    )


def check_image(data: bytes, width: int, height: int, name: str) -> None:
    """Raise ApiError unless `data` is a picture of exactly this many pixels."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
    except (UnidentifiedImageError, OSError) as error:
        raise invalid(name, "an image") from error
    if size != (width, height):
        raise ApiError(
            400,
            f"The image must have the requested width and height, {width}x{height}, not {size[0]}x{size[1]}.",
            code="invalid_value",
            param=name,
        )
