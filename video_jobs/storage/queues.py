"""The messages in Queue Storage: base64, which the Functions host expects, and without an end."""

from __future__ import annotations

import contextlib
import math
from datetime import timedelta

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient, QueueServiceClient, TextBase64EncodePolicy

from video_jobs.messages import (
    FETCH_QUEUE,
    NOTIFY_QUEUE,
    POLL_QUEUE,
    FetchMessage,
    NotifyMessage,
    PollMessage,
)
from video_jobs.storage.connection import translated

_QUEUES = (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE)
_FOR_EVER = -1  # time to live: a message that ends by itself would be a job that is forgotten


class StorageMessages:
    """See `ports.Messages`."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._queues = self._poll, self._fetch, self._notify = tuple(
            service.get_queue_client(name, message_encode_policy=TextBase64EncodePolicy()) for name in _QUEUES
        )

    def send_poll(self, message: PollMessage, delay: timedelta) -> None:
        self._send(self._poll, message.encode(), message.job_id, delay)

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None:
        self._send(self._fetch, message.encode(), message.job_id, delay)

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None:
        self._send(self._notify, message.encode(), message.job_id, delay)

    def ping(self) -> None:
        for queue in self._queues:
            with translated(f"reading the queue {queue.queue_name}"):
                queue.get_queue_properties()

    @staticmethod
    def _send(queue: QueueClient, text: str, job_id: str, delay: timedelta) -> None:
        with translated(f"sending a message to {queue.queue_name} for {job_id}"):
            queue.send_message(
                text, visibility_timeout=math.ceil(delay.total_seconds()), time_to_live=_FOR_EVER
            )


def create_queues(service: QueueServiceClient) -> None:
    with translated("creating the queues"):
        for name in _QUEUES:
            with contextlib.suppress(ResourceExistsError):
                service.create_queue(name)
