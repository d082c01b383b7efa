"""An owner's quota as a row of `videojobs`, in the owner's partition: so it changes in one transaction with a job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from video_jobs.domain.quota import Quota
from video_jobs.storage.unreadable import read_as

QUOTA_KEY = "quota"  # outside of the ranges of jobs and idempotency keys


def to_quota_row(owner: str, quota: Quota) -> dict[str, Any]:
    fields: dict[str, Any] = {"alive": " ".join(quota.alive), "accepted": quota.accepted}
    if quota.day is not None:
        fields["day"] = quota.day.isoformat()
    return {"PartitionKey": owner, "RowKey": QUOTA_KEY, **fields}


def from_quota_row(row: Mapping[str, Any]) -> Quota:
    """Raises UnreadableRow."""
    with read_as("quota", row):
        day = row.get("day")
        alive, accepted = tuple(str(row["alive"]).split()), int(row["accepted"])
        return Quota(alive, date.fromisoformat(day) if day else None, accepted)
