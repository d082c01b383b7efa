"""What clients are told that they may ask for is what is taken."""

from __future__ import annotations

import itertools
import json

from job_api.options import BackendOptions, list_options
from local.simulator.server import Simulator
from tests.pipeline import Pipeline
from video_jobs.domain.errors import InvalidRequest


def taken(pipeline: Pipeline, size: str, seconds: int, variants: int) -> bool:
    _, limits = pipeline.services.backends.choose(None)
    try:
        limits.complete("a boat", size, seconds, variants, None)
    except InvalidRequest:
        return False
    return True


def options_of(pipeline: Pipeline) -> BackendOptions:
    return list_options(pipeline.services)[0]


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
    default, gpu = list_options(pipeline.services)
    assert default["name"] == "default", "the default backend comes first"
    assert (gpu["sizes"], gpu["seconds"], gpu["default_size"]) == (None, [4, 8], "720x1280")
