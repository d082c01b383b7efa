"""What this process knows of receivers: who answers, who keeps us waiting, and who is being told right now.

One that never answers takes a thread for as long as its delivery may last. So one delivery at a time goes to a receiver, and
one that has never answered gets little time, until it has used that up often enough to be merely slow; few of those are
waited for at once. All others are told meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from video_jobs.domain.errors import ReceiverBusy

SHORT_DEADLINE = 3.0  # seconds, for a receiver that has not answered yet
SHORT_TIMES = 2  # that it has so little time
MOST_SLOW = 2  # deliveries at once to those that used it up
_WAIT_FOR_TURN = 1.0  # seconds
_MOST_KNOWN = 2000  # receivers; the one that was told longest ago is forgotten first


@dataclass
class _Receiver:
    turn: threading.Lock = field(default_factory=threading.Lock)
    has_answered: bool = False
    timeouts: int = 0  #: since it answered last


class Receivers:
    """By host and port."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Receiver] = OrderedDict()
        self._slow = threading.BoundedSemaphore(MOST_SLOW)

    @contextlib.contextmanager
    def telling(self, netloc: str) -> Iterator[float]:
        """Gives the seconds that this delivery may take. Raises ReceiverBusy where its turn does not come."""
        receiver = self._of(netloc)
        is_slow = not receiver.has_answered and receiver.timeouts >= SHORT_TIMES
        if not receiver.turn.acquire(timeout=_WAIT_FOR_TURN):
            raise ReceiverBusy("Another delivery to this receiver is under way.")
        try:
            if is_slow and not self._slow.acquire(blocking=False):
                raise ReceiverBusy("Other receivers that do not answer are being waited for.")
            try:
                is_known = receiver.has_answered or is_slow
                yield self._deadline if is_known else min(SHORT_DEADLINE, self._deadline)
            finally:
                if is_slow:
                    self._slow.release()
        finally:
            receiver.turn.release()

    def answered(self, netloc: str) -> None:
        receiver = self._of(netloc)
        receiver.has_answered, receiver.timeouts = True, 0

    def timed_out(self, netloc: str) -> None:
        receiver = self._of(netloc)
        receiver.has_answered, receiver.timeouts = False, receiver.timeouts + 1

    def _of(self, netloc: str) -> _Receiver:
        with self._lock:
            receiver = self._known.setdefault(netloc, _Receiver())
            self._known.move_to_end(netloc)
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
            return receiver
