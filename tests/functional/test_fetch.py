"""Downloads: whole and checked, or not at all; tried until the backend deletes them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from local.simulator.server import Simulator
from tests.pipeline import OWNER, Pipeline
from video_jobs.job import Job, Status
from video_jobs.messages import FETCH_QUEUE, POLL_QUEUE, FetchMessage
from video_jobs.storage.memory import MemoryBlob, QueuedMessage


def fetching(pipeline: Pipeline, **changes: object) -> Job:
    """A job whose videos are generated and not yet fetched."""
    return pipeline.run_until(pipeline.submit(**changes), Status.FETCHING)


def video_blobs(pipeline: Pipeline) -> dict[str, MemoryBlob]:
    return {name: blob for name, blob in pipeline.blobs.videos.items() if name.endswith(".mp4")}


def assert_stored_once_and_whole(pipeline: Pipeline, job: Job) -> None:
    ended = pipeline.run(job)
    assert ended.status is Status.SUCCEEDED, ended.error
    [(_, blob)] = video_blobs(pipeline).items()
    [output] = ended.outputs
    assert output.stored is not None
    assert len(blob.content) == output.stored.length
    assert blob.content[4:8] == b"ftyp"
    assert pipeline.backend_jobs() == 1
    assert len(pipeline.calls("create")) == 1


PASSING = {
    "403": {"status": 403},
    "404": {"status": 404},
    "429": {"status": 429, "headers": {"retry-after": "2"}},
    "500": {"status": 500},
    "502 in HTML": {"status": 502, "body": "<html><title>Bad Gateway</title></html>"},
    "401": {"status": 401},
    "a closed connection": {"drop": True},
    "cut before the first byte": {"cut_after": 0},
    "cut in ftyp": {"cut_after": 6},
    "cut in the middle": {"cut_after": 30_000},
    "cut without a length": {"cut_after": 30_000, "no_content_length": True},
    "cut in ftyp without a length": {"cut_after": 6, "no_content_length": True},
    "a length that is too large": {"announce_length": 10_000_000},
    "a length that is too small": {"announce_length": 5_000, "times": 1},
    "JSON": {"replace_body": {"error": {"code": "x", "message": "not accessible"}}},
    "JSON that says it is a video": {"replace_body": '{"a": 1}', "content_type": "video/mp4"},
    "HTML": {"replace_body": "<html>sorry</html>", "content_type": "text/html"},
    "nothing": {"replace_body": "", "content_type": "video/mp4"},
    "garbage once": {"garbage_bytes": 5000, "times": 1},
    "a redirect to nowhere": {"redirect": "http://127.0.0.1:9/gone"},
    "a redirect that can't be read": {"redirect": "http://[bad"},
    "a redirect to a port that is none": {"redirect": "http://127.0.0.1:99999/"},
    "redirects without an end": {"redirect": "?again=1", "times": 12},
}


@pytest.mark.parametrize("what", PASSING)
def test_an_error_that_may_pass_makes_it_pending_download_and_then_it_is_stored(
    pipeline: Pipeline, what: str
) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", **{"times": 2, **PASSING[what]})
    pipeline.run_until(job, Status.PENDING_DOWNLOAD)
    assert pipeline.job(job).outputs[0].problem
    assert not video_blobs(pipeline)
    assert_stored_once_and_whole(pipeline, job)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "text/html; charset=utf-8", ""])
def test_a_video_under_a_wrong_label_is_kept(pipeline: Pipeline, kind: str) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", relabel=kind, times=-1)
    assert_stored_once_and_whole(pipeline, job)
    assert len(pipeline.calls("video")) == 1


def test_a_cut_one_byte_before_the_end_is_noticed(pipeline: Pipeline) -> None:
    whole = len(next(iter(_finished(pipeline).values())).content)
    for marked in (True, False):
        pipeline.blobs.videos.clear()
        job = fetching(pipeline)
        pipeline.fault("video", times=1, cut_after=whole - 1, no_content_length=not marked)
        pipeline.run_until(job, Status.PENDING_DOWNLOAD)
        assert not video_blobs(pipeline)
        assert pipeline.run(job).status is Status.SUCCEEDED


def _finished(pipeline: Pipeline) -> dict[str, MemoryBlob]:
    pipeline.run(pipeline.submit())
    return video_blobs(pipeline)


def test_complete_bytes_that_are_no_mp4_twice_are_kept_and_said_to_be_unverified(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", times=-1, garbage_bytes=5000)
    ended = pipeline.run(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "unverified_video")
    assert ended.outputs[0].stored is not None
    assert ended.outputs[0].stored.verified is False
    [blob] = video_blobs(pipeline).values()
    assert len(blob.content) == 5000
    assert len(pipeline.calls("video")) == 2


def test_bytes_without_a_marked_end_are_never_kept_unverified(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"retention_seconds": 3600})
    job = fetching(pipeline)
    pipeline.fault("video", times=-1, cut_after=20_000, no_content_length=True)
    assert pipeline.run(job).status is Status.EXPIRED
    assert not video_blobs(pipeline)


def test_a_video_that_is_never_given_is_tried_until_it_expires_and_not_longer(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", times=-1, status=403)
    ended = pipeline.run(job)
    assert ended.status is Status.EXPIRED
    assert ended.error is not None
    assert "403" in ended.error.message
    assert ended.finished_at is not None
    assert ended.expires_at is not None
    assert timedelta() <= ended.finished_at - ended.expires_at <= timedelta(minutes=1)
    assert not pipeline.live_jobs.keys
    assert len(pipeline.calls("video")) > 100, "a day of tries, five minutes apart"


def test_the_backends_retry_after_is_heeded(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", status=429, headers={"retry-after": "42"})
    pipeline.run_until(job, Status.PENDING_DOWNLOAD)
    [message] = [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE]
    assert (message.visible_at - pipeline.now()).total_seconds() == pytest.approx(42, abs=0.5)


def test_several_variants_are_all_stored_before_the_job_succeeds(sora: Pipeline) -> None:
    job = fetching(sora, variants=3)
    sora.fault("video", status=503, times=1)
    ended = sora.run(job)
    assert ended.status is Status.SUCCEEDED
    assert len(video_blobs(sora)) == 3
    assert len({o.stored.sha256 for o in ended.outputs if o.stored}) == 3


def test_a_stored_video_stays_when_another_one_expires(sora: Pipeline) -> None:
    job = fetching(sora, variants=2)
    sora.fault("video", status=404, times=-1, skip=1)
    ended = sora.run(job)
    assert ended.status is Status.EXPIRED
    assert [bool(o.stored) for o in ended.outputs].count(True) == 1
    assert len(video_blobs(sora)) == 1


def test_a_fetch_delivered_twice_downloads_once(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    [message] = [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE]
    pipeline.deliver(message)
    ended = pipeline.job(job)
    pipeline.deliver(message)
    assert pipeline.job(job) == ended
    assert len(pipeline.calls("video")) == 1


def test_a_crash_between_blob_and_row_needs_no_second_download(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = fetching(pipeline)
    [message] = [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE]
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.jobs, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pipeline.deliver(message)
    pipeline.fault("video", status=404, times=-1)
    pipeline.deliver(message)
    ended = pipeline.job(job)
    assert ended.status is Status.SUCCEEDED
    assert ended.outputs[0].stored is not None
    assert ended.outputs[0].stored.width == ended.request.width


def test_a_foreign_blob_in_the_place_of_a_video_is_never_taken_for_it(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    name = f"{OWNER}/{job.id}/0.mp4"
    pipeline.blobs.videos[name] = MemoryBlob(b"something else", {})
    pipeline.run_until(job, Status.PENDING_DOWNLOAD)
    assert "Move it away" in (pipeline.job(job).reason or "")
    del pipeline.blobs.videos[name]
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_a_fetch_message_without_a_turn_tries_once(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    pipeline.messages.queued = [m for m in pipeline.messages.queued if m.queue == POLL_QUEUE]
    once = QueuedMessage(
        FETCH_QUEUE, FetchMessage(owner=OWNER, job_id=job.id, index=0).encode(), pipeline.now()
    )
    pipeline.fault("video", status=503)
    pipeline.deliver(once)
    assert [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE] == []
    pipeline.deliver(once)
    assert pipeline.job(job).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    "effects",
    [{"status": 500}, {"drop": True}, {"replace_body": "<html>"}, {"replace_body": ""}, {"cut_after": 3}],
    ids=str,
)
def test_a_thumbnail_is_best_effort(pipeline: Pipeline, effects: dict[str, object]) -> None:
    job = fetching(pipeline)
    pipeline.fault("thumbnail", times=-1, **effects)
    ended = pipeline.run(job)
    assert ended.status is Status.SUCCEEDED
    assert ended.outputs[0].thumbnail is None


def test_a_thumbnail_whose_address_can_not_be_read_holds_nothing_up(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    pipeline.fault("thumbnail", redirect="http://[bad", times=-1)
    assert_stored_once_and_whole(pipeline, job)


def test_a_thumbnail_that_hangs_holds_nothing_up_for_long(videos: Pipeline) -> None:
    job = fetching(videos)
    videos.fault("thumbnail", drip=1)
    assert videos.run(job).status is Status.SUCCEEDED


def test_a_drip_ends_at_the_deadline_and_is_tried_again(simulator: Simulator) -> None:
    pipeline = Pipeline(simulator, "azure-sora", VIDEO_FETCH_DEADLINE_SECONDS="10")
    job = fetching(pipeline)
    pipeline.fault("video", drip=500)
    pipeline.run_until(job, Status.PENDING_DOWNLOAD)
    assert "longer than it may" in (pipeline.job(job).reason or "")
    assert_stored_once_and_whole(pipeline, job)


def test_no_key_travels_along_to_another_origin(videos: Pipeline) -> None:
    # The simulator's signed addresses answer 400 to whoever sends a key along.
    videos.simulator.world.change({"content_redirect": True})
    assert videos.run(videos.submit()).status is Status.SUCCEEDED
    assert videos.calls("signed")


def test_a_gateway_that_names_the_address_in_the_job_is_served(videos: Pipeline) -> None:
    videos.simulator.world.change({"carry_url": True})
    job = fetching(videos)
    videos.fault("video", status=400, body={"detail": "download it from the url"})
    assert videos.run(job).status is Status.SUCCEEDED


@pytest.mark.parametrize("style", ["base64", "colon"])
def test_odd_ids_are_opaque(videos: Pipeline, style: str) -> None:
    videos.simulator.world.change({"id_style": style})
    assert videos.run(videos.submit()).status is Status.SUCCEEDED


def test_the_videos_explain_themselves_without_the_table(pipeline: Pipeline) -> None:
    job = pipeline.run(pipeline.submit())
    summary = json.loads(pipeline.blobs.videos[f"{OWNER}/{job.id}/job.json"].content)
    assert summary["prompt"] == job.request.prompt
    assert summary["status"] == "succeeded"
    assert summary["videos"][0]["sha256"] == job.outputs[0].stored.sha256  # type: ignore[union-attr]
    assert "http" not in json.dumps(summary["videos"])


def test_an_input_image_reaches_the_backend(simulator: Simulator, tmp_path: Path) -> None:
    import base64

    from PIL import Image

    path = tmp_path / "boat.png"
    Image.new("RGB", (720, 1280), "navy").save(path)
    url = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    for dialect in ("azure-sora", "openai-videos"):
        pipeline = Pipeline(simulator, dialect)
        job = pipeline.submit(input_image=url)
        assert job.status is Status.QUEUED, job.error
        assert pipeline.blobs.inputs[f"{OWNER}/{job.id}"] == path.read_bytes()
        assert pipeline.run(job).status is Status.SUCCEEDED
