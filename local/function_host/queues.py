"""Queue triggers: one listener for each queue function.

It fetches a batch whenever few enough messages are being processed, and settles each by itself: done
is deleted, failed becomes visible again, and what failed too often goes to ``<queue>-poison``. A queue
that is a poison queue itself has none: what fails there comes back when its lease is over, until it
expires. It creates no queue but a poison queue: one that is not there is asked for again and again.
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

import base64
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import LinearRetry, QueueClient, QueueMessage, QueueServiceClient

from local.function_host.backoff import Backoff
from local.function_host.bindings import QueueTrigger
from local.function_host.calls import QueueCall
from local.function_host.dispatcher import Dispatcher
from local.function_host.functions import FunctionFailedError
from local.function_host.host_json import QueueOptions
from local.function_host.leases import Lease, LeaseKeeper, LeaseLostError, brief
from local.function_host.workers import WorkerGoneError

log = logging.getLogger(__name__)

_POISON = "-poison"


def connect(connection_string: str) -> QueueServiceClient:
    """A client that gives up after some seconds, since the listener itself repeats.

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
        dispatcher: Dispatcher,
        keeper: LeaseKeeper,
    ) -> None:
        self.queue_name = trigger.queue_name
        self.on_poison: Callable[[str], None] = lambda queue_name: (
            None
        )  #: told of a queue that has a message more
        self._function = trigger.function
        self._queue = service.get_queue_client(trigger.queue_name)
        is_poison = trigger.queue_name.endswith(_POISON)
        self._poison = None if is_poison else service.get_queue_client(trigger.queue_name + _POISON)
        self._options = options
        self._lease_seconds = lease_seconds
        self._dispatcher = dispatcher
        self._keeper = keeper
        self._pool = ThreadPoolExecutor(options.batch_size + options.threshold, f"queue-{trigger.queue_name}")
        self._woken = threading.Event()
        self._stopping = threading.Event()
        # Held from the request for messages until they are counted, so that idle() never looks between.
        self._receiving = threading.Lock()
        self._settled = threading.Condition()
        self._in_process = 0
        self._thread = threading.Thread(target=self._listen, name=f"queue-{trigger.queue_name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages; those that are here are processed to their end."""
        self._stopping.set()
        self._woken.set()
        with self._settled:
            self._settled.notify_all()

    def close(self) -> None:
        """Release the threads, without waiting for what still runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def wake(self) -> None:
        """Read the queue at once: it has a new message."""
        self._woken.set()

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
            try:
                return self.in_process == 0 and not self._queue.peek_messages(max_messages=1)
            except ResourceNotFoundError:
                return True

    def _listen(self) -> None:
        backoff = Backoff(self._options.max_polling_interval)
        healthy = True
        while self._wait_for_room():
            try:
                found = self._receive_batch()
            except Exception as error:
                if healthy:
                    log.warning(
                        "Queue %s: receiving fails, trying on: %s",
                        self.queue_name,
                        brief(error),
                        exc_info=not isinstance(error, AzureError),
                    )
                healthy, found = False, 0
            else:
                if not healthy:
                    log.warning("Queue %s: receiving works again", self._queue.queue_name)
                healthy = True
            if found:
                backoff.found()
            elif self._woken.wait(backoff.pause()) and not self._stopping.is_set():
                self._woken.clear()
                backoff.found()

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
                return 0
            for message in messages:
                with self._settled:
                    self._in_process += 1
                self._pool.submit(self._process, Lease(self._queue, message, self._lease_seconds))
            return len(messages)

    def _get_messages(self) -> list[QueueMessage]:
        pages: Iterable[Iterable[QueueMessage]] = self._queue.receive_messages(
            messages_per_page=self._options.batch_size, visibility_timeout=self._lease_seconds
        ).by_page()
        # Only the first page: the next one would be another batch.
        return list(next(iter(pages), ()))

    def _process(self, lease: Lease) -> None:
        queue, message = self.queue_name, lease.message
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
        if tries > self._options.max_dequeue_count and self._poison is not None:
            # A host was killed during the last try, so nobody has moved the message.
            self._give_up(lease, "its last try never ended")
            return
        try:
            body = self._decode(message.content)
        except ValueError:
            self._give_up(lease, "its body is not base64 (extensions.queues.messageEncoding)")
            return
        try:
            body.decode()  # the real host makes text of it before Python sees anything
            self._dispatcher.call(self._function, _as_call(message, body))
        except UnicodeDecodeError:
            log.error("Executed '%s' (Failed): the message's bytes are not UTF-8", self._function)
        except (FunctionFailedError, WorkerGoneError):
            pass  # logged by whoever ran it
        else:
            lease.delete()
            return
        if self._poison is None:
            return  # not released: it comes back when the lease is over
        if tries >= self._options.max_dequeue_count:
            self._give_up(lease, f"it failed {tries} times")
        else:
            lease.release(self._options.visibility_timeout)

    def _decode(self, content: str) -> bytes:
        """Raises ValueError for what is not base64."""
        if self._options.message_encoding == "none":
            return content.encode()
        return base64.b64decode("".join(content.split()), validate=True)

    def _give_up(self, lease: Lease, reason: str) -> None:
        if self._poison is None:
            log.error("Queue %s: message %s stays hidden: %s", self.queue_name, lease.message.id, reason)
            return
        poison = self._poison.queue_name
        log.error("Queue %s: message %s goes to %s: %s", self.queue_name, lease.message.id, poison, reason)
        _create(self._poison)
        # Copied first: if this is interrupted, the message exists twice and is not lost. Without a time to live it is kept for a week.
        self._poison.send_message(lease.message.content)
        lease.delete()
        self.on_poison(poison)


def _create(queue: QueueClient) -> None:
    try:
        queue.create_queue()
    except ResourceExistsError:
        return
    log.info("Queue %s: created", queue.queue_name)


def _as_call(message: QueueMessage, body: bytes) -> QueueCall:
    return QueueCall(
        id=message.id,
        body=body,
        dequeue_count=message.dequeue_count or 1,
        insertion_time=message.inserted_on,
        expiration_time=message.expires_on,
        time_next_visible=message.next_visible_on,
        pop_receipt=message.pop_receipt or "",
    )
