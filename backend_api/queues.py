"""How many messages the queues hold, and how long they have waited."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from video_jobs.domain.queue_messages import FETCH_QUEUE, NOTIFY_QUEUE, POLL_QUEUE
from video_jobs.services import Services
from video_jobs.views.job_schema import Time
from video_jobs.views.job_view import time_text

_documented = with_config(use_attribute_docstrings=True)


@_documented
class QueueView(TypedDict):
    """A queue."""

    name: str
    messages: int
    """Approximate; includes messages that are not due yet."""
    oldest_at: Time | None
    """When the oldest waiting message became due; null if none waits."""
    poisoned: int
    """Poison messages that the sweeper has not taken yet."""


class QueuesView(TypedDict):
    """All queues of the app."""

    queues: list[QueueView]


def list_queues(services: Services) -> list[QueueView]:
    """Costs at most three storage calls for each queue."""
    return [_view(services, name) for name in (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE)]


def _view(services: Services, name: str) -> QueueView:
    state = services.messages.state(name)
    return {
        "name": name,
        "messages": state.depth,
        "oldest_at": time_text(services.clock() - state.oldest) if state.oldest else None,
        "poisoned": services.messages.count_poison(name),
    }
