"""The version of the app that wrote a row. During a deployment, two versions read the same tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from video_jobs.domain.errors import NewerVersion

SCHEMA = 1
"""Increase it when the version before must not touch a row. A new field with a default needs that only if it must not
be lost: an older version drops unknown fields when it saves a row."""

SCHEMA_COLUMN = "schema"


def refuse_newer(row: Mapping[str, Any], what: str) -> None:
    """Raises NewerVersion for a row that this version must not touch. `what` is being done, for the message."""
    written = row.get(SCHEMA_COLUMN, SCHEMA)
    if not isinstance(written, int) or written > SCHEMA:
        raise NewerVersion(
            f"A row that a newer version wrote (schema {written}; this version knows {SCHEMA}) was met while {what}."
        )
