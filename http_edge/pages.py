"""How long a page of a list may be, whichever API shows it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from video_jobs.domain.errors import InvalidRequest

_DEFAULT = 20
_LARGEST = 100

Limit = Annotated[int, Field(ge=1, le=_LARGEST, json_schema_extra={"default": _DEFAULT})]


def read_limit(text: str) -> int:
    """The page length, or the default if `text` is empty. Raises InvalidRequest."""
    if not text:
        return _DEFAULT
    if not (re.fullmatch("[0-9]{1,3}", text) and 1 <= int(text) <= _LARGEST):
        raise InvalidRequest.of("limit", f"must be a whole number from 1 to {_LARGEST}")
    return int(text)
