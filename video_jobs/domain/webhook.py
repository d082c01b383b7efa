"""A job's webhook: where its end is told, and how far that has come."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from video_jobs.domain.chain import Chain

MOST_DELIVERIES = 20
"""Of a webhook's deliveries that are kept: two rounds of tries."""

_LONGEST_PROBLEM = 300  # characters


class WebhookStatus(StrEnum):
    #: The job has not ended, or its end has not been told yet.
    PENDING = "pending"
    #: The receiver answered with a success.
    DELIVERED = "delivered"
    #: Tried for three days in vain, and given up.
    FAILED = "failed"
    #: The receiver said, of this event or an earlier one, that it wants no more.
    DISABLED = "disabled"


@dataclass(frozen=True)
class Delivery:
    """One attempt to tell."""

    at: datetime
    status_code: int | None = None  #: None where no answer came
    problem: str | None = None  #: None for a success
    seconds: float = 0.0


@dataclass(frozen=True)
class Webhook:
    """Where and how far. The URL may hold a secret in its path or query: it is for the row and the call, nothing else."""

    url: str | None = None  #: None: the app's own, from its settings
    status: WebhookStatus = WebhookStatus.PENDING
    chain: Chain = field(default_factory=Chain)  #: of this round's messages; turn 0: none has been sent
    manual: bool = False  #: somebody asked for this round, so that a hook that is turned off is tried too
    deliveries: tuple[Delivery, ...] = ()  #: the last `MOST_DELIVERIES`

    def after(self, delivery: Delivery | None, **changes: Any) -> Self:
        if delivery is not None:
            problem = delivery.problem and delivery.problem[:_LONGEST_PROBLEM]
            changes["deliveries"] = (*self.deliveries, replace(delivery, problem=problem))[-MOST_DELIVERIES:]
        return replace(self, **changes)
