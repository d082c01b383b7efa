"""Receivers that never answer keep the others waiting for little."""

from __future__ import annotations

import contextlib
import threading

import pytest

from video_jobs.domain.errors import ReceiverBusy
from video_jobs.webhooks import receivers
from video_jobs.webhooks.receivers import MOST_OF_AN_OWNER, MOST_SLOW, SHORT_DEADLINE, SHORT_TIMES, Receivers

LONG = 20.0  # seconds


def test_who_has_not_answered_yet_gets_little_time_and_who_has_gets_all():
    known = Receivers(LONG)
    with known.telling("a:443") as seconds:
        assert seconds == SHORT_DEADLINE
    known.answered("a:443")
    with known.telling("a:443") as seconds:
        assert seconds == LONG
    with known.telling("b:443") as seconds:
        assert seconds == SHORT_DEADLINE


def test_who_is_merely_slow_gets_all_the_time_after_some_tries():
    known = Receivers(LONG)
    for _ in range(SHORT_TIMES):
        with known.telling("slow:443") as seconds:
            assert seconds == SHORT_DEADLINE
        known.timed_out("slow:443")
    with known.telling("slow:443") as seconds:
        assert seconds == LONG
    known.answered("slow:443")
    known.timed_out("slow:443")
    with known.telling("slow:443") as seconds:
        assert seconds == SHORT_DEADLINE


def test_one_delivery_at_a_time_goes_to_a_receiver(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(receivers, "_WAIT_FOR_TURN", 0.01)
    known = Receivers(LONG)
    with known.telling("a:443"):
        with pytest.raises(ReceiverBusy), known.telling("a:443"):
            pass
        with known.telling("a:8443", "two"), known.telling("b:443", "three"):
            pass
    with known.telling("a:443"):
        pass


def test_few_of_those_that_never_answer_are_waited_for_at_once():
    known = Receivers(LONG)
    names = [f"tarpit{number}:443" for number in range(MOST_SLOW + 1)]
    for name in names:
        for _ in range(SHORT_TIMES):
            known.timed_out(name)
    inside, leave = threading.Barrier(MOST_SLOW + 1), threading.Event()

    def wait(name: str) -> None:
        with known.telling(name):
            inside.wait(10)
            leave.wait(10)

    threads = [threading.Thread(target=wait, args=(name,)) for name in names[:MOST_SLOW]]
    for thread in threads:
        thread.start()
    inside.wait(10)
    with pytest.raises(ReceiverBusy), known.telling(names[-1]):
        pass
    with known.telling("healthy:443", "another") as seconds:
        assert seconds == SHORT_DEADLINE
    leave.set()
    for thread in threads:
        thread.join(10)
    with known.telling(names[-1]) as seconds:
        assert seconds == LONG


def test_what_is_known_of_receivers_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(receivers, "_MOST_KNOWN", 3)
    known = Receivers(LONG)
    known.answered("first:443")
    for number in range(3):
        known.answered(f"r{number}:443")
    with known.telling("first:443") as seconds:
        assert seconds == SHORT_DEADLINE


def test_of_one_owners_receivers_that_have_not_answered_few_are_waited_for_and_others_are_told():
    known = Receivers(LONG)
    with contextlib.ExitStack() as stack:
        for number in range(MOST_OF_AN_OWNER):
            stack.enter_context(known.telling(f"dead{number}:443", "one"))
        for number in range(5):
            with pytest.raises(ReceiverBusy), known.telling(f"also-dead{number}:443", "one"):
                pass
        with known.telling("healthy:443", "another"):
            pass
    with known.telling("dead0:443", "one"):
        pass


def test_an_owners_receiver_that_answers_at_once_does_not_wait_for_the_others():
    known = Receivers(LONG)
    known.answered("healthy:443", 0.1)
    known.answered("slow:443", 19.0)
    with contextlib.ExitStack() as stack:
        for number in range(MOST_OF_AN_OWNER):
            stack.enter_context(known.telling(f"dead{number}:443", "one"))
        with known.telling("healthy:443", "one") as seconds:
            assert seconds == LONG
        with pytest.raises(ReceiverBusy), known.telling("slow:443", "one"):
            pass


def test_who_is_turned_away_comes_back_at_a_time_of_its_own():
    known = Receivers(LONG)
    turns: list[float] = []
    with contextlib.ExitStack() as stack:
        for number in range(MOST_OF_AN_OWNER):
            stack.enter_context(known.telling(f"dead{number}:443", "one"))
        for number in range(20):
            with pytest.raises(ReceiverBusy) as busy, known.telling(f"also-dead{number}:443", "one"):
                pass
            assert busy.value.retry_after is not None
            turns.append(busy.value.retry_after)
    assert turns == sorted(turns)
    assert turns[-1] - turns[0] > 5
    assert max(turns) <= 60


def test_of_very_many_deliveries_to_one_receiver_one_waits_and_the_others_hold_nobody_up():
    known = Receivers(LONG)
    known.answered("a:443", 0.2)
    with known.telling("a:443", "one"):
        waiting = threading.Thread(target=_be_told, args=(known, "a:443"))
        waiting.start()
        while not known._of("a:443").next_turn.locked():
            waiting.join(0.001)
        turns = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(receivers, "_WAIT_FOR_TURN", 3600.0)  # who waits now waits for ever
            for _ in range(20):
                with pytest.raises(ReceiverBusy) as busy, known.telling("a:443", "one"):
                    pass
                turns.append(busy.value.retry_after or 0.0)
    waiting.join(10)
    assert turns == sorted(turns)
    assert 0.2 * 10 < turns[-1] - turns[0] < 0.2 * 20, "they return as fast as the receiver takes them"


def _be_told(known: Receivers, netloc: str) -> None:
    with contextlib.suppress(ReceiverBusy), known.telling(netloc, "one"):
        pass
