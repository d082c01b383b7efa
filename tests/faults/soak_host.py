"""The function host with the real app, whose longest waits are shortened: for a soak of minutes.

Nothing but these numbers is changed, and the soak prints them. Each is a patience that outlasts something: what
it outlasts is shortened by settings (`VIDEO_CREATE_DEADLINE_SECONDS`, `VIDEO_FETCH_DEADLINE_SECONDS`) as well.
"""

from __future__ import annotations

import importlib
import sys
from datetime import timedelta

from local.function_host.__main__ import main

WAITS: dict[str, float] = {
    "video_jobs.lifecycle.paid_call._LONGEST_SAVE": 30,
    "video_jobs.domain.chain._PATIENCE": 30,
    "video_jobs.domain.transitions.download.DOWNLOAD_OVERDUE": 30,
    "video_jobs.domain.gate.UNCLAIMED": 60,
    "sweep_jobs.sweep._UNHEARD": 20,
    "poll_job.purge.LONGEST_FETCH": 40,
}
"""Seconds, in place of minutes."""


def shorten() -> None:
    """Raises AttributeError for a wait that is called otherwise by now."""
    for path, seconds in WAITS.items():
        module_name, _, name = path.rpartition(".")
        module = importlib.import_module(module_name)
        before = getattr(module, name)
        setattr(module, name, timedelta(seconds=seconds) if isinstance(before, timedelta) else seconds)


if __name__ in ("__main__", "__mp_main__"):  # the host's process, and the worker's
    shorten()
if __name__ == "__main__":
    sys.exit(main())
