"""What clients are told that they may ask for is what is taken."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from job_api.options import BackendOptions, list_options
from job_api.states import StateView
from local.simulator.server import Simulator
from tests.pipeline import OWNER, Pipeline
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.gate import Closure, ClosureReason, Gate, Slot, pause


def taken(pipeline: Pipeline, size: str, seconds: int, variants: int) -> bool:
    _, limits = pipeline.services.backends.choose(None)
    try:
        limits.complete("a boat", size, seconds, variants, None)
    except InvalidRequest:
        return False
    return True


def options_of(pipeline: Pipeline) -> BackendOptions:
    return list_options(pipeline.services, OWNER)[0]


def test_what_is_offered_is_taken_and_nothing_else(pipeline: Pipeline) -> None:
    options = options_of(pipeline)
    assert options["sizes"] is not None
    for size in options["sizes"]:
        assert size["seconds"] is not None
        for seconds, variants in itertools.product(range(1, 25), range(1, 7)):
            offered = seconds in size["seconds"] and variants <= size["variants"]
            assert taken(pipeline, size["size"], seconds, variants) is offered
    assert not taken(pipeline, "482x482", options["default_seconds"], 1)


def test_the_defaults_are_offered(pipeline: Pipeline) -> None:
    options = options_of(pipeline)
    sizes = {size["size"]: size for size in options["sizes"] or []}
    assert options["default_seconds"] in (sizes[options["default_size"]]["seconds"] or [])


def test_where_anything_goes_nothing_is_listed(simulator: Simulator) -> None:
    free = {
        "name": "gpu",
        "dialect": "openai-videos",
        "base_url": "http://vllm:8000/v1",
        "model": "wan",
        "auth": "none",
        "sizes": "any",
        "seconds": [4, 8],
    }
    pipeline = Pipeline(simulator, "azure-sora", VIDEO_BACKENDS=json.dumps([free]))
    default, gpu = list_options(pipeline.services, OWNER)
    assert default["name"] == "default", "the default backend comes first"
    assert (gpu["sizes"], gpu["seconds"], gpu["default_size"]) == (None, [4, 8], "720x1280")


# --- how a backend stands -----------------------------------------------------------------------


def state_now(pipeline: Pipeline) -> StateView:
    return options_of(pipeline)["now"]


def change_gate(pipeline: Pipeline, change: Callable[[Gate], Gate]) -> None:
    stored = pipeline.gates.get("default")
    pipeline.gates.save(stored, change(stored.gate))


def test_an_open_backend_is_open_without_a_reason(pipeline: Pipeline) -> None:
    now = state_now(pipeline)
    assert (now["state"], now["reason"], now["waiting"], now["holders"]) == ("open", None, 0, [])


@pytest.mark.parametrize(
    ("why", "times", "state"),
    [
        (ClosureReason.BUSY, 1, "busy"),
        (ClosureReason.BUSY, 5, "on_hold"),
        (ClosureReason.MISCONFIGURED, 1, "on_hold"),
        (ClosureReason.ACCOUNT, 1, "on_hold"),
    ],
)
def test_a_closed_backend_says_whether_somebody_has_to_act(
    pipeline: Pipeline, why: ClosureReason, times: int, state: str
) -> None:
    until = pipeline.now() + timedelta(minutes=1)
    change_gate(pipeline, lambda gate: replace(gate, closure=Closure(why, "It says no.", until, times)))
    now = state_now(pipeline)
    assert (now["state"], now["reason"]) == (state, "It says no.")
    assert now["until"] is not None


def test_a_paused_backend_is_the_operators(pipeline: Pipeline) -> None:
    change_gate(pipeline, partial(pause, now=pipeline.now()))
    assert state_now(pipeline)["state"] == "paused"


def test_who_holds_the_slots_is_told_to_nobody_but_their_owner(simulator: Simulator) -> None:
    pipeline = Pipeline(simulator, "azure-sora", VIDEO_RUNNING_LIMIT="2")
    mine = pipeline.send({"prompt": "a boat"})
    change_gate(
        pipeline,
        lambda gate: replace(
            gate, slots=(Slot(mine.id, OWNER, pipeline.now()), Slot("job_x", "somebody", pipeline.now()))
        ),
    )
    now = state_now(pipeline)
    assert (now["state"], now["running"], now["running_limit"]) == ("busy", 2, 2)
    assert [holder["job_id"] for holder in now["holders"]] == [mine.id]
