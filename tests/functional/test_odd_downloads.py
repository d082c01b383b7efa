"""Videos that come in odd ways: kept as soon as they can be had, and never a part or a picture in their place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.strange_api import KEY, Reply, StrangeApi, StrangeLine, box, small_mp4
from tests.strange_server import VIDEO, Server, code_of
from video_jobs.domain.job import Job, Status

WEBM = b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 20
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
FRAGMENT = box(b"moof", box(b"mfhd", bytes(8))) + box(b"mdat", b"frames")
FRAGMENTED = small_mp4() + 3 * FRAGMENT


def ended_with(api: StrangeApi, content: Reply, hours: float = 20) -> Job:
    server = Server(api)
    server.replies["content"] = content
    line = StrangeLine(api)
    return line.run_for(line.submit(), hours=hours)


@pytest.mark.parametrize(
    "body", [FRAGMENTED, FRAGMENTED + b"\n", small_mp4() + b"\0\0\0\0mdat" + b"frames"], ids=len
)
def test_what_has_no_marked_end_is_kept_after_some_downloads_that_are_the_same(
    api: StrangeApi, body: bytes
) -> None:
    ended = ended_with(api, Reply(200, body, content_type="video/mp4", length=-1))
    assert ended.outputs[0].stored is not None
    assert len(api.asked("content")) == 6
    assert (ended.status, ended.outputs[0].stored.verified) == (Status.SUCCEEDED, True)


@pytest.mark.parametrize(("length", "downloads"), [(None, 2), (-1, 6)])
def test_a_video_in_another_format_is_kept_unverified(
    api: StrangeApi, length: int | None, downloads: int
) -> None:
    ended = ended_with(api, Reply(200, WEBM, content_type="video/webm", length=length))
    assert ended.outputs[0].stored is not None
    assert code_of(ended) == "unverified_video"
    assert len(api.asked("content")) == downloads


def test_a_fragmented_video_that_was_cut_between_two_fragments_waits_for_the_whole(api: StrangeApi) -> None:
    server = Server(api)
    cut = [small_mp4() + FRAGMENT, small_mp4() + 2 * FRAGMENT, small_mp4() + FRAGMENT + FRAGMENT[:24]]
    replies = [Reply(200, body, content_type="video/mp4", length=-1) for body in cut]
    whole = Reply(200, FRAGMENTED + box(b"mfra"), content_type="video/mp4", length=-1)
    server.replies["content"] = lambda asked: replies.pop(0) if replies else whole
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert ended.status is Status.SUCCEEDED
    assert ended.outputs[0].stored is not None
    assert ended.outputs[0].stored.length == len(whole.bytes)


def test_a_fragment_without_its_pictures_is_no_whole_video(api: StrangeApi) -> None:
    body = small_mp4() + FRAGMENT + box(b"moof", box(b"mfhd", bytes(8)))
    ended = ended_with(api, Reply(200, body, content_type="video/mp4"))
    assert code_of(ended) == "unverified_video"


def test_two_ways_that_send_different_bytes_are_each_counted(api: StrangeApi) -> None:
    """Every second download goes the other way."""
    server = Server(api, {"status": "completed", "url": f"{api.url}/files/v.webm"})
    server.replies["content"] = Reply(200, WEBM, content_type="video/webm")
    server.replies[""] = Reply(200, WEBM + b"other", content_type="video/webm")
    line = StrangeLine(api)
    assert code_of(line.run_for(line.submit(), hours=1)) == "unverified_video"


@pytest.mark.parametrize(
    "job",
    [
        {"status": "completed", "output": [{"url": "{url}/files/cover.png"}, {"url": "{url}/files/v.mp4"}]},
        {
            "status": "completed",
            "metadata": {"url": "{url}/files/cover.png"},
            "video": {"url": "{url}/files/v.mp4"},
        },
    ],
    ids=str,
)
def test_a_picture_is_never_taken_for_the_video(api: StrangeApi, job: dict[str, Any]) -> None:
    def placed(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: placed(each) for name, each in value.items()}
        if isinstance(value, list):
            return [placed(each) for each in value]
        return value.replace("{url}", api.url)

    server = Server(api, placed(job))
    server.replies["content"] = Reply(404)
    server.replies[""] = lambda asked: (
        Reply(200, PNG, content_type="image/png")
        if asked.bare.endswith(".png")
        else Reply(200, VIDEO, content_type="video/mp4")
    )
    line = StrangeLine(api)
    seen = line.run_for(line.submit(), hours=1)
    assert all(output.stored is None or output.stored.length == len(VIDEO) for output in seen.outputs)
    if isinstance(job.get("video"), dict):
        assert seen.status is Status.SUCCEEDED


def test_an_address_that_was_escaped_for_html_is_read_as_it_was_meant(api: StrangeApi) -> None:
    server = Server(api, {"status": "completed", "url": f"{api.url}/files/v.mp4?id=1&amp;sig=2&amp;t=3"})
    server.replies["content"] = Reply(404)
    server.replies[""] = lambda asked: (
        Reply(200, VIDEO, content_type="video/mp4") if asked.path.endswith("?id=1&sig=2&t=3") else Reply(403)
    )
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert len(api.asked("")) == 2


def test_under_an_unknown_word_a_picture_is_no_sign_that_the_job_is_done(api: StrangeApi) -> None:
    server = Server(api, {"status": "warming up", "metadata": {"url": f"{api.url}/files/preview.png"}})
    server.replies["content"] = Reply(404)
    server.replies[""] = Reply(200, PNG, content_type="image/png")
    line = StrangeLine(api)
    job = line.submit()
    assert not line.run_for(job, hours=1).is_terminal
    server.replies.clear()
    server.job = {"status": "completed"}
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED


# --- the time ------------------------------------------------------------------------------------


def test_after_the_expiry_the_bytes_are_asked_for_once_more_however_late(api: StrangeApi) -> None:
    expires_at = int((api.clock() + timedelta(minutes=20)).timestamp())
    server = Server(api, {"status": "completed", "expires_at": expires_at})
    server.replies["content"] = Reply(503)
    line = StrangeLine(api)
    job = line.submit()
    line.run_until(job, Status.PENDING_DOWNLOAD)
    line.advance(3 * 3600)  # the app was down
    server.replies.clear()
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_server_whose_clock_is_wrong_and_not_told_keeps_its_jobs_for_as_long_as_it_says(
    api: StrangeApi, hours: int
) -> None:
    server = Server(api)
    server.created_at += hours * 3600
    server.job = {"status": "in_progress", "expires_at": server.created_at + 4 * 3600}
    server.replies["create"] = Reply(200, server.shown(status="queued"), {"Date": ""})
    server.replies["get"] = lambda asked: Reply(200, server.shown(**server.job), {"Date": ""})
    line = StrangeLine(api)
    job = line.submit()
    assert line.run_for(job, hours=3.5).status is Status.RUNNING
    server.job |= {"status": "completed"}
    assert line.run_for(job, hours=0.4).status is Status.SUCCEEDED


def test_a_key_in_another_case_is_not_told_either(api: StrangeApi) -> None:
    label = f"text/{KEY.upper()}"
    job = ended_with(api, Reply(200, b"no video", content_type=label), hours=1)
    assert KEY.lower() not in repr(job).lower()
