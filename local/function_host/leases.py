"""Leases on queue messages: while a function works on a message, it is hidden from others.

A lease is the time for which the message is invisible. Each renewal changes the pop receipt, and only the latest receipt
allows to renew, release or delete the message.
"""

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.queue import QueueClient, QueueMessage

log = logging.getLogger(__name__)

_LOST = frozenset({"MessageNotFound", "PopReceiptMismatch", "QueueNotFound"})


class LeaseLostError(Exception):
    """Somebody else has the message now, or it no longer exists."""


class Lease:
    """One received message. seconds: for how long each renewal hides it.

    renew, release and delete raise LeaseLostError, or AzureError when the storage does not do it.
    """

    def __init__(self, queue: QueueClient, message: QueueMessage, seconds: int) -> None:
        self.message = message
        self._queue = queue
        self._seconds = seconds
        self._pop_receipt = message.pop_receipt
        # Otherwise a renewal under way could make the receipt of a delete stale.
        self._lock = threading.Lock()
        self._over = False
        self.renew_at = time.monotonic() + seconds / 2

    def renew(self) -> None:
        with self._lock:
            if not self._over:
                self._hide_for(self._seconds)
            self.renew_at = time.monotonic() + self._seconds / 2

    def release(self, delay: float) -> None:
        """Let others see the message after so many seconds."""
        with self._lock:
            self._over = True
            self._hide_for(math.ceil(delay))

    def delete(self) -> None:
        with self._lock:
            self._over = True
            try:
                self._queue.delete_message(self.message.id, self._pop_receipt)
            except HttpResponseError as error:
                raise _lost_or(error) from error

    def postpone_renewal(self) -> None:
        """After a failed renewal: several more attempts before the lease is over."""
        self.renew_at = time.monotonic() + self._seconds / 10

    def _hide_for(self, seconds: int) -> None:
        try:
            updated = self._queue.update_message(
                self.message.id, self._pop_receipt, visibility_timeout=seconds
            )
        except HttpResponseError as error:
            raise _lost_or(error) from error
        self._pop_receipt = updated.pop_receipt


def _lost_or(error: HttpResponseError) -> Exception:
    code = getattr(error, "error_code", None)
    return LeaseLostError(str(code)) if code in _LOST else error


class LeaseKeeper:
    """The thread that renews every lease of one host at half its time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._leases: set[Lease] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._keep_all, name="lease-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    @contextmanager
    def keeping(self, lease: Lease) -> Iterator[None]:
        """Renew the lease until the block is left."""
        with self._changed:
            self._leases.add(lease)
            self._changed.notify()
        try:
            yield
        finally:
            self._forget(lease)

    def _forget(self, lease: Lease) -> None:
        with self._changed:
            self._leases.discard(lease)

    def _keep_all(self) -> None:
        while (lease := self._next_due()) is not None:
            message_id = lease.message.id
            try:
                lease.renew()
            except LeaseLostError as error:
                log.warning("Message %s: the lease is lost (%s); it will run again", message_id, error)
                self._forget(lease)
            except AzureError as error:
                log.warning("Message %s: the lease could not be renewed yet: %s", message_id, brief(error))
                lease.postpone_renewal()
            except Exception:
                log.exception("Message %s: the lease could not be renewed", message_id)
                lease.postpone_renewal()

    def _next_due(self) -> Lease | None:
        """Wait until a lease has to be renewed; None once closed."""
        with self._changed:
            while not self._closed:
                first = min(self._leases, key=lambda lease: lease.renew_at, default=None)
                if first is not None and first.renew_at <= time.monotonic():
                    return first
                self._changed.wait(None if first is None else first.renew_at - time.monotonic())
            return None


def brief(error: Exception) -> str:
    """An error's first line, since the SDK's messages have many."""
    return (str(error).splitlines() or [type(error).__name__])[0]
