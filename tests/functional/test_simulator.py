"""The simulated video API over a real socket: it answers as the services do, and goes wrong as it is told."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import pytest
import requests
from openai import OpenAI
from PIL import Image

from local.simulator import render
from local.simulator.server import Simulator

KEY = {"api-key": "sim-key"}
BEARER = {"Authorization": "Bearer sim-key"}
PREVIEW = {"api-version": "preview"}
DAY = 86_400

# Small and short: the renders are not what most of these tests are about.
SMALL: dict[str, Any] = {
    "prompt": "a paper boat",
    "width": 480,
    "height": 480,
    "n_seconds": 1,
    "model": "sora",
}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(api_key="sim-key", speed=1.0, port=0) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    control(running, "reset")
    return running


def control(simulator: Simulator, name: str, content: object = None, method: str = "POST") -> Any:
    answer = requests.request(method, f"{simulator.url}/_simulator/{name}", json=content, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.02)
    return result


def sora(simulator: Simulator, method: str, path: str, **more: Any) -> requests.Response:
    more = {"params": PREVIEW, "headers": KEY, "timeout": 10, **more}
    return requests.request(method, f"{simulator.url}/openai/v1/video/generations/{path}", **more)


def videos(simulator: Simulator, method: str, path: str = "", **more: Any) -> requests.Response:
    more = {"headers": BEARER, "timeout": 10, **more}
    return requests.request(method, f"{simulator.url}/v1/videos{path}", **more)


def sora_job(simulator: Simulator, **fields: Any) -> Any:
    answer = sora(simulator, "POST", "jobs", json={**SMALL, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def video(simulator: Simulator, **fields: Any) -> Any:
    control(simulator, "settings", {"any_size": True})
    answer = videos(simulator, "POST", json={"prompt": "a boat", "seconds": "1", "size": "480x480", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended_sora(simulator: Simulator, job_id: str) -> Any:
    control(simulator, "clock", {"advance": 40})
    read = lambda: sora(simulator, "GET", f"jobs/{job_id}").json()  # noqa: E731
    return until(lambda: (job := read())["status"] in ("succeeded", "failed") and job)


def ended_video(simulator: Simulator, video_id: str) -> Any:
    control(simulator, "clock", {"advance": 40})
    read = lambda: videos(simulator, "GET", "/" + quote(video_id, safe="")).json()  # noqa: E731
    return until(lambda: (seen := read())["status"] in ("completed", "failed") and seen)


def generation(simulator: Simulator, **fields: Any) -> str:
    return str(ended_sora(simulator, sora_job(simulator, **fields)["id"])["generations"][0]["id"])


def upper_half(frame: av.VideoFrame) -> bytes:
    """The picture without its clock and bar, which move in any case."""
    luma = frame.planes[0]
    return bytes(luma)[: luma.buffer_size // 2]


def decoded(mp4: bytes) -> tuple[int, int, float, set[bytes]]:
    """Width, height, seconds and the distinct pictures in an MP4."""
    with av.open(io.BytesIO(mp4), "r") as container:
        frames = list(container.decode(video=0))
        assert container.duration is not None
        seconds = container.duration / 1_000_000
        return frames[0].width, frames[0].height, seconds, {upper_half(frame) for frame in frames}


# azure-sora


def test_an_azure_job_passes_through_all_its_statuses_and_ends_with_as_many_generations_as_asked(
    simulator: Simulator,
) -> None:
    job = sora_job(simulator, n_variants=2)
    seen = [job["status"]]
    for seconds in (11, 10, 17):
        control(simulator, "clock", {"advance": seconds})
        seen.append(sora(simulator, "GET", f"jobs/{job['id']}").json()["status"])
    done = ended_sora(simulator, job["id"])
    assert [*seen, done["status"]] == ["queued", "preprocessing", "running", "processing", "succeeded"]
    assert len({entry["id"] for entry in done["generations"]}) == 2
    assert done["expires_at"] == done["created_at"] + DAY
    assert done["finished_at"] >= done["created_at"] + 40


def test_a_bare_content_path_is_not_found_while_content_video_is_there(simulator: Simulator) -> None:
    name = generation(simulator)
    bare = sora(simulator, "GET", f"{name}/content")
    assert (bare.status_code, bare.json()) == (
        404,
        {"error": {"code": "404", "message": "Resource not found"}},
    )
    assert sora(simulator, "GET", f"{name}/content/video").headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    "version",
    ["", "api-version=v1", "api-version=2025-02-15-preview", "api-version=preview&api-version=preview"],
)
def test_any_api_version_but_one_preview_is_not_found(simulator: Simulator, version: str) -> None:
    answer = sora(simulator, "GET", "jobs?limit=1&" + version, params={})
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Resource not found")
    assert sora(simulator, "GET", "jobs?limit=1&api-version=preview", params={}).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"model": ""}, "model"),
        ({"width": "480"}, "width"),
        ({"width": 500}, "width"),
        ({"n_seconds": 21}, "n_seconds"),
        ({"n_variants": 5}, "n_variants"),
        ({"width": 1280, "height": 720, "n_variants": 3}, "n_variants"),
        ({"width": 1080, "height": 1920, "n_seconds": 11}, "n_seconds"),
        ({"width": 1920, "height": 1080, "n_variants": 2}, "n_variants"),
    ],
)
def test_an_azure_create_beyond_the_limits_is_refused_in_the_flat_shape(
    simulator: Simulator, fields: dict[str, Any], param: str
) -> None:
    answer = sora(simulator, "POST", "jobs", json={**SMALL, **fields})
    assert (answer.status_code, answer.json()["param"]) == (400, param)
    assert isinstance(answer.json()["code"], str)
    assert control(simulator, "ledger", method="GET")["jobs"] == []


def test_an_azure_create_with_a_picture_names_its_file(simulator: Simulator) -> None:
    fields = {name: str(value) for name, value in SMALL.items()}
    item = {"frame_index": 0, "type": "image", "file_name": "first.png"}
    files = [("files", ("first.png", b"picture", "image/png"))]
    right = sora(simulator, "POST", "jobs", data={**fields, "inpaint_items": json.dumps([item])}, files=files)
    assert (right.status_code, right.json()["inpaint_items"]) == (200, [item])
    item["file_name"] = "other.png"
    wrong = sora(simulator, "POST", "jobs", data={**fields, "inpaint_items": json.dumps([item])}, files=files)
    assert (wrong.status_code, wrong.json()["param"]) == (400, "inpaint_items")


def test_an_unknown_deployment_does_not_exist_and_a_retired_model_is_gone(simulator: Simulator) -> None:
    control(simulator, "settings", {"deployments": ["sora", "sora-2"]})
    missing = sora(simulator, "POST", "jobs", json={**SMALL, "model": "sora-9"})
    assert (missing.status_code, missing.json()["type"]) == (404, "video_generation_user_error")
    assert missing.json()["message"].startswith(
        "The API deployment 'sora-9' for this resource does not exist"
    )
    control(simulator, "settings", {"retired": True})
    assert sora(simulator, "POST", "jobs", json=SMALL).status_code == 410
    assert videos(simulator, "POST", json={"prompt": "x"}).status_code == 410


def test_a_third_running_job_is_refused_until_one_ends(simulator: Simulator) -> None:
    control(simulator, "settings", {"running_retry_after": 7})
    first, _ = sora_job(simulator), sora_job(simulator)
    refused = sora(simulator, "POST", "jobs", json=SMALL)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert refused.json()["error"]["message"] == "Too many running tasks"
    assert sora(simulator, "DELETE", f"jobs/{first['id']}").status_code == 204
    assert sora(simulator, "GET", f"jobs/{first['id']}").status_code == 404
    assert sora(simulator, "POST", "jobs", json=SMALL).status_code == 200


def test_the_ledger_tells_how_many_were_unfinished_at_once_and_which_creates_were_too_many(
    simulator: Simulator,
) -> None:
    control(simulator, "settings", {"videos_running_limit": 1})
    first, _ = sora_job(simulator), sora_job(simulator)
    assert sora(simulator, "POST", "jobs", json=SMALL).status_code == 429
    sora(simulator, "DELETE", f"jobs/{first['id']}")
    sora_job(simulator)
    made = video(simulator)
    assert videos(simulator, "POST", json={"prompt": "x"}).status_code == 429
    ended_video(simulator, made["id"])
    video(simulator)
    ledger = control(simulator, "ledger", method="GET")
    assert ledger["most_unfinished"] == {"azure-sora": 2, "openai-videos": 1}
    refused = [
        (call["dialect"], call["fault"])
        for call in ledger["calls"]
        if call["operation"] == "create" and call["status"] == 429
    ]
    assert refused == [("azure-sora", False), ("openai-videos", False)]
    control(simulator, "settings", {"running_limit": None})
    for _ in range(3):
        sora_job(simulator)
    assert simulator.world.most_unfinished()["azure-sora"] == 3, "without a limit they are counted too"
    control(simulator, "reset")
    assert simulator.world.most_unfinished() == {"azure-sora": 0, "openai-videos": 0}


def test_a_failed_or_expired_job_counts_as_unfinished_no_more(simulator: Simulator) -> None:
    sora_job(simulator, prompt="blocked-input")
    control(simulator, "settings", {"retention_seconds": 60, "run_seconds": 600})
    sora_job(simulator)
    control(simulator, "clock", {"advance": 61})
    assert [sora_job(simulator)["status"] for _ in range(2)] == ["queued", "queued"]
    assert simulator.world.most_unfinished()["azure-sora"] == 2


def test_jobs_take_more_or_less_time_and_the_same_again_after_a_reset(simulator: Simulator) -> None:
    def run_seconds(spread: float) -> list[float]:
        control(simulator, "reset")
        control(simulator, "settings", {"running_limit": None, "run_spread_seconds": spread})
        for _ in range(20):
            sora_job(simulator)
        return [job.run_seconds for job in simulator.world.everything()]

    assert run_seconds(0) == [30.0] * 20
    spread = run_seconds(12)
    assert spread == run_seconds(12)
    assert all(18 <= seconds <= 42 for seconds in spread)
    assert max(spread) - min(spread) > 6
    assert len(set(spread)) == 20
    assert min(run_seconds(1000)) == 0, "never less than none"
    with Simulator(run_spread_seconds=12.0) as another:
        sora_job(another)
        assert another.world.everything()[0].run_seconds == spread[0], "and after another start"


def test_what_has_not_ended_can_not_be_deleted_where_that_is_refused(simulator: Simulator) -> None:
    control(simulator, "settings", {"refuse_delete_running": True})
    job, made = sora_job(simulator), video(simulator)
    flat = sora(simulator, "DELETE", f"jobs/{job['id']}")
    assert (flat.status_code, flat.json()["code"]) == (409, "conflict")
    wrapped = videos(simulator, "DELETE", f"/{made['id']}")
    assert (wrapped.status_code, wrapped.json()["error"]["code"]) == (409, "conflict")
    ended_sora(simulator, job["id"])
    ended_video(simulator, made["id"])
    assert sora(simulator, "DELETE", f"jobs/{job['id']}").status_code == 204
    assert videos(simulator, "DELETE", f"/{made['id']}").json()["deleted"] is True
    assert videos(simulator, "DELETE", f"/{made['id']}").status_code == 404


def test_creates_beyond_those_of_a_minute_are_told_when_to_come_back(simulator: Simulator) -> None:
    control(simulator, "settings", {"creates_per_minute": 1, "speed": 10})
    video(simulator)
    refused = videos(simulator, "POST", json={"prompt": "x"})
    assert refused.status_code == 429
    assert 5 <= int(refused.headers["retry-after"]) <= 6
    control(simulator, "clock", {"advance": 61})
    assert videos(simulator, "POST", json={"prompt": "x"}).status_code == 200


def test_a_day_after_its_creation_an_azure_job_and_its_bytes_are_gone(simulator: Simulator) -> None:
    job = sora_job(simulator)
    name = ended_sora(simulator, job["id"])["generations"][0]["id"]
    control(simulator, "clock", {"advance": DAY - 60})
    assert sora(simulator, "HEAD", f"{name}/content/video").status_code == 200
    control(simulator, "clock", {"advance": 60})
    for path in (f"jobs/{job['id']}", name, f"{name}/content/video", f"{name}/content/thumbnail"):
        assert sora(simulator, "GET", path).status_code == 404
    (entry,) = control(simulator, "ledger", method="GET")["jobs"]
    assert (entry["id"], entry["expired"], entry["deleted"]) == (job["id"], True, False)


def test_success_is_not_shown_before_the_file_is_there(simulator: Simulator) -> None:
    job = sora_job(simulator, prompt=f"never seen before {time.time_ns()}", n_seconds=5)
    control(simulator, "clock", {"advance": 100})
    assert sora(simulator, "GET", f"jobs/{job['id']}").json()["status"] == "processing"
    done = ended_sora(simulator, job["id"])
    assert done["status"] == "succeeded"
    assert done["finished_at"] >= done["created_at"] + 100


def test_before_success_no_generation_can_be_read(simulator: Simulator) -> None:
    job = sora_job(simulator)
    name = control(simulator, "ledger", method="GET")["jobs"][0]["generations"][0]
    assert sora(simulator, "GET", f"jobs/{job['id']}").json()["generations"] == []
    assert [sora(simulator, "GET", path).status_code for path in (name, f"{name}/content/video")] == [
        404,
        404,
    ]


@pytest.mark.parametrize(
    ("word", "status", "reason", "outputs"),
    [
        ("blocked-input", "failed", "input_moderation", 0),
        ("blocked-output", "failed", "output_moderation", 0),
        ("internal-failure", "failed", "internal_error", 0),
        ("fewer-outputs", "succeeded", None, 1),
        ("no-outputs", "succeeded", None, 0),
    ],
)
def test_a_word_in_the_prompt_decides_how_an_azure_job_ends(
    simulator: Simulator, word: str, status: str, reason: str | None, outputs: int
) -> None:
    done = ended_sora(simulator, sora_job(simulator, prompt=f"a {word} boat", n_variants=2)["id"])
    assert (done["status"], done["failure_reason"], len(done["generations"])) == (status, reason, outputs)


def test_a_rejected_prompt_makes_no_job(simulator: Simulator) -> None:
    flat = sora(simulator, "POST", "jobs", json={**SMALL, "prompt": "a rejected-prompt"})
    assert (flat.status_code, flat.json()["code"]) == (400, "content_policy_violation")
    assert flat.json()["inner_error"]["code"] == "ResponsibleAIPolicyViolation"
    wrapped = videos(simulator, "POST", json={"prompt": "a rejected-prompt"})
    assert (wrapped.status_code, wrapped.json()["error"]["code"]) == (400, "content_policy_violation")
    assert control(simulator, "ledger", method="GET")["jobs"] == []


def test_the_azure_list_pages_from_new_to_old_and_filters_by_status(simulator: Simulator) -> None:
    control(simulator, "settings", {"running_limit": None})
    ids = [sora_job(simulator)["id"] for _ in range(4)][::-1]
    assert sora(simulator, "GET", "jobs").status_code == 400
    page = sora(simulator, "GET", "jobs", params={**PREVIEW, "limit": 2}).json()
    assert ([job["id"] for job in page["data"]], page["has_more"]) == (ids[:2], True)
    assert (page["first_id"], page["last_id"]) == (ids[0], ids[1])
    rest = sora(simulator, "GET", "jobs", params={**PREVIEW, "limit": 2, "after": ids[1]}).json()
    assert ([job["id"] for job in rest["data"]], rest["has_more"]) == (ids[2:], False)
    back = sora(simulator, "GET", "jobs", params={**PREVIEW, "limit": 1, "before": ids[2]}).json()
    assert ([job["id"] for job in back["data"]], back["has_more"]) == ([ids[1]], True)
    none = sora(
        simulator, "GET", "jobs", params={**PREVIEW, "limit": 2, "statuses": "succeeded,failed"}
    ).json()
    assert (none["data"], none["first_id"]) == ([], None)


# Bytes


@pytest.mark.parametrize(("width", "height"), [(480, 480), (854, 480), (720, 1280)])
def test_a_video_has_the_asked_size_and_length_and_moves(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, true_frame_rate: int, width: int, height: int
) -> None:
    monkeypatch.setattr(render, "FRAMES_PER_SECOND", true_frame_rate)
    name = generation(simulator, width=width, height=height, n_seconds=2)
    mp4 = sora(simulator, "GET", f"{name}/content/video").content
    seen_width, seen_height, seconds, pictures = decoded(mp4)
    assert (seen_width, seen_height) == (width, height)
    assert seconds == pytest.approx(2, abs=0.05)
    assert len(pictures) > 20
    assert mp4.find(b"moov") < mp4.find(b"mdat")
    still = sora(simulator, "GET", f"{name}/content/thumbnail")
    assert still.headers["content-type"] == "image/jpg"
    with Image.open(io.BytesIO(still.content)) as image:
        assert (image.format, image.size) == ("JPEG", (width, height))


def test_ranges_put_together_are_the_whole_file(simulator: Simulator) -> None:
    path = f"{generation(simulator)}/content/video"
    whole = sora(simulator, "GET", path)
    head = sora(simulator, "HEAD", path)
    assert int(head.headers["content-length"]) == len(whole.content)
    assert (head.headers["accept-ranges"], head.headers["last-modified"]) == (
        "bytes",
        whole.headers["last-modified"],
    )
    first = sora(simulator, "GET", path, headers={**KEY, "range": "bytes=0-99"})
    rest = sora(simulator, "GET", path, headers={**KEY, "range": "bytes=100-"})
    assert (first.status_code, rest.status_code) == (206, 206)
    assert first.headers["content-range"] == f"bytes 0-99/{len(whole.content)}"
    assert first.content + rest.content == whole.content
    beyond = sora(simulator, "GET", path, headers={**KEY, "range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")


def test_a_padded_video_has_exactly_the_wanted_length_and_still_plays(simulator: Simulator) -> None:
    control(simulator, "settings", {"pad_to_bytes": 3_000_001})
    path = f"{generation(simulator)}/content/video"
    assert sora(simulator, "HEAD", path).headers["content-length"] == "3000001"
    mp4 = sora(simulator, "GET", path).content
    assert len(mp4) == 3_000_001
    assert decoded(mp4)[:2] == (480, 480)
    tail = sora(simulator, "GET", path, headers={**KEY, "range": "bytes=-2000000"}).content
    assert tail == mp4[-2_000_000:]


def test_a_file_of_many_gigabytes_is_announced_and_cut_without_being_made(simulator: Simulator) -> None:
    size = 1 << 36
    control(simulator, "settings", {"pad_to_bytes": size})
    path = f"{generation(simulator)}/content/video"
    assert sora(simulator, "HEAD", path).headers["content-length"] == str(size)
    end = sora(simulator, "GET", path, headers={**KEY, "range": f"bytes={size - 10}-"})
    assert (end.content, end.headers["content-range"]) == (bytes(10), f"bytes {size - 10}-{size - 1}/{size}")


# openai-videos


def test_a_video_goes_from_queued_through_growing_progress_to_completed(simulator: Simulator) -> None:
    control(simulator, "settings", {"poll_after_ms": 250})
    made = video(simulator)
    seen = [(made["status"], made["progress"])]
    for _ in range(2):
        control(simulator, "clock", {"advance": 17})
        polled = videos(simulator, "GET", "/" + made["id"])
        assert polled.headers["openai-poll-after-ms"] == "250"
        seen.append((polled.json()["status"], polled.json()["progress"]))
    done = ended_video(simulator, made["id"])
    assert [status for status, _ in seen] == ["queued", "in_progress", "in_progress"]
    assert 0 == seen[0][1] < seen[1][1] < seen[2][1] < 100 == done["progress"]
    assert (done["status"], done["error"], done["expires_at"]) == (
        "completed",
        None,
        done["created_at"] + DAY,
    )
    assert "openai-poll-after-ms" not in videos(simulator, "GET", "/" + made["id"]).headers


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("blocked-input", "moderation_blocked"),
        ("blocked-output", "moderation_blocked"),
        ("internal-failure", "internal_error"),
    ],
)
def test_moderation_fails_a_video_job_and_not_the_call(simulator: Simulator, word: str, code: str) -> None:
    made = video(simulator, prompt=f"a {word} boat")
    done = ended_video(simulator, made["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", code)
    assert videos(simulator, "GET", f"/{made['id']}/content").status_code == 404


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seconds": 4}, "seconds"),
        ({"seconds": "5"}, "seconds"),
        ({"size": "480x480"}, "size"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"input_reference": {"image_url": "data:image/png;base64,AAAA"}}, "input_reference"),
    ],
)
def test_a_video_create_that_the_contract_forbids_is_refused(
    simulator: Simulator, fields: dict[str, Any], param: str
) -> None:
    answer = videos(simulator, "POST", json={"prompt": "x", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_reference_picture_must_have_the_size_of_the_video(simulator: Simulator) -> None:
    def create(width: int, height: int) -> requests.Response:
        picture = io.BytesIO()
        Image.new("RGB", (width, height)).save(picture, "PNG")
        files = {"input_reference": ("r.png", picture.getvalue(), "image/png")}
        return videos(simulator, "POST", data={"prompt": "x", "size": "1280x720"}, files=files)

    assert create(1280, 720).status_code == 200
    assert create(720, 1280).json()["error"]["param"] == "input_reference"


def test_an_expired_video_keeps_its_record_and_loses_its_content(simulator: Simulator) -> None:
    made = video(simulator)
    path = f"/{made['id']}"
    assert videos(simulator, "GET", path + "/content").status_code == 404
    ended_video(simulator, made["id"])
    assert videos(simulator, "GET", path + "/content").status_code == 200
    control(simulator, "clock", {"advance": DAY})
    assert videos(simulator, "GET", path).json()["status"] == "completed"
    assert videos(simulator, "GET", path + "/content").status_code == 404


def test_a_remix_takes_up_the_other_videos_size(simulator: Simulator) -> None:
    made = video(simulator)
    remix = videos(simulator, "POST", f"/{made['id']}/remix", json={"prompt": "now with rain"}).json()
    assert (remix["remixed_from_video_id"], remix["size"], remix["prompt"]) == (
        made["id"],
        "480x480",
        "now with rain",
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_unmodified_openai_package_creates_polls_downloads_lists_and_deletes(
    simulator: Simulator,
) -> None:
    control(
        simulator,
        "settings",
        {"queue_seconds": 1, "run_seconds": 4, "speed": 20, "poll_after_ms": 50, "any_size": True},
    )
    client = OpenAI(base_url=simulator.url + "/v1", api_key="sim-key", max_retries=0)
    made = client.videos.create_and_poll(prompt="a boat", seconds="1", size="480x480", model="sora-2")  # type: ignore[arg-type]
    assert (made.status, made.progress, made.seconds) == ("completed", 100, "1")
    assert decoded(client.videos.download_content(made.id).content)[:2] == (480, 480)
    for variant in ("thumbnail", "spritesheet"):
        with Image.open(
            io.BytesIO(client.videos.download_content(made.id, variant=variant).content)
        ) as image:
            assert image.format == "WEBP"
    assert [entry.id for entry in client.videos.list(limit=5, order="asc")] == [made.id]
    assert client.videos.delete(made.id).deleted is True
    assert list(client.videos.list()) == []


@pytest.mark.parametrize(("style", "odd"), [("base64", "+/="), ("colon", ":"), ("plain", "")])
def test_an_odd_id_works_when_it_is_percent_encoded(simulator: Simulator, style: str, odd: str) -> None:
    control(simulator, "settings", {"id_style": style})
    made = video(simulator)
    assert set(odd) <= set(made["id"])
    assert ended_video(simulator, made["id"])["id"] == made["id"]
    assert videos(simulator, "GET", f"/{quote(made['id'], safe='')}/content").status_code == 200
    assert videos(simulator, "DELETE", "/" + quote(made["id"], safe="")).json()["id"] == made["id"]


def test_redirected_content_comes_from_another_origin_that_refuses_credentials(simulator: Simulator) -> None:
    control(simulator, "settings", {"content_redirect": True})
    made = video(simulator)
    ended_video(simulator, made["id"])
    answer = videos(simulator, "GET", f"/{made['id']}/content", allow_redirects=False)
    link = answer.headers["location"]
    assert answer.status_code == 302
    assert not link.startswith(simulator.url + "/")
    assert decoded(requests.get(link, timeout=10).content)[:2] == (480, 480)
    assert [requests.get(link, headers=h, timeout=10).status_code for h in (KEY, BEARER)] == [400, 400]
    assert requests.get(re.sub("sig=.*", "sig=x", link), timeout=10).status_code == 403


def test_servers_of_this_dialect_stray_as_they_are_told(simulator: Simulator) -> None:
    control(simulator, "settings", {"hide_prompt": True, "carry_url": True, "error_code_int": True})
    made = video(simulator)
    assert made["prompt"] is None
    assert ended_video(simulator, made["id"])["video_url"].endswith(f"/v1/videos/{made['id']}/content")
    assert videos(simulator, "GET", "/nothing").json()["error"]["code"] == 404
    failed = video(simulator, prompt="blocked-input")
    assert ended_video(simulator, failed["id"])["error"]["code"] == 400
    control(simulator, "settings", {"sparse": True, "error_without_code": True, "not_ready_status": 422})
    assert "code" not in videos(simulator, "GET", "/" + failed["id"]).json()["error"]
    early = video(simulator)
    assert "error" not in early
    assert videos(simulator, "GET", f"/{early['id']}/content").status_code == 422
    control(
        simulator, "settings", {"detail_errors": True, "delete_says_status": True, "multipart_only": True}
    )
    assert videos(simulator, "POST", json={"prompt": "x"}).json().keys() == {"detail"}
    assert videos(simulator, "DELETE", "/" + early["id"]).json()["status"] == "deleted"
    control(simulator, "settings", {"multipart_only": False, "json_only": True})
    assert videos(simulator, "POST", files={"prompt": (None, "x")}).status_code == 400


# Keys, connections, process


def test_both_key_headers_open_both_dialects_and_a_wrong_key_is_denied(simulator: Simulator) -> None:
    for headers in (KEY, BEARER):
        assert sora(simulator, "GET", "jobs?limit=1", headers=headers).status_code == 200
        assert videos(simulator, "GET", headers=headers).status_code == 200
        assert (
            requests.get(f"{simulator.url}/openai/v1/videos", headers=headers, timeout=10).status_code == 200
        )
    for headers in ({}, {"api-key": "other"}, {"Authorization": "sim-key"}):
        refused = sora(simulator, "GET", "jobs?limit=1", headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "401")
        assert refused.json()["error"]["message"].startswith("Access denied due to invalid subscription key")
        assert videos(simulator, "GET", headers=headers).status_code == 401


def test_stopping_closes_kept_connections_and_starting_again_finds_the_jobs() -> None:
    with Simulator() as simulator, requests.Session() as session:
        url, job = simulator.url, sora_job(simulator)
        session.get(url + "/_simulator/settings", timeout=5)
        simulator.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(url + "/_simulator/settings", timeout=5)
        simulator.start()
        assert simulator.url == url
        assert sora(simulator, "GET", f"jobs/{job['id']}").status_code == 200


def test_the_command_says_where_it_listens_and_stops_cleanly_when_told() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "local.simulator", "--port", "0", "--pace", "5", "--api-key", "k"]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, text=True, env=os.environ.copy()
    ) as process:
        try:
            assert process.stdout is not None
            match = re.fullmatch(r".*(http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
            assert match is not None
            assert (
                requests.get(match[1] + "/v1/videos", headers={"api-key": "k"}, timeout=5).status_code == 200
            )
            settings = requests.get(match[1] + "/_simulator/settings", timeout=5).json()
            assert [settings[name] for name in ("speed", "queue_seconds", "run_seconds")] == [1, 2, 6]
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


# Faults


def fault(simulator: Simulator, **fields: Any) -> None:
    control(simulator, "faults", fields)


def test_a_fault_answers_in_place_of_the_operation_as_often_as_it_was_told(simulator: Simulator) -> None:
    fault(
        simulator,
        operation="create",
        times=2,
        skip=1,
        status=503,
        body={"busy": 1},
        headers={"retry-after": "3"},
    )
    answers = [sora(simulator, "POST", "jobs", json=SMALL) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    assert (answers[1].json(), answers[1].headers["retry-after"]) == ({"busy": 1}, "3")
    assert control(simulator, "faults", method="GET") == {"faults": []}
    assert len(control(simulator, "ledger", method="GET")["jobs"]) == 2


def test_a_lost_answer_and_a_carried_out_error_leave_a_job_behind_and_a_drop_does_not(
    simulator: Simulator,
) -> None:
    for effect, jobs in (({"drop": True}, 0), ({"lost_answer": True}, 1)):
        fault(simulator, operation="create", **effect)
        with pytest.raises(requests.ConnectionError):
            sora(simulator, "POST", "jobs", json=SMALL)
        assert len(control(simulator, "ledger", method="GET")["jobs"]) == jobs
    fault(simulator, operation="create", carried_out=True, status=500, body="<html>oops</html>")
    answer = sora(simulator, "POST", "jobs", json=SMALL)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html")
    ledger = control(simulator, "ledger", method="GET")
    assert len(ledger["jobs"]) == 2
    assert [(call["status"], call["job_id"] is not None) for call in ledger["calls"]] == [
        (None, False),
        (None, True),
        (500, True),
    ]


def test_a_fault_of_all_operations_that_lasts_forever_ends_when_it_is_cleared(simulator: Simulator) -> None:
    fault(simulator, operation="*", times=-1, status=502)
    assert {videos(simulator, "GET").status_code for _ in range(3)} == {502}
    assert control(simulator, "faults", method="DELETE") == {"faults": []}
    assert videos(simulator, "GET").status_code == 200


def test_delay_holds_the_answer_back(simulator: Simulator) -> None:
    fault(simulator, operation="list", delay=0.3)
    started = time.monotonic()
    assert videos(simulator, "GET").status_code == 200
    assert time.monotonic() - started >= 0.3


def test_a_call_that_is_held_back_over_a_reset_never_happens(simulator: Simulator) -> None:
    fault(simulator, operation="create", delay=0.5)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(sora, simulator, "POST", "jobs", json=SMALL)
        until(lambda: not simulator.faults.active())
        control(simulator, "reset")
        with pytest.raises(requests.ConnectionError):
            held.result()
    ledger = control(simulator, "ledger", method="GET")
    assert (ledger["jobs"], ledger["calls"]) == ([], [])


def test_drip_sends_slowly(simulator: Simulator) -> None:
    fault(simulator, operation="list", replace_body="x" * 300, drip=1000)
    started = time.monotonic()
    assert videos(simulator, "GET").text == "x" * 300
    assert time.monotonic() - started >= 0.29


def test_a_cut_body_announces_its_full_length_and_a_silent_cut_none(simulator: Simulator) -> None:
    path = f"{generation(simulator)}/content/video"
    whole = sora(simulator, "GET", path).content
    fault(simulator, operation="video", cut_after=1000)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match=r"1000 bytes read"):
        sora(simulator, "GET", path)
    fault(simulator, operation="video", cut_after=1000, no_content_length=True)
    silent = sora(simulator, "GET", path)
    assert (silent.content, "content-length" in silent.headers) == (whole[:1000], False)
    fault(simulator, operation="video", no_content_length=True)
    assert sora(simulator, "GET", path).content == whole


def test_a_wrong_length_is_announced_as_told(simulator: Simulator) -> None:
    path = f"{generation(simulator)}/content/video"
    whole = sora(simulator, "GET", path).content
    fault(simulator, operation="video", announce_length=500)
    assert sora(simulator, "GET", path).content == whole[:500]
    fault(simulator, operation="video", announce_length=len(whole) + 7)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        sora(simulator, "GET", path)


def test_other_things_come_in_place_of_a_video(simulator: Simulator) -> None:
    path = f"{generation(simulator)}/content/video"
    for effect, kind, start in (
        ({"replace_body": "<html>"}, "text/html", b"<html>"),
        ({"replace_body": {"error": 1}}, "application/json", b'{"error": 1}'),
        ({"replace_body": "", "content_type": "video/mp4"}, "video/mp4", b""),
    ):
        fault(simulator, operation="video", **effect)
        answer = sora(simulator, "GET", path)
        assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, kind, start)
    noise = []
    for _ in range(2):
        fault(simulator, operation="video", garbage_bytes=5000)
        noise.append(sora(simulator, "GET", path))
    assert noise[0].headers["content-type"] == "video/mp4"
    assert noise[0].content == noise[1].content
    assert (len(noise[0].content), noise[0].content[4:8] == b"ftyp") == (5000, False)


def test_a_redirect_sends_the_client_elsewhere(simulator: Simulator) -> None:
    fault(simulator, operation="list", redirect="http://127.0.0.1:1/else")
    answer = videos(simulator, "GET", allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1:1/else")


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("faults", {"operation": "creat", "drop": True}, "create, remix"),
        ("faults", {"operation": "create", "statsu": 500}, "status"),
        ("faults", {"operation": "create", "status": "500"}, "200 to 599"),
        ("faults", {"operation": "create"}, "no effect"),
        ("faults", {"operation": "create", "carried_out": True, "drop": True}, "carried_out needs"),
        ("settings", {"sped": 2}, "speed"),
        ("settings", {"speed": 0}, "above 0"),
        ("clock", {"advance": -1}, "forward"),
        ("clock", {"back": 1}, "advance"),
    ],
)
def test_a_control_call_that_makes_no_sense_says_what_would(
    simulator: Simulator, name: str, content: object, hint: str
) -> None:
    answer = requests.post(f"{simulator.url}/_simulator/{name}", json=content, timeout=5)
    assert answer.status_code == 400
    assert hint in answer.json()["error"]
    assert control(simulator, "faults", method="GET") == {"faults": []}


# Ledger


def test_the_ledger_has_every_job_and_call_and_no_secret(simulator: Simulator) -> None:
    job = sora_job(simulator)
    name = ended_sora(simulator, job["id"])["generations"][0]["id"]
    requests.get(f"{simulator.url}/v1/videos?sig=hush", headers={"api-key": "not-the-key"}, timeout=5)
    for method, path in (
        ("HEAD", f"{name}/content/video"),
        ("GET", name),
        ("GET", f"{name}/content/thumbnail"),
    ):
        sora(simulator, method, path)
    sora(simulator, "DELETE", f"jobs/{job['id']}")
    ledger = control(simulator, "ledger", method="GET")
    (entry,) = ledger["jobs"]
    assert (entry["id"], entry["generations"], entry["deleted"]) == (job["id"], [name], True)
    calls = [call for call in ledger["calls"] if call["operation"] != "get"]
    assert [(call["operation"], call["status"], call["job_id"]) for call in calls] == [
        ("create", 200, job["id"]),
        ("list", 401, None),
        ("video_head", 200, job["id"]),
        ("get_generation", 200, job["id"]),
        ("thumbnail", 200, job["id"]),
        ("delete", 204, job["id"]),
    ]
    assert [call["n"] for call in ledger["calls"]] == list(range(1, len(ledger["calls"]) + 1))
    assert not re.search("sim-key|hush|not-the-key", json.dumps(ledger))
