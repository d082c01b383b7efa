"""Reads nested columns and times of rows strictly: a time without a zone, or at the end of the calendar, would fail only later, in
the middle of a list or a poll."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import SchemaValidator

_TIMES = {
    "tz_constraint": "aware",
    "ge": datetime(1970, 1, 1, tzinfo=UTC),
    "le": datetime(9000, 1, 1, tzinfo=UTC),  # retention and other durations are added
}


def strict_validator(adapter: TypeAdapter[Any]) -> SchemaValidator:
    """The adapter's validator, except that times need a zone, and must leave room for durations that are added to
    them."""
    return SchemaValidator(_with_strict_times(adapter.core_schema))


def nested(text: str) -> Any:
    """The value of a column of JSON. Raises ValueError, also for half of a surrogate pair, which no answer can contain."""
    value = json.loads(text)
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half of a surrogate pair") from None
    return value


def _with_strict_times(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_strict_times(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _with_strict_times(value) for name, value in schema.items()}
    return {**changed, **_TIMES} if schema.get("type") == "datetime" else changed
