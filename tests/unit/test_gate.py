"""The gate's rules: who is let in, who is called, and what closes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from tests.unit.jobs import NOW, a_job
from video_jobs.domain import gate as gates
from video_jobs.domain.gate import UNCLAIMED, WINDOW, ClosureReason, Gate, GateLimits, Slot

SECOND = timedelta(seconds=1)
TWO = GateLimits(running=2)
NO_LIMITS = GateLimits()
OPEN = Gate("default")
MISTAKEN_KEY = "The backend does not take our key."


def named(number: int) -> str:
    return f"job_{number:026d}"


def let_in(gate: Gate, limits: GateLimits, now: datetime, number: int) -> Gate | None:
    return gates.begin(gate, limits, now, a_job(id=named(number)))


def filled(*numbers: int, at: datetime = NOW) -> Gate:
    """With these jobs at the backend."""
    return replace(OPEN, slots=tuple(Slot(named(number), "default", at, at) for number in numbers))


def closed(
    gate: Gate, retry_after: float | None = 60, at: datetime = NOW, why: ClosureReason = ClosureReason.BUSY
) -> Gate:
    return gates.close(gate, at, why, "Too many running tasks", retry_after)


def closed_for(gate: Gate) -> float:
    assert gate.closure is not None
    return (gate.closure.until - NOW).total_seconds()


# --- whatever happens ---

_numbers = st.integers(0, 7)
_events = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["begin", "call", "leave", "taken"]), _numbers),
        st.tuples(st.just("pass"), st.integers(0, 90)),
        st.tuples(st.just("close"), st.one_of(st.none(), st.integers(0, 200))),
        st.tuples(st.sampled_from(["pause", "resume"]), st.just(0)),
    ),
    max_size=60,
)
_limits = st.builds(
    GateLimits,
    st.one_of(st.none(), st.integers(1, 4)),
    st.one_of(st.none(), st.integers(1, 4)),
)


class _Story:
    """Events applied one after another, by the same rules by which `admission.py` applies them."""

    def __init__(self, limits: GateLimits) -> None:
        self.limits, self.gate, self.now = limits, OPEN, NOW
        self.began: list[tuple[datetime, str]] = []

    def apply(self, event: str, value: int | None) -> None:
        number = value or 0
        match event:
            case "begin":
                begun = let_in(self.gate, self.limits, self.now, number)
                if begun is not None:
                    self.gate = begun
                    self.began.append((self.now, named(number)))
            case "call":
                free = gates.room(self.gate, self.limits, self.now, most=1)
                if free and self.gate.slot(named(number)) is None:
                    self.gate = gates.call(self.gate, self.now, named(number), "default")
            case "leave":
                self.gate = gates.leave(self.gate, named(number))
            case "taken":
                self.gate = gates.taken(self.gate, self.now, named(number))
            case "pass":
                self.now += timedelta(seconds=number)
            case "close":
                self.gate = closed(self.gate, None if value is None else float(value), self.now)
            case "pause":
                self.gate = gates.pause(self.gate, self.now)
            case "resume":
                self.gate = gates.resume(self.gate)


@moderately_many
@given(_limits, _events)
def test_never_more_slots_than_the_limit_and_never_two_of_one_job(
    limits: GateLimits, events: list[tuple[str, int | None]]
) -> None:
    story = _Story(limits)
    for event in events:
        story.apply(*event)
        ids = [slot.job_id for slot in story.gate.slots]
        assert len(ids) == len(set(ids))
        assert limits.running is None or len(ids) <= limits.running


@moderately_many
@given(st.integers(1, 4), _events)
def test_never_more_creates_in_a_minute_than_the_limit(
    most: int, events: list[tuple[str, int | None]]
) -> None:
    story = _Story(GateLimits(creates_per_minute=most))
    for event in events:
        story.apply(*event)
    for end, _ in story.began:
        in_the_minute = [at for at, _ in story.began if end - timedelta(minutes=1) < at <= end]
        assert len(in_the_minute) <= most


@moderately_many
@given(_limits, _events, _numbers)
def test_a_gate_that_is_closed_or_paused_lets_nobody_in(
    limits: GateLimits, events: list[tuple[str, int | None]], number: int
) -> None:
    story = _Story(limits)
    for event in events:
        story.apply(*event)
    for shut in (closed(story.gate, 60, story.now), gates.pause(story.gate, story.now)):
        assert let_in(shut, limits, story.now, number) is None
        assert gates.room(shut, limits, story.now, most=50) == 0


@moderately_many
@given(_limits, _events)
def test_when_its_time_is_over_exactly_one_goes_ahead(
    limits: GateLimits, events: list[tuple[str, int | None]]
) -> None:
    story = _Story(limits)
    for event in events:
        story.apply(*event)
    gate = closed(replace(story.gate, slots=(), paused_since=None), 100, story.now)
    assert gate.closure is not None
    later = gate.closure.until
    assert gates.room(gate, limits, later, most=50) == 1
    probing = let_in(gate, limits, later, 8)
    assert probing is not None
    assert let_in(probing, limits, later + SECOND, 9) is None
    assert gates.room(probing, limits, later + timedelta(hours=1), most=50) == 0


@moderately_many
@given(_limits, _events, _numbers)
def test_leaving_may_be_repeated_and_touches_no_other(
    limits: GateLimits, events: list[tuple[str, int | None]], number: int
) -> None:
    story = _Story(limits)
    for event in events:
        story.apply(*event)
    left = gates.leave(story.gate, named(number))
    assert left.slot(named(number)) is None
    assert gates.leave(left, named(number)) == left
    assert [slot for slot in story.gate.slots if slot.job_id != named(number)] == list(left.slots)


@moderately_many
@given(_limits, _events)
def test_when_it_says_when_it_opens_it_opens_then_and_not_a_second_earlier(
    limits: GateLimits, events: list[tuple[str, int | None]]
) -> None:
    story = _Story(limits)
    for event in events:
        story.apply(*event)
    at = gates.opens_at(story.gate, limits, story.now)
    if at is None:
        assert let_in(story.gate, limits, story.now + timedelta(days=1), 9) is None
    elif at > story.now and not story.gate.called:  # who was called counts as if it went ahead only now
        assert let_in(story.gate, limits, at - SECOND, 9) is None
        assert let_in(story.gate, limits, at, 9) is not None


# --- slots ---


def test_a_job_that_comes_again_keeps_its_slot() -> None:
    again = let_in(filled(1, 2), TWO, NOW + SECOND, 1)
    assert again is not None
    assert {slot.job_id for slot in again.slots} == {named(1), named(2)}


def test_who_is_called_has_a_slot_and_goes_ahead_in_it() -> None:
    called = gates.call(filled(1), NOW, named(2), "default")
    assert let_in(called, TWO, NOW, 3) is None
    begun = let_in(called, TWO, NOW + SECOND, 2)
    assert begun is not None
    assert begun.called == ()
    assert begun.slot(named(2)) == Slot(named(2), "default", NOW, NOW + SECOND)


def test_a_slot_whose_job_was_called_and_did_not_come_is_unclaimed_after_a_while() -> None:
    called = gates.call(filled(1, at=NOW - timedelta(days=1)), NOW, named(2), "default")
    assert gates.unclaimed(called, NOW + UNCLAIMED - SECOND) == ()
    assert [slot.job_id for slot in gates.unclaimed(called, NOW + UNCLAIMED)] == [named(2)]


def test_there_is_room_for_as_many_as_slots_are_free() -> None:
    assert gates.room(filled(1), GateLimits(running=5), NOW, most=50) == 4
    assert gates.room(filled(1), GateLimits(running=5), NOW, most=3) == 3
    assert gates.room(filled(1), GateLimits(running=5, creates_per_minute=2), NOW, most=50) == 2
    assert gates.room(filled(1, 2), NO_LIMITS, NOW, most=50) == 50


def test_a_create_counts_for_a_minute() -> None:
    limits = GateLimits(creates_per_minute=1)
    begun = let_in(OPEN, limits, NOW, 1)
    assert begun is not None
    assert gates.opens_at(begun, limits, NOW + SECOND) == NOW + WINDOW
    later = let_in(begun, limits, NOW + WINDOW, 2)
    assert later is not None
    assert later.creates == (NOW + WINDOW,), "what is over is forgotten, or the row grows for ever"


def test_no_creates_are_counted_where_none_are_limited() -> None:
    begun = let_in(OPEN, TWO, NOW, 1)
    assert begun is not None
    assert begun.creates == ()


# --- closed ---


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(0.0, 10), (0.2, 10), (7.0, 10), (600.0, 600), (604_800.0, 3600), (-5.0, 10), (None, 10)],
)
def test_it_closes_for_no_less_than_the_backend_says_within_reason_and_never_for_nothing(
    retry_after: float | None, seconds: float
) -> None:
    assert closed_for(closed(OPEN, retry_after)) == seconds


def test_without_a_word_from_the_backend_each_failed_probe_doubles_the_time_up_to_two_minutes() -> None:
    gate, now, waits = OPEN, NOW, []
    for _ in range(6):
        gate = closed(gate, None, now)
        assert gate.closure is not None
        waits.append((gate.closure.until - now).total_seconds())
        now = gate.closure.until
    assert waits == [10, 20, 40, 80, 120, 120]


@pytest.mark.parametrize("hint", [0.0, 0.2, -1.0])
def test_a_hint_that_asks_for_nothing_does_not_keep_the_time_from_growing(hint: float) -> None:
    gate, now, waits = OPEN, NOW, []
    for _ in range(4):
        gate = closed(gate, hint, now)
        assert gate.closure is not None
        waits.append((gate.closure.until - now).total_seconds())
        now = gate.closure.until
    assert waits == [10, 20, 40, 80]


def test_after_unknown_outcomes_ten_others_go_ahead_within_two_minutes_and_then_few() -> None:
    gate, now, passed = OPEN, NOW, []
    for _ in range(20):
        gate = gates.close(gate, now, ClosureReason.UNKNOWN_OUTCOME, "No answer.", None)
        assert gate.closure is not None
        now = gate.closure.until
        passed.append((now - NOW).total_seconds())
    assert passed[8] < 120
    assert passed[19] - passed[18] == 120


def test_many_refusals_of_one_moment_close_it_as_one_does() -> None:
    gate = OPEN
    for _ in range(20):
        gate = closed(gate, None)
    assert closed_for(gate) == 10


def test_a_second_refusal_never_opens_it_sooner() -> None:
    assert closed_for(closed(closed(OPEN, 300), 1)) == 300


def test_a_misconfigured_backend_is_tried_every_two_minutes() -> None:
    assert closed_for(closed(OPEN, None, why=ClosureReason.MISCONFIGURED)) == 120


def test_closing_keeps_the_slots_of_those_who_run_and_sends_back_who_was_called() -> None:
    gate = closed(gates.call(filled(1), NOW, named(2), "default"))
    assert [slot.job_id for slot in gate.slots] == [named(1)]


def test_a_job_from_before_it_was_closed_is_no_probe() -> None:
    gate = closed(filled(1, at=NOW - SECOND))
    assert gates.probes(gate) == ()
    assert let_in(gate, TWO, NOW + timedelta(minutes=1), 2) is not None


def test_only_the_probe_opens_it_again() -> None:
    gate = closed(filled(1, at=NOW - SECOND))
    probing = let_in(gate, TWO, NOW + timedelta(minutes=1), 2)
    assert probing is not None
    assert gates.taken(probing, NOW, named(1)) == probing, "it was under way when the gate was closed"
    assert gates.taken(probing, NOW, named(2)).closure is None


def test_when_the_probe_is_gone_the_next_one_goes_ahead() -> None:
    later = NOW + timedelta(minutes=1)
    probing = let_in(closed(OPEN), TWO, later, 1)
    assert probing is not None
    assert gates.opens_at(probing, TWO, later) is None
    assert gates.opens_at(gates.leave(probing, named(1)), TWO, later) == later


def test_the_reason_is_the_pauses_before_the_closures() -> None:
    assert OPEN.reason() is None
    misconfigured = gates.close(OPEN, NOW, ClosureReason.MISCONFIGURED, MISTAKEN_KEY, None)
    assert misconfigured.reason() == MISTAKEN_KEY
    assert "operator" in (gates.pause(misconfigured, NOW).reason() or "")


# --- paused ---


def test_a_pause_keeps_the_slots_of_those_who_run_and_sends_back_who_was_called() -> None:
    gate = gates.pause(gates.call(filled(1), NOW, named(2), "default"), NOW)
    assert [slot.job_id for slot in gate.slots] == [named(1)]
    assert gates.opens_at(gate, NO_LIMITS, NOW + timedelta(days=30)) is None


def test_pausing_twice_remembers_the_first_time() -> None:
    assert gates.pause(gates.pause(OPEN, NOW), NOW + SECOND).paused_since == NOW


def test_resuming_opens_a_closed_gate_too() -> None:
    gate = gates.resume(gates.pause(closed(filled(1)), NOW))
    assert gate == filled(1)
