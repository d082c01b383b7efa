"""What this process knows about receivers: which ones answer, which are slow, and which have a delivery right now.

A delivery to a receiver that never answers holds a thread until its time limit. So only one delivery at a time goes
to a receiver, and one more waits for it to end. A receiver that has never answered gets a short time limit. After it has
let this limit pass a few times without an answer, it counts as slow: it gets the full time limit, but only a few
deliveries to slow receivers run at once. For one owner, only a few deliveries run at once to receivers that are not known
to answer promptly. Meanwhile all other receivers get their deliveries. A delivery that is turned away comes back later,
each at another time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from video_jobs.domain.errors import ReceiverBusy

SHORT_DEADLINE = 3.0  # seconds, for a receiver that has not answered yet
SHORT_TIMES = 2  # how often it gets this short time
MOST_SLOW = 2  # deliveries at once to receivers that never answered in the short times
MOST_OF_AN_OWNER = 2
"""Deliveries at once to receivers that have not answered, or took long; of eight at once in a process."""

_PROMPT = 1.0  # seconds: a receiver that answers faster counts as prompt
_WAIT_FOR_TURN = 1.0  # seconds, if the receiver is prompt
# Deliveries that are turned away come back one after the other: those of one owner _APART seconds, those to a prompt receiver
# _CLOSEST or as many as it takes to answer; and all within the longest time.
_APART, _CLOSEST, _LONGEST_AWAY = 0.5, 0.02, 60.0
_MOST_KNOWN = 2000  # receivers; the one that was told longest ago is forgotten first


@dataclass
class _Receiver:
    turn: threading.Lock = field(default_factory=threading.Lock)
    next_turn: threading.Lock = field(default_factory=threading.Lock)  #: of the delivery that waits for it
    has_answered: bool = False
    is_prompt: bool = False
    seconds: float = 0.0  #: that its last answer took
    timeouts: int = 0  #: since it answered last


class Receivers:
    """By host and port."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Receiver] = OrderedDict()
        self._slow = threading.BoundedSemaphore(MOST_SLOW)
        self._under_way: Counter[str] = Counter()  # by owner, without deliveries to prompt receivers
        self._away_until: OrderedDict[str, float] = OrderedDict()  # by owner, or receiver

    @contextlib.contextmanager
    def telling(self, netloc: str, owner: str = "") -> Iterator[float]:
        """Gives the seconds that this delivery may take. Raises ReceiverBusy if it may not begin now."""
        receiver = self._of(netloc)
        is_prompt = receiver.is_prompt
        is_slow = not receiver.has_answered and receiver.timeouts >= SHORT_TIMES
        with contextlib.ExitStack() as stack:
            if not is_prompt:
                self._take_turn_of(owner, stack)
            if not _has_turn(receiver, is_prompt):
                why = "Another delivery to this receiver is under way."
                # Deliveries to a prompt receiver come back as fast as it takes them.
                apart = max(receiver.seconds, _CLOSEST)
                raise self._busy(netloc, why, apart) if is_prompt else self._busy(owner, why)
            stack.callback(receiver.turn.release)
            if is_slow:
                if not self._slow.acquire(blocking=False):
                    raise self._busy(owner, "Other receivers that do not answer are being waited for.")
                stack.callback(self._slow.release)
            is_known = receiver.has_answered or is_slow
            yield self._deadline if is_known else min(SHORT_DEADLINE, self._deadline)

    def answered(self, netloc: str, after: float = 0.0) -> None:
        """`after` so many seconds."""
        receiver = self._of(netloc)
        receiver.has_answered, receiver.is_prompt, receiver.timeouts = True, after < _PROMPT, 0
        receiver.seconds = after

    def timed_out(self, netloc: str) -> None:
        """It used up most of its time without an answer."""
        receiver = self._of(netloc)
        receiver.has_answered, receiver.is_prompt, receiver.timeouts = False, False, receiver.timeouts + 1

    def _take_turn_of(self, owner: str, stack: contextlib.ExitStack) -> None:
        with self._lock:
            is_free = self._under_way[owner] < MOST_OF_AN_OWNER
            self._under_way[owner] += is_free
        if not is_free:
            raise self._busy(owner, "Other receivers of this owner's are being waited for.")
        stack.callback(self._give_turn_back, owner)

    def _give_turn_back(self, owner: str) -> None:
        with self._lock:
            self._under_way[owner] -= 1
            self._under_way += Counter()  # forgets who has none

    def _busy(self, whose: str, why: str, apart: float = _APART) -> ReceiverBusy:
        """Each of an owner's, or of a receiver's, returns at its own time, so that they are not all refused again at once."""
        now = time.monotonic()
        with self._lock:
            until = min(max(self._away_until.pop(whose, now), now) + apart, now + _LONGEST_AWAY)
            self._away_until[whose] = until
            while len(self._away_until) > _MOST_KNOWN:
                self._away_until.popitem(last=False)
        return ReceiverBusy(why, retry_after=until - now)

    def _of(self, netloc: str) -> _Receiver:
        with self._lock:
            receiver = self._known.setdefault(netloc, _Receiver())
            self._known.move_to_end(netloc)
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
            return receiver


def _has_turn(receiver: _Receiver, is_prompt: bool) -> bool:
    if receiver.turn.acquire(blocking=False):
        return True
    if not is_prompt or not receiver.next_turn.acquire(blocking=False):
        return False
    try:
        return receiver.turn.acquire(timeout=_WAIT_FOR_TURN)
    finally:
        receiver.next_turn.release()
