"""A backend that answers anything, in either dialect: see `hostile_backend.py`. `EXAMPLES` in the environment: how many."""

from __future__ import annotations

import os
import resource

import pytest

from tests.faults.hostile_backend import live_many

EXAMPLES = int(os.environ.get("EXAMPLES", "10"))
MOST_MEGABYTES = 300  # that the process may grow by over all lives


@pytest.mark.promise("I9")
def test_no_answer_loses_a_video_leaks_a_key_or_stops_the_app() -> None:
    grown_from = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    live_many(EXAMPLES)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown_from) / 1024
    assert grown < MOST_MEGABYTES
