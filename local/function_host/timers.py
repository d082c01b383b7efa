"""Timer triggers: six-field NCRONTAB expressions, in UTC as in Azure.

One thread a timer waits, runs and waits again, so that a timer never overlaps itself. What came due
while it ran is made up for at once, by one run.
"""

import logging
import threading
from datetime import UTC, datetime

import azure.functions as func
from croniter import CroniterError, croniter

from local.function_host.bindings import TimerTrigger
from local.function_host.errors import AppError
from local.function_host.invocations import FunctionFailedError, Invoker

log = logging.getLogger(__name__)

PAST_DUE_SECONDS = 1.0


class Timer:
    """One timer function. Raises AppError for a schedule that cannot be read."""

    def __init__(self, trigger: TimerTrigger, invoker: Invoker) -> None:
        name = trigger.function.name
        self._trigger = trigger
        self._invoker = invoker
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._tick, name=f"timer-{name}", daemon=True)
        try:
            self._next_after(datetime.now(UTC))
        except (CroniterError, ValueError) as error:
            raise AppError(
                f"Function {name}: its schedule {trigger.schedule!r} is not an NCRONTAB expression "
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

    def _tick(self) -> None:
        if self._trigger.run_on_startup:
            self._run(past_due=False)
        due = self._next_after(datetime.now(UTC))
        while self._wait_until(due):
            started = datetime.now(UTC)
            self._run(past_due=(started - due).total_seconds() > PAST_DUE_SECONDS)
            # From the start of this run: whatever came due since then makes one more run, at once.
            due = self._next_after(started)

    def _wait_until(self, due: datetime) -> bool:
        """False when the timer was stopped."""
        while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
            if self._stopping.wait(left):
                return False
        return not self._stopping.is_set()

    def _next_after(self, moment: datetime) -> datetime:
        following: datetime = croniter(self._trigger.schedule, moment, second_at_beginning=True).get_next(
            datetime
        )
        return following

    def _run(self, past_due: bool) -> None:
        try:
            self._invoker.call_on_pool(self._trigger.function, func.timer.TimerRequest(past_due=past_due))
        except FunctionFailedError:
            return  # Logged by the invoker; the next run comes as planned.
        except Exception:
            log.exception("Timer %s could not run", self._trigger.function.name)
