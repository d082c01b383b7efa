"""Queue triggers: one listener a queue function.

It fetches a batch whenever few enough messages are being processed, and settles each by itself: done
is deleted, failed becomes visible again, and what failed too often goes to ``<queue>-poison``.
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

import base64
import logging
import random
import threading
from collections.abc import Iterable

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.functions.queue import QueueMessage as FunctionMessage
from azure.storage.queue import LinearRetry, QueueClient, QueueMessage, QueueServiceClient

from local.function_host.bindings import QueueTrigger
from local.function_host.host_json import QueueOptions
from local.function_host.invocations import FunctionFailedError, Invoker
from local.function_host.leases import Lease, LeaseKeeper, LeaseLostError, brief

log = logging.getLogger(__name__)

SHORTEST_POLL_SECONDS = 0.1
NEVER_EXPIRES = -1


def connect(connection_string: str) -> QueueServiceClient:
    """A client that gives up within seconds: the listener is patient itself.

    Raises ValueError for a connection string that cannot be read.
    """
    return QueueServiceClient.from_connection_string(
        connection_string,
        retry_policy=LinearRetry(backoff=1, retry_total=2, random_jitter_range=0),
        connection_timeout=5,
        read_timeout=30,
    )


class QueueListener:
    """Listens to the queue of one function. lease_seconds: how long a killed host hides a message."""

    def __init__(
        self,
        trigger: QueueTrigger,
        service: QueueServiceClient,
        options: QueueOptions,
        lease_seconds: int,
        invoker: Invoker,
        keeper: LeaseKeeper,
    ) -> None:
        self._function = trigger.function
        self._queue = service.get_queue_client(trigger.queue_name)
        self._poison = service.get_queue_client(f"{trigger.queue_name}-poison")
        self._options = options
        self._lease_seconds = lease_seconds
        self._invoker = invoker
        self._keeper = keeper
        self._stopping = threading.Event()
        # Held from the request for messages until they are counted, so that idle() never looks between.
        self._receiving = threading.Lock()
        self._settled = threading.Condition()
        self._in_process = 0
        self._thread = threading.Thread(target=self._listen, name=f"queue-{trigger.queue_name}", daemon=True)

    def start(self) -> None:
        """Create the queue when it is missing, and listen."""
        try:
            _create(self._queue)
        except AzureError as error:
            log.warning("Queue %s: the storage does not answer yet: %s", self._queue.queue_name, brief(error))
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages; those that are here are processed to their end."""
        self._stopping.set()
        with self._settled:
            self._settled.notify_all()

    @property
    def running(self) -> bool:
        """False once it is stopped, asks for no more messages and has settled those it had."""
        return self._thread.is_alive() or self.in_process > 0

    @property
    def in_process(self) -> int:
        """How many messages are here: waiting for a thread, running or being settled."""
        with self._settled:
            return self._in_process

    def idle(self) -> bool:
        """Whether no message is here, and none visible in the queue. Raises AzureError."""
        with self._receiving:
            return self.in_process == 0 and not self._queue.peek_messages(max_messages=1)

    def _listen(self) -> None:
        pause = SHORTEST_POLL_SECONDS
        healthy = True
        while self._wait_for_room():
            try:
                found = self._receive_batch()
            except Exception as error:
                if healthy:
                    log.warning(
                        "Queue %s: receiving fails, trying on: %s",
                        self._queue.queue_name,
                        brief(error),
                        exc_info=not isinstance(error, AzureError),
                    )
                healthy, found = False, 0
            else:
                if not healthy:
                    log.warning("Queue %s: receiving works again", self._queue.queue_name)
                healthy = True
            if found:
                pause = SHORTEST_POLL_SECONDS
            else:
                self._stopping.wait(pause * random.uniform(0.8, 1.0))
                pause = min(pause * 2, self._options.max_polling_interval)

    def _wait_for_room(self) -> bool:
        """Wait until a new batch may be fetched; False when there will be none any more."""
        with self._settled:
            self._settled.wait_for(
                lambda: self._stopping.is_set() or self._in_process <= self._options.threshold
            )
        return not self._stopping.is_set()

    def _receive_batch(self) -> int:
        with self._receiving:
            try:
                messages = self._get_messages()
            except HttpResponseError as error:
                if getattr(error, "error_code", None) != "QueueNotFound":
                    raise
                _create(self._queue)
                return 0
            for message in messages:
                with self._settled:
                    self._in_process += 1
                self._invoker.submit(self._process, Lease(self._queue, message, self._lease_seconds))
            return len(messages)

    def _get_messages(self) -> list[QueueMessage]:
        pages: Iterable[Iterable[QueueMessage]] = self._queue.receive_messages(
            messages_per_page=self._options.batch_size, visibility_timeout=self._lease_seconds
        ).by_page()
        # Only the first page: the next one would be another batch.
        return list(next(iter(pages), ()))

    def _process(self, lease: Lease) -> None:
        queue, message = self._queue.queue_name, lease.message
        try:
            with self._keeper.keeping(lease):
                self._run_and_settle(lease)
        except LeaseLostError as error:
            log.warning("Queue %s: another has message %s by now (%s)", queue, message.id, error)
        except AzureError as error:
            log.error(
                "Queue %s: message %s could not be settled and comes back within %d s: %s",
                queue,
                message.id,
                self._lease_seconds,
                brief(error),
            )
        except Exception:
            log.exception("Queue %s: message %s could not be processed", queue, message.id)
        finally:
            with self._settled:
                self._in_process -= 1
                self._settled.notify_all()

    def _run_and_settle(self, lease: Lease) -> None:
        message, tries = lease.message, lease.message.dequeue_count or 1
        if tries > self._options.max_dequeue_count:
            # A host was killed in the last try, and nobody was left to move it.
            self._move_to_poison(lease, "its last try never ended")
            return
        try:
            body = self._decode(message.content)
        except ValueError:
            self._move_to_poison(lease, "its body is not base64 (extensions.queues.messageEncoding)")
            return
        try:
            self._invoker.call(self._function, _as_argument(message, body))
        except FunctionFailedError:
            if tries >= self._options.max_dequeue_count:
                self._move_to_poison(lease, f"it failed {tries} times")
            else:
                lease.release(self._options.visibility_timeout)
        else:
            lease.delete()

    def _decode(self, content: str) -> bytes:
        """Raises ValueError for what is not base64."""
        if self._options.message_encoding == "none":
            return content.encode()
        return base64.b64decode("".join(content.split()), validate=True)

    def _move_to_poison(self, lease: Lease, reason: str) -> None:
        log.error(
            "Queue %s: message %s goes to %s: %s",
            self._queue.queue_name,
            lease.message.id,
            self._poison.queue_name,
            reason,
        )
        _create(self._poison)
        # Copied first: between the two it exists twice rather than never.
        self._poison.send_message(lease.message.content, time_to_live=NEVER_EXPIRES)
        lease.delete()


def _create(queue: QueueClient) -> None:
    try:
        queue.create_queue()
    except ResourceExistsError:
        return
    log.info("Queue %s: created", queue.queue_name)


def _as_argument(message: QueueMessage, body: bytes) -> FunctionMessage:
    return FunctionMessage(
        id=message.id,
        body=body,
        dequeue_count=message.dequeue_count,
        insertion_time=message.inserted_on,
        expiration_time=message.expires_on,
        time_next_visible=message.next_visible_on,
        pop_receipt=message.pop_receipt,
    )
