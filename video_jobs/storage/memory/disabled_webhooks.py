"""The twin of `storage/disabled_webhooks.py`."""

from __future__ import annotations

from video_jobs.ports import GivenUp, Hook


class MemoryHooks:
    """See `ports.Hooks`."""

    def __init__(self) -> None:
        self.off: dict[Hook, str] = {}
        self._given_up: dict[str, GivenUp] = {}

    def is_off(self, hook: Hook) -> bool:
        return hook in self.off

    def turn_off(self, hook: Hook, job_id: str) -> None:
        self.off[hook] = job_id

    def turn_on(self, hook: Hook) -> None:
        self.off.pop(hook, None)

    def note_given_up(self, which: GivenUp) -> None:
        self._given_up[which.job_id] = which

    def forget_given_up(self, which: GivenUp) -> None:
        self._given_up.pop(which.job_id, None)

    def given_up(self, after: str | None, most: int) -> list[GivenUp]:
        ids = sorted(each for each in self._given_up if each > (after or ""))
        return [self._given_up[each] for each in ids[:most]]
