"""A receiver of webhooks in memory, in place of the HTTP sender: says what it is told to, and remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from video_jobs.domain.errors import Undelivered

HOOK = "https://hooks.example.test/reelkeep?token=of-the-client"
# Nobody signs with it but the tests; it must never be seen: tests/leaks.py looks for it.
SECRET = "whsec_cmVlbGtlZXAgdGVzdHMgYW5kIG5vYm9keSBlbHNl"


@dataclass(frozen=True)
class Received:
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """See `ports.WebhookSender`. Answers 204 when `answers` are used up; 0 there is no answer at all."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.received: list[Received] = []

    def send(self, url: str, headers: Mapping[str, str], body: bytes, owner: str = "") -> int:
        self.received.append(Received(url, dict(headers), body))
        status = self.answers.pop(0) if self.answers else 204
        if not 200 <= status < 300:
            raise Undelivered(f"It answered {status}.", status or None)
        return status

    def told_of(self, job_id: str) -> list[Received]:
        return [one for one in self.received if one.event["data"]["id"] == job_id]
