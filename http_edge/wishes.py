"""What a request may ask for besides prompt, size and length. The model's limits decide whether it is accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from http_edge.fields import json_value, plain_words, utf16_units
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.provider_options import checked_options

LONGEST_NEGATIVE_PROMPT = 4000
"""UTF-16 units: the whole request has to fit into one property of a row."""

LARGEST_SEED = 4_294_967_295
_RATIO = r"[1-9][0-9]{0,2}(\.[0-9]{1,2})?:[1-9][0-9]{0,2}|auto|adaptive"
_RESOLUTION = r"[1-9][0-9]{2,3}[pP]|[1-9][kK]"
# As requests of Python write them in a form, too.
_IN_A_FORM = {"true": True, "false": False, "True": True, "False": False}
# No enum: generators of clients make one name of "true" and "True".
_InAForm = Annotated[str, Field(pattern=f"^({'|'.join(_IN_A_FORM)})$")]


def _ratio(text: str) -> str:
    if not re.fullmatch(_RATIO, text):
        raise ValueError("must be WIDTH:HEIGHT, like 16:9")
    return text


def _resolution(text: str) -> str:
    if not re.fullmatch(_RESOLUTION, text):
        raise ValueError("must be lines of pixels, like 720p, or 4K")
    return text


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value) else value


def _yes_or_no(value: Any) -> Any:
    return _IN_A_FORM.get(value, value) if isinstance(value, str) else value


def _short_enough(text: str) -> str:
    units = utf16_units(text)
    if not text.strip():
        raise ValueError("it is empty; leave it out")
    if units > LONGEST_NEGATIVE_PROMPT:
        raise ValueError(f"it has {units} UTF-16 units; at most {LONGEST_NEGATIVE_PROMPT} are taken")
    return text


def _bounded(given: dict[str, Any]) -> dict[str, Any]:
    checked_options(given)
    return given


AspectRatio = Annotated[
    str,
    AfterValidator(_ratio),
    Field(
        description="WIDTH:HEIGHT, instead of a size, if the model takes it.",
        json_schema_extra={"pattern": f"^({_RATIO})$"},
    ),
]
Resolution = Annotated[
    str,
    AfterValidator(_resolution),
    Field(
        description="Lines of pixels like 720p, instead of a size, if the model takes it.",
        json_schema_extra={"pattern": f"^({_RESOLUTION})$"},
    ),
]
Audio = Annotated[
    Annotated[bool, Field(strict=True)],
    BeforeValidator(_yes_or_no, json_schema_input_type=bool | _InAForm),
    Field(description="Whether the video has sound, if the model lets you choose."),
]
_SeedNumber = Annotated[int, Field(strict=True, ge=0, le=LARGEST_SEED)]
_SeedDigits = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]
Seed = Annotated[
    _SeedNumber,
    BeforeValidator(_whole, json_schema_input_type=_SeedNumber | _SeedDigits),
    Field(description="The same seed gives a similar video again, if the model takes it."),
]
NegativePrompt = Annotated[
    str,
    AfterValidator(_short_enough),  # first: the other one looks at each character
    AfterValidator(plain_words),
    Field(
        description="What the video should not show, if the model takes it.",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_NEGATIVE_PROMPT, "pattern": r"\S"},
    ),
]
Options = Annotated[
    dict[str, Any],
    AfterValidator(_bounded),
    Field(
        description=(
            "Fields that only this provider knows. The app adds them to its request unchanged. "
            "At most 8 KiB, 100 keys and 6 levels. Fields that the app sets itself are refused."
        )
    ),
]


def options_text(options: Mapping[str, Any] | None) -> str | None:
    """The options as JSON text, as they are stored; None if there are none."""
    return checked_options(options) if options else None


def object_in_form(fields: dict[str, Any], name: str) -> None:
    """Parse an object of a form: forms have only text. Raises InvalidRequest."""
    if name in fields:
        try:
            fields[name] = json_value(fields[name].encode("utf-8", "surrogatepass"))
        except ValueError as error:
            raise InvalidRequest.of(name, f"must be a JSON object in a form; it {error}") from error
