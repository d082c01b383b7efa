"""The app's time is storage's, whatever this machine's clock says, and however it changes."""

from __future__ import annotations

import logging
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from video_jobs.storage.clock import StorageClock

NOON = 1_790_000_000.25


class Machine:
    """Its clock, which is `off` by some seconds, and the seconds since it was started."""

    def __init__(self) -> None:
        self.off, self.passed = 0.0, 5000.0
        self.clock = StorageClock(lambda: self.true() + self.off, lambda: self.passed)

    def true(self) -> float:
        return NOON + self.passed

    def calls(self, there: float = 0.0, back: float = 0.0, date: str | None = None) -> None:
        """One call of storage; the seconds that it and its answer are on their way."""
        context: dict[str, Any] = {}
        self.clock.sends(SimpleNamespace(context=context))
        self.passed += there
        headers = {"date": formatdate(self.true(), usegmt=True) if date is None else date}
        self.passed += back
        self.clock.hears(SimpleNamespace(context=context, http_response=SimpleNamespace(headers=headers)))

    @property
    def wrong_by(self) -> float:
        return self.clock().timestamp() - self.true()


@pytest.mark.parametrize("off", [-(10**8), -3600, -5, 5, 3600, 10**8])
def test_a_clock_that_is_off_is_corrected_by_the_first_answer(off: float) -> None:
    machine = Machine()
    machine.off = off
    for _ in range(20):
        machine.passed += 0.3
        machine.calls()
        assert abs(machine.wrong_by) < 1


@pytest.mark.parametrize("off", [-3600, 3600])
def test_a_clock_that_jumps_changes_nothing(off: float) -> None:
    machine = Machine()
    machine.calls()
    for machine.off in (off, 0.0, off):
        machine.passed += 10
        assert abs(machine.wrong_by) < 0.001
        machine.calls()
        assert abs(machine.wrong_by) < 0.001


def test_a_clock_that_is_right_is_left_as_it_is() -> None:
    machine = Machine()
    for number in range(50):
        machine.passed += 0.17
        machine.calls(0.01 * number, 0.02 * number)
        assert abs(machine.wrong_by) < 0.001


@pytest.mark.parametrize(("there", "back"), [(60, 0), (0, 60)], ids=["there", "back"])
def test_a_call_that_takes_long_proves_nothing(there: float, back: float) -> None:
    machine = Machine()
    machine.calls(there, back)
    assert abs(machine.wrong_by) < 0.001


def test_storages_own_clock_may_change_and_a_machine_may_sleep_uncounted() -> None:
    machine = Machine()
    machine.calls()
    for off in (600, 0):
        for _ in range(2):
            machine.calls(date=formatdate(machine.true() + off, usegmt=True))
        assert abs(machine.wrong_by - off) < 1


def test_the_first_answer_after_a_sleep_that_no_tick_counted_is_believed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As a Mac's, or a paused virtual machine's: storage and the machine's clock agree."""
    machine = Machine()
    machine.calls()
    machine.off = 8 * 3600
    machine.calls(date=formatdate(machine.true() + machine.off, usegmt=True))
    assert machine.wrong_by == machine.off
    assert not caplog.records


def test_a_single_answer_with_another_time_is_not_believed() -> None:
    """As one from the cache of a proxy."""
    machine = Machine()
    machine.calls()
    for off in (600, -600, 10**8):
        machine.calls(date=formatdate(machine.true() + off, usegmt=True))
        assert abs(machine.wrong_by) < 0.001
        machine.calls()
        assert abs(machine.wrong_by) < 0.001


@pytest.mark.parametrize("date", ["", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_an_answer_without_a_time_proves_nothing(date: str) -> None:
    machine = Machine()
    machine.calls(date=date)
    assert machine.wrong_by == 0


def test_the_operator_is_told_once_how_far_the_clock_is_off(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.off = -3600
    for _ in range(3):
        machine.calls()
    machine.off = 0
    machine.calls()
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(told) == 1
    assert '"event": "storage.clock_differs", "seconds": -3600' in told[0]
