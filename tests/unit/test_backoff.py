"""The pauses of the local host's queue listeners, and what they come to in an idle app."""

import itertools
import random
from pathlib import Path

import pytest

from local.function_host.backoff import Backoff
from local.function_host.host_json import HostJson

HOST_JSON = HostJson.read(Path(__file__).parents[2] / "host.json")


def test_pauses_double_and_stay_at_the_longest_until_something_is_found():
    backoff = Backoff(5.0, random.Random(1))
    pauses = [backoff.pause() for _ in range(12)]
    expected = [0.1, 0.2, 0.3, 0.5, 0.9, 1.7, 3.3, 5.0, 5.0, 5.0, 5.0, 5.0]
    assert pauses == pytest.approx(expected, rel=0.2)
    assert pauses[-5:] == [5.0] * 5
    backoff.found()
    assert backoff.pause() == 0.1


def test_an_idle_apps_listeners_and_sweeper_make_fewer_calls_an_hour_than_durable_functions():
    backoff = Backoff(HOST_JSON.queues.max_polling_interval)
    calls = sum(1 for at in itertools.accumulate(backoff.pause() for _ in range(100_000)) if at < 3600)
    sweeper, locks = 300, 300
    assert 3 * calls + sweeper + locks < 2844
