"""The simulator's answers against the published OpenAPI descriptions of both dialects."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from local.simulator.server import Simulator
from tests.contract.documents import contract

KEY = {"api-key": "sim-key"}
AZURE = "/openai/v1/video/generations"


def conforms(document: dict[str, Any], path: str, method: str, answer: requests.Response) -> None:
    """The status is described, the headers that it demands are there, and the body has the right shape."""
    responses = document["paths"][path][method]["responses"]
    described = responses.get(str(answer.status_code)) or responses["default"]
    for name, header in described.get("headers", {}).items():
        assert not header.get("required") or name in answer.headers, name
    content = described.get("content", {})
    if not content or method == "head":
        assert answer.content == b""
        return
    kind = answer.headers["content-type"]
    assert kind in content
    if kind != "application/json":
        assert answer.content
        return
    schema = {**content[kind]["schema"], "components": document["components"]}
    Draft202012Validator(schema).validate(answer.json())


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=50, running_limit=None, any_size=True) as simulator:
        yield simulator


def call(simulator: Simulator, method: str, path: str, **more: Any) -> requests.Response:
    return requests.request(method, simulator.url + path, headers=KEY, timeout=10, **more)


def ended(simulator: Simulator, path: str) -> Any:
    deadline = time.monotonic() + 15
    while (job := call(simulator, "GET", path).json())["status"] not in ("succeeded", "completed", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return job


def without_nulls(answer: requests.Response) -> requests.Response:
    """The service sends null for what the job does not have yet, though its description only lets it leave
    the field out: here the null counts as left out."""

    def strip(node: Any) -> Any:
        if isinstance(node, list):
            return [strip(entry) for entry in node]
        return {k: strip(v) for k, v in node.items() if v is not None} if isinstance(node, dict) else node

    content = strip(answer.json())
    answer.json = lambda **_: content  # type: ignore[method-assign]
    return answer


def test_azure_sora_answers_as_described(simulator: Simulator) -> None:
    document = contract("azure-sora-jobs.openapi.yaml")
    version = "?api-version=preview"
    order = {
        "prompt": "a boat",
        "width": 480,
        "height": 480,
        "model": "sora",
        "n_seconds": 1,
        "n_variants": 2,
    }
    job_path = "/video/generations/jobs/{job-id}"

    made = call(simulator, "POST", f"{AZURE}/jobs{version}", json=order)
    conforms(document, "/video/generations/jobs", "post", without_nulls(made))
    job = f"{AZURE}/jobs/{made.json()['id']}{version}"
    conforms(document, job_path, "get", without_nulls(call(simulator, "GET", job)))
    name = ended(simulator, job)["generations"][0]["id"]
    conforms(document, job_path, "get", without_nulls(call(simulator, "GET", job)))
    listed = call(simulator, "GET", f"{AZURE}/jobs{version}&limit=5")
    conforms(document, "/video/generations/jobs", "get", without_nulls(listed))
    for method, tail in (
        ("get", ""),
        ("get", "/content/video"),
        ("head", "/content/video"),
        ("get", "/content/thumbnail"),
    ):
        answer = call(simulator, method.upper(), f"{AZURE}/{name}{tail}{version}")
        assert answer.status_code == 200
        conforms(document, "/video/generations/{generation-id}" + tail, method, answer)
    conforms(document, job_path, "delete", call(simulator, "DELETE", job))


@pytest.mark.parametrize("prompt", ["blocked-input", "blocked-output", "internal-failure", "no-outputs"])
def test_an_azure_job_that_ends_badly_is_still_as_described(simulator: Simulator, prompt: str) -> None:
    document = contract("azure-sora-jobs.openapi.yaml")
    order = {"prompt": prompt, "width": 480, "height": 480, "model": "sora", "n_seconds": 1}
    made = call(simulator, "POST", f"{AZURE}/jobs?api-version=preview", json=order)
    job = f"{AZURE}/jobs/{made.json()['id']}?api-version=preview"
    ended(simulator, job)
    conforms(document, "/video/generations/jobs/{job-id}", "get", without_nulls(call(simulator, "GET", job)))


@pytest.mark.parametrize(
    "change", [{"prompt": "rejected-prompt"}, {"width": 3}, {"n_seconds": 99}, {"model": None}]
)
def test_a_refused_azure_create_is_worded_as_described(simulator: Simulator, change: dict[str, Any]) -> None:
    document = contract("azure-sora-jobs.openapi.yaml")
    order = {"prompt": "a boat", "width": 480, "height": 480, "model": "sora", **change}
    answer = call(simulator, "POST", f"{AZURE}/jobs?api-version=preview", json=order)
    assert answer.status_code == 400
    conforms(document, "/video/generations/jobs", "post", answer)


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_openai_videos_answers_as_described(simulator: Simulator, base: str) -> None:
    document = contract("openai-videos.openapi.yaml")
    # Encoding a video of a described size takes seconds; so this one is as short as the other servers allow.
    order = {"prompt": "a boat", "seconds": "1", "size": "720x1280"}
    made = call(simulator, "POST", f"{base}/videos", json=order)
    conforms(document, "/videos", "post", made)
    path = f"{base}/videos/{made.json()['id']}"
    ended(simulator, path)
    conforms(document, "/videos/{video_id}", "get", call(simulator, "GET", path))
    conforms(document, "/videos", "get", call(simulator, "GET", f"{base}/videos?limit=3"))
    for variant in ("video", "thumbnail", "spritesheet"):
        content = call(simulator, "GET", f"{path}/content?variant={variant}")
        assert content.status_code == 200
        conforms(document, "/videos/{video_id}/content", "get", content)
    remix = call(simulator, "POST", f"{path}/remix", json={"prompt": "again"})
    conforms(document, "/videos/{video_id}/remix", "post", remix)
    conforms(document, "/videos/{video_id}", "delete", call(simulator, "DELETE", path))


@pytest.mark.parametrize("prompt", ["blocked-input", "blocked-output", "internal-failure"])
def test_a_video_that_fails_is_still_as_described(simulator: Simulator, prompt: str) -> None:
    document = contract("openai-videos.openapi.yaml")
    made = call(simulator, "POST", "/v1/videos", json={"prompt": prompt})
    ended(simulator, f"/v1/videos/{made.json()['id']}")
    conforms(document, "/videos/{video_id}", "get", call(simulator, "GET", f"/v1/videos/{made.json()['id']}"))
