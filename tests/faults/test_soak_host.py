"""The soak shortens waits by their names, which the rest of the code may change."""

from __future__ import annotations

import importlib
from datetime import timedelta

from tests.faults.soak_host import WAITS


def test_every_wait_that_the_soak_shortens_is_there_and_longer() -> None:
    assert WAITS
    for path, seconds in WAITS.items():
        module, _, name = path.rpartition(".")
        now = getattr(importlib.import_module(module), name)
        assert (now.total_seconds() if isinstance(now, timedelta) else now) > seconds, path
