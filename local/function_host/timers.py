"""Timer triggers: six-field NCRONTAB expressions, in UTC as in Azure.

Each timer has one thread that waits, runs and waits again, so that a timer never overlaps itself. Of several hosts only
one runs it. If a run takes longer than the time to the next, the next follows at once. Runs that were missed while no
host ran are replaced by one run.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from azure.core.exceptions import AzureError
from croniter import CroniterError, croniter

from local.function_host.bindings import TimerTrigger
from local.function_host.calls import TimerCall
from local.function_host.dispatcher import Dispatcher
from local.function_host.errors import AppError
from local.function_host.functions import FunctionFailedError
from local.function_host.leases import brief
from local.function_host.locks import TimerStore
from local.function_host.workers import WorkerGoneError

log = logging.getLogger(__name__)

_ACQUIRE_AGAIN = 2.0  # seconds


class Timer:
    """One timer function. Raises AppError for a schedule that cannot be read."""

    def __init__(self, trigger: TimerTrigger, dispatcher: Dispatcher, store: TimerStore) -> None:
        self._trigger = trigger
        self._dispatcher = dispatcher
        self._store = store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"timer-{trigger.function}", daemon=True)
        try:
            self._next_after(datetime.now(UTC))
        except (CroniterError, ValueError) as error:
            raise AppError(
                f"Function {trigger.function}: its schedule {trigger.schedule!r} is not an NCRONTAB expression "
                f"(second minute hour day month weekday): {error}"
            ) from error

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Start no more runs."""
        self._stopping.set()

    @property
    def running(self) -> bool:
        """False once it is stopped and its last run has ended."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._store.acquire():
                    self._tick()
                self._stopping.wait(_ACQUIRE_AGAIN)
        except Exception:
            log.exception("Timer %s ends", self._trigger.function)
        finally:
            self._store.release()

    def _tick(self) -> None:
        """Run it as long as this host has the lock."""
        now = datetime.now(UTC)
        last = self._last_run() if self._trigger.use_monitor else None
        if last is not None and self._next_after(last) <= now:
            self._call(past_due=True)
        elif self._trigger.run_on_startup:
            self._call(past_due=False)
        due = self._next_after(now)
        while self._wait_until(due):
            started = datetime.now(UTC)
            self._call(past_due=False)
            # From the start of this run: whatever came due since then makes one more run, at once.
            due = self._next_after(started)

    def _wait_until(self, due: datetime) -> bool:
        """False if the timer was stopped, or if another host has the lock."""
        while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
            if self._stopping.wait(min(left, _ACQUIRE_AGAIN)) or not self._store.held:
                return False
        return not self._stopping.is_set() and self._store.held

    def _next_after(self, moment: datetime) -> datetime:
        following: datetime = croniter(self._trigger.schedule, moment, second_at_beginning=True).get_next(
            datetime
        )
        return following

    def _last_run(self) -> datetime | None:
        try:
            return self._store.last_run()
        except AzureError as error:
            log.warning("Timer %s: its last run can't be read: %s", self._trigger.function, brief(error))
            return None

    def _call(self, past_due: bool) -> None:
        if self._trigger.use_monitor:
            self._store.note_run(datetime.now(UTC))
        try:
            self._dispatcher.call(self._trigger.function, TimerCall(past_due))
        except (FunctionFailedError, WorkerGoneError):
            return  # logged by whoever ran it; the next run comes as planned
        except Exception:
            log.exception("Timer %s could not run", self._trigger.function)
