"""A job's webhook: the URL that is told of the job's end, and the state of its deliveries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from video_jobs.domain.chain import Chain

MOST_DELIVERIES = 20
"""How many deliveries of a webhook are kept: two rounds of tries."""

_LONGEST_PROBLEM = 300  # characters


class WebhookStatus(StrEnum):
    #: The job has not ended, or its end is not delivered yet.
    PENDING = "pending"
    #: The receiver answered with a success.
    DELIVERED = "delivered"
    #: Given up after three days of failed tries.
    FAILED = "failed"
    #: The receiver answered, to this event or an earlier one, that it wants no more.
    DISABLED = "disabled"


@dataclass(frozen=True)
class Delivery:
    """One try to tell the webhook."""

    at: datetime
    status_code: int | None = None  #: None without an answer
    problem: str | None = None  #: None for a success
    seconds: float = 0.0


@dataclass(frozen=True)
class Webhook:
    """The URL and the deliveries. The URL may have a secret in its path or query: only the row and the call may have it."""

    url: str | None = None  #: None: the app's own, from its settings
    status: WebhookStatus = WebhookStatus.PENDING
    chain: Chain = field(default_factory=Chain)  #: of this round's messages; turn 0: none has been sent
    manual: bool = False  #: a client asked for this round, so a hook that is turned off is tried too
    deliveries: tuple[Delivery, ...] = ()  #: the last `MOST_DELIVERIES`

    def after(self, delivery: Delivery | None, **changes: Any) -> Self:
        if delivery is not None:
            problem = delivery.problem and delivery.problem[:_LONGEST_PROBLEM]
            changes["deliveries"] = (*self.deliveries, replace(delivery, problem=problem))[-MOST_DELIVERIES:]
        return replace(self, **changes)
