"""Each description reads whatever a provider may answer: it never raises, and believes nothing out of bounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents import text_of
from video_jobs.backends.providers import TASK_APIS
from video_jobs.backends.shapes import aspect_ratio, resolution, size_told
from video_jobs.backends.task_api import addresses_by_output, dollars
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.capabilities import ModelTakes
from video_jobs.domain.cost import Cost
from video_jobs.domain.job import VideoRequest
from video_jobs.settings.providers import PROVIDERS, ProviderDefaults

ROOT = Path(__file__).parents[2]
PACKAGES = ("openrouter", "runwayml", "replicate", "fal_client", "google.genai", "volcenginesdkarkruntime")
NAMES = (
    *(
        "status",
        "error",
        "errors",
        "error_type",
        "code",
        "message",
        "failure",
        "failureCode",
        "logs",
        "progress",
    ),
    *(
        "output",
        "output_video",
        "urls",
        "unsigned_urls",
        "url",
        "uri",
        "video",
        "videos",
        "video_url",
        "content",
    ),
    *(
        "steps",
        "type",
        "text",
        "usage",
        "cost",
        "credits",
        "cost_in_usd_ticks",
        "data_removed",
        "respect_moderation",
    ),
    *("input", "prompt", "aspect_ratio", "ratio", "resolution", "duration", "image", "next", "total"),
)
WORDS = ("succeeded", "COMPLETED", "done", "failed", "model_output", "video", "text", "16:9", "720p", "99%|#")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(NAMES), values, max_size=8)


@pytest.mark.parametrize("name", TASK_APIS)
@given(body=bodies)
def test_a_description_reads_whatever_a_provider_answers(name: str, body: dict[str, Any]) -> None:
    api = TASK_APIS[name]
    assert isinstance(api.state(body), BackendState)
    assert all(isinstance(address, str) for output in api.outputs(body) for address in output)
    failure = api.failure(body)
    assert all(part is None or isinstance(part, str) for part in (failure.code, failure.text))
    progress, cost = api.progress(body), api.cost(body)
    assert progress is None or 0 <= progress <= 100
    assert cost is None or 0 <= cost.amount < 1e6
    if api.tasks is not None:
        asked = api.tasks.asked(body)
        assert asked.prompt is None or isinstance(asked.prompt, str)
        following = api.tasks.next_page(body, None, 1)
        assert following is None or isinstance(following, str)


@pytest.mark.parametrize(
    "amount", [None, True, "", "free", -1, float("nan"), float("inf"), 1e300, 10**400, [], {}], ids=repr
)
def test_what_is_no_cost_of_a_video_is_none(amount: object) -> None:
    assert dollars(amount) is None


def test_a_cost_below_nothing_is_none_however_small() -> None:
    assert dollars(-3, 1e-10) is None


def test_a_cost_is_kept_to_the_millionth_of_a_dollar() -> None:
    assert dollars(2_000_000_001, 1e-10) == Cost(0.2, "USD")
    assert dollars("1.6") == Cost(1.6, "USD")
    assert dollars(0) == Cost(0, "USD")


@pytest.mark.parametrize(
    ("lists", "outputs"),
    [
        (["https://a.example/1.mp4"], [["https://a.example/1.mp4"]]),
        ([["a", "b"], ["c"]], [["a", "c"], ["b"]]),
        ([None, 3, {"0": "a"}], []),
        ([[None, "", 5]], []),
    ],
)
def test_addresses_are_told_by_output(lists: list[Any], outputs: list[list[str]]) -> None:
    assert addresses_by_output(*lists) == outputs


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("replicate", {"output": {"video": "https://a.example/1.mp4"}}),
        ("replicate", {"output": [{"url": "https://a.example/1.mp4"}]}),
        ("fal", {"output": {"video_url": "https://a.example/1.mp4"}}),
        ("fal", {"video": "https://a.example/1.mp4", "seed": 3}),
    ],
)
def test_an_output_that_a_model_names_in_its_own_way_is_found(name: str, body: dict[str, Any]) -> None:
    assert TASK_APIS[name].outputs(body) == [["https://a.example/1.mp4"]]


def test_the_addresses_of_a_request_are_not_taken_for_its_videos() -> None:
    address = "https://queue.example/fal-ai/veo3/requests/1"
    status = {"status_url": f"{address}/status", "response_url": address, "cancel_url": f"{address}/cancel"}
    assert TASK_APIS["fal"].outputs({"status": "COMPLETED", **status}) == []
    urls = {"get": "https://api.example/v1/predictions/1", "cancel": "https://api.example/x"}
    assert TASK_APIS["replicate"].outputs({"urls": urls, "output": None}) == []


@pytest.mark.parametrize(
    ("size", "ratio", "lines"),
    [
        ((1280, 720), "16:9", "720p"),
        ((720, 1280), "9:16", "720p"),
        ((854, 480), "16:9", "480p"),
        ((1024, 1024), "1:1", "1024p"),
        ((960, 720), "4:3", "720p"),
        ((1000, 300), "10:3", "300p"),
    ],
)
def test_a_size_is_said_as_shape_and_lines_and_read_again(
    size: tuple[int, int], ratio: str, lines: str
) -> None:
    request = VideoRequest("a paper boat", *size, 4)
    assert (aspect_ratio(request), resolution(request)) == (ratio, lines)
    assert size_told(ratio, lines) == size


@pytest.mark.parametrize("told", [(None, "720p"), ("16:9", None), ("16/9", "720p"), ("0:0", "720p"), (3, 4)])
def test_what_is_no_size_is_none(told: tuple[Any, Any]) -> None:
    assert size_told(*told) == (None, None)


def test_the_app_imports_no_providers_package() -> None:
    asked = f"import sys, function_app; print(*(name for name in {PACKAGES!r} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == ""


def words_of(takes: ModelTakes) -> list[str]:
    references = f"up to {takes.reference_images}" if takes.reference_images else "no"
    alone = ", alone" if takes.references_alone else ""
    first = "needed" if takes.image_needed else "yes" if takes.image else "no"
    flags = (takes.audio, takes.seed, takes.negative_prompt)
    told = [first, "yes" if takes.last_image else "no", references + alone]
    return told + ["yes" if flag else "no" for flag in flags]


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_the_table_of_providers_says_what_each_model_takes(provider: ProviderDefaults) -> None:
    api = TASK_APIS[provider.name]
    told = {}
    table = text_of("docs/reference/providers.md").split("| dialect | models |")[1].split("\n\n")[0]
    for line in table.splitlines():
        dialect, *rest = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if dialect == provider.name:
            told |= {model.strip(" `"): rest[1:] for model in rest[0].split(",")}
    known = {provider.model, *provider.models, *api.models}
    expected = {model: words_of(api.models.get(model, api.takes)) for model in known}
    assert told == {**expected, "others": words_of(api.takes)}
