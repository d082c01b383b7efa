"""Every side effect goes through here, so that a test can count it, fail it, lose its answer, and end the
process around it.

A process that has ended has no more effects: whatever its `finally` blocks try is refused, as memory is gone
and only what was written stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from video_jobs.domain.errors import StorageUnavailable, Unavailable, Undelivered, UnknownOutcome
from video_jobs.services import Services

STORAGE_EFFECTS = {
    "jobs": ("insert", "save_entry", "delete_entry", "save", "save_quota", "delete"),
    "live_jobs": ("add", "remove"),
    "claims": ("claim", "hand_over", "release"),
    "gates": ("save",),
    "estimates": ("save",),
    "messages": ("send_poll", "send_fetch", "send_notify", "drop_poison"),
    "hooks": ("turn_off", "turn_on", "note_given_up", "forget_given_up"),
    "blobs": (
        "put_video",
        "put_thumbnail",
        "put_summary",
        "put_input",
        "delete_input",
        "delete_job",
    ),
}
BACKEND_CALLS = ("create", "get", "delete", "list_jobs", "job_of", "open_video", "open_thumbnail")


class ProcessKilled(BaseException):
    """The process ends here. Nothing in the code may catch it."""


class Strike(Enum):
    """What befalls an effect."""

    BEFORE = "killed just before"
    AFTER = "killed just after"
    LOST = "answer lost"
    DOWN = "killed just after, and no process runs for twenty minutes"
    REFUSED = "from here on, tables and blobs refuse everything for twenty minutes"
    NO_QUEUES = "from here on, queues refuse everything for twenty minutes"


REFUSING = {
    Strike.REFUSED: ("jobs", "live_jobs", "claims", "gates", "estimates", "hooks", "blobs"),
    Strike.NO_QUEUES: ("messages", "host"),
}
"""The ports that refuse. In the host's, the only effect is that it deletes a message."""

DOWN_FOR = timedelta(minutes=20)  # longer than every lease, and every time after which the sweeper acts


def strikes_at(effect: str) -> list[Strike]:
    """The strikes that make a difference there: queues that refuse everything are noticed at the next message only."""
    at_a_queue = effect.partition(".")[0] in REFUSING[Strike.NO_QUEUES]
    return [strike for strike in Strike if strike is not Strike.NO_QUEUES or at_a_queue]


class Effects:
    """Numbers what has an effect, from 1, and strikes where it is told to."""

    def __init__(self, strikes: Mapping[int, Strike] | None = None) -> None:
        self._strikes = dict(strikes or {})
        self.names: list[str] = []
        self.kills = 0
        self.strikes = 0
        self.alive = True
        self.is_down = False  #: no process runs until `restart`
        self.refusing: tuple[str, ...] = ()  #: ports that refuse everything until the machine ends that

    def arm(self, after: int, strike: Strike) -> None:
        """Strike the effect that comes after so many others, counted from now."""
        self._strikes[len(self.names) + after] = strike

    def disarm(self) -> None:
        self._strikes.clear()

    def restart(self) -> None:
        """Another process takes over."""
        self.alive, self.is_down = True, False

    def carry_out(self, name: str, effect: Callable[[], Any], lost: Callable[[], Exception]) -> Any:
        """Raises ProcessKilled, or what `lost` gives, where that is the effect's lot."""
        self.refuse_dead()
        self.names.append(name)
        strike = self._strikes.pop(len(self.names), None)
        self.strikes += strike is not None
        if strike in REFUSING:
            self.refusing = REFUSING[strike]
        if name.partition(".")[0] in self.refusing:
            raise lost()
        if strike is Strike.BEFORE:
            self._kill()
        result = effect()
        if strike in (Strike.AFTER, Strike.DOWN):
            self.is_down = strike is Strike.DOWN
            self._kill()
        if strike is Strike.LOST:
            raise lost()
        return result

    def refuse_dead(self) -> None:
        if not self.alive:
            raise ProcessKilled

    def _kill(self) -> None:
        self.alive = False
        self.kills += 1
        raise ProcessKilled


class _Port:
    """A port whose effects are counted; reading needs a living process, and is none."""

    def __init__(self, name: str, real: Any, effects: Effects, methods: tuple[str, ...], lost: Any) -> None:
        self._name, self._real, self._effects, self._methods, self._lost = name, real, effects, methods, lost

    def __getattr__(self, method: str) -> Any:
        attribute = getattr(self._real, method)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            name, lost = f"{self._name}.{method}", self._lost(method)
            if method not in self._methods:
                self._effects.refuse_dead()
                if self._name in self._effects.refusing:
                    raise lost()
                return attribute(*args, **kwargs)
            return self._effects.carry_out(name, lambda: attribute(*args, **kwargs), lost)

        return call


class _Backends:
    def __init__(self, real: Any, effects: Effects) -> None:
        self._real, self._effects = real, effects

    def client(self, ref: Any) -> Any:
        return _Port("backend", self._real.client(ref), self._effects, BACKEND_CALLS, _lost_backend_answer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def counting(services: Services, effects: Effects) -> Services:
    """The same services, each of whose effects goes through `effects`."""
    ports = {
        name: _Port(name, getattr(services, name), effects, methods, _lost_storage_answer)
        for name, methods in STORAGE_EFFECTS.items()
    }
    backends: Any = _Backends(services.backends, effects)
    sender: Any = _Port("webhook", services.webhook_sender, effects, ("send",), _lost_receivers_answer)
    return services._replace(backends=backends, webhook_sender=sender, **ports)


def _lost_storage_answer(method: str) -> Callable[[], Exception]:
    return lambda: StorageUnavailable("The answer of the storage was lost.")


def _lost_backend_answer(method: str) -> Callable[[], Exception]:
    kind = UnknownOutcome if method == "create" else Unavailable
    return lambda: kind("The answer of the video API was lost.")


def _lost_receivers_answer(method: str) -> Callable[[], Exception]:
    return lambda: Undelivered("The answer of the receiver was lost.")
