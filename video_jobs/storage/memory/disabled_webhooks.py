"""The twin of `storage/hooks.py`."""

from __future__ import annotations

from video_jobs.ports import Hook


class MemoryHooks:
    """See `ports.Hooks`."""

    def __init__(self) -> None:
        self.off: dict[Hook, str] = {}

    def is_off(self, hook: Hook) -> bool:
        return hook in self.off

    def turn_off(self, hook: Hook, job_id: str) -> None:
        self.off[hook] = job_id

    def turn_on(self, hook: Hook) -> None:
        self.off.pop(hook, None)
