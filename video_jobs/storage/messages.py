"""The messages in Queue Storage: base64, which the Functions host expects, and with no time to live."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import logging
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient, TextBase64EncodePolicy

from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import (
    FETCH_QUEUE,
    NOTIFY_QUEUE,
    POLL_QUEUE,
    FetchMessage,
    NotifyMessage,
    PollMessage,
)
from video_jobs.ports.clock import Clock
from video_jobs.ports.messages import BACKLOG_AGE, PoisonMessage, QueueState
from video_jobs.storage.connection import ONCE, error_code, translated, unless_there

log = logging.getLogger("reelkeep.storage")

T = TypeVar("T")

_QUEUES = (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE)
_POISON = "-poison"  # what the host adds to a queue's name
_COMMON_PREFIX = "video-"  # of the names of all queues
_POISON_HIDDEN = 120  # seconds
_MOST_PEEKED = 32  # messages; the service gives no more at once
_FOR_EVER = -1  # time to live: an expired message would mean a forgotten job


class StorageMessages:
    """See `ports.Messages`."""

    def __init__(self, service: QueueServiceClient, clock: Clock) -> None:
        self._queues = self._poll, self._fetch, self._notify = tuple(
            service.get_queue_client(name, message_encode_policy=TextBase64EncodePolicy()) for name in _QUEUES
        )
        self._poison = [service.get_queue_client(name + _POISON) for name in _QUEUES]
        self._service, self._clock = service, clock

    def send_poll(self, message: PollMessage, delay: timedelta) -> None:
        self._send(self._poll, message, delay)

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None:
        self._send(self._fetch, message, delay)

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None:
        self._send(self._notify, message, delay)

    def has_backlog(self, queue: str) -> bool:
        return any(wait >= BACKLOG_AGE for wait in self._waits(self._queue(queue)))

    def state(self, queue: str) -> QueueState:
        client = self._queue(queue)
        with translated(f"reading the queue {queue}"):
            depth = _in(client, client.get_queue_properties).approximate_message_count or 0
        return QueueState(depth, max(self._waits(client), default=timedelta()) if depth else timedelta())

    def count_poison(self, queue: str) -> int:
        client = self._poison[_QUEUES.index(queue)]
        with translated(f"reading the queue {client.queue_name}"):
            try:
                return client.get_queue_properties().approximate_message_count or 0
            except ResourceNotFoundError:
                return 0  # the host creates it with the first message

    def _queue(self, name: str) -> QueueClient:
        return next(each for each in self._queues if each.queue_name == name)

    def _waits(self, queue: QueueClient) -> list[timedelta]:
        """How long those at the head have been visible."""
        with translated(f"peeking at the head of {queue.queue_name}"):
            head = _in(queue, lambda: queue.peek_messages(max_messages=_MOST_PEEKED))
        now = self._clock()
        return [now - (_due(message) or now) for message in head]

    def take_poison(self, most: int) -> list[PoisonMessage]:
        with translated("listing the poison queues"):
            # The host creates a poison queue with its first message: as a rule one list is all that is asked.
            there = {queue.name for queue in self._service.list_queues(name_starts_with=_COMMON_PREFIX)}
        present = [queue for queue in self._poison if queue.queue_name in there]
        return [message for queue in present for message in self._take(queue, most)]

    def drop_poison(self, message: PoisonMessage) -> None:
        queue, taken = message.receipt
        what = f"deleting a message of {queue.queue_name}"
        with translated(what), contextlib.suppress(ResourceNotFoundError):
            queue.delete_message(taken.id, taken.pop_receipt)

    def ping(self) -> None:
        for queue in self._queues:
            with translated(f"reading the queue {queue.queue_name}"):
                queue.get_queue_properties(**ONCE)

    @staticmethod
    def _take(queue: QueueClient, most: int) -> Iterator[PoisonMessage]:
        with translated(f"reading {queue.queue_name}"):
            taken = list(queue.receive_messages(max_messages=most, visibility_timeout=_POISON_HIDDEN))
        for message in taken:
            name, tries = queue.queue_name.removesuffix(_POISON), message.dequeue_count or 1
            yield PoisonMessage(name, _decoded(message.content), tries, (queue, message))

    def _send(
        self, queue: QueueClient, message: PollMessage | FetchMessage | NotifyMessage, delay: timedelta
    ) -> None:
        text = message.encode(due=self._clock() + delay)
        hidden = math.ceil(delay.total_seconds())
        with translated(f"sending a message to {queue.queue_name} for {message.job_id}"):
            _in(
                queue,
                lambda: queue.send_message(text, visibility_timeout=hidden, time_to_live=_FOR_EVER),
            )


def _in(queue: QueueClient, call: Callable[[], T]) -> T:
    """The result of the call. A queue that somebody deleted is made again: no job would go on before the app starts anew."""
    try:
        return call()
    except ResourceNotFoundError as error:
        if error_code(error) != "QueueNotFound":
            raise
        log_event(log, logging.WARNING, "storage.queue_made_again", queue=queue.queue_name)
        with unless_there("QueueAlreadyExists"):
            queue.create_queue()
        return call()


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _due(message: QueueMessage) -> datetime | None:
    """When it became visible: as it says itself, else when it was sent."""
    try:
        due = json.loads(_decoded(message.content) or b"")["due"]
        return datetime.fromtimestamp(due, UTC)
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        return message.inserted_on


def create_queues(service: QueueServiceClient) -> None:
    with translated("creating the queues"):
        for name in _QUEUES:
            with unless_there("QueueAlreadyExists"):
                service.create_queue(name)
