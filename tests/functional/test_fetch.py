"""Downloads: when, how often and into which place. What an answer may do to them: `faults/test_hostile_downloads`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from local.simulator.server import Simulator
from tests.pipeline import OWNER, Pipeline
from tests.steps import fetching, video_blobs
from video_jobs.domain.job import Status
from video_jobs.domain.queue_messages import FETCH_QUEUE, POLL_QUEUE, FetchMessage
from video_jobs.media.verification import VerifiedStream
from video_jobs.storage.memory import MemoryBlob, QueuedMessage


@pytest.mark.promise("I7")
def test_a_video_that_is_never_given_is_tried_until_it_expires_and_not_longer(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", times=-1, status=403)
    ended = pipeline.run(job)
    assert ended.status is Status.EXPIRED
    assert ended.error is not None
    assert "403" in ended.error.message
    assert ended.finished_at is not None
    assert ended.expires_at is not None
    late = ended.finished_at - ended.expires_at
    assert timedelta(minutes=9) <= late <= timedelta(minutes=15), "a download from before may still end"
    assert max(call["at"] for call in pipeline.calls("video")) <= ended.expires_at.timestamp() + 60
    assert not pipeline.live_jobs.keys
    assert len(pipeline.calls("video")) > 100, "a day of tries, five minutes apart"


def test_the_backends_retry_after_is_heeded(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", status=429, headers={"retry-after": "42"})
    pipeline.run_until(job, Status.PENDING_DOWNLOAD)
    [message] = [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE]
    assert (message.visible_at - pipeline.now()).total_seconds() == pytest.approx(42, abs=0.5)


@pytest.mark.promise("I4")
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


def crashed_between_blob_and_row(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> QueuedMessage:
    """The fetch message, which comes again."""
    [message] = [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE]
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.jobs, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pipeline.deliver(message)
    return message


def test_a_crash_between_blob_and_row_needs_no_second_download(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = fetching(pipeline)
    message = crashed_between_blob_and_row(pipeline, monkeypatch)
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


@pytest.mark.parametrize("changes", [{"sha256": None}, {"width": "wide"}, {"trailing_bytes": "1.5"}])
def test_a_blob_whose_metadata_were_changed_is_never_taken_for_the_video(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None]
) -> None:
    job = fetching(pipeline)
    message = crashed_between_blob_and_row(pipeline, monkeypatch)
    name = f"{OWNER}/{job.id}/0.mp4"
    blob = pipeline.blobs.videos[name]
    changed = {key: value for key, value in {**blob.metadata, **changes}.items() if value is not None}
    pipeline.blobs.videos[name] = MemoryBlob(blob.content, changed)
    pipeline.deliver(message, tries=2)
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
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_a_thumbnail_that_hangs_holds_nothing_up_for_long(videos: Pipeline) -> None:
    job = fetching(videos)
    videos.fault("thumbnail", drip=1)
    assert videos.run(job).status is Status.SUCCEEDED


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


def test_a_download_that_lasts_notes_that_bytes_come_and_is_not_asked_for_again(
    videos: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes for one video, the bytes of which come all the time."""
    job = fetching(videos)
    turns: list[int] = []
    real = VerifiedStream.__iter__

    def slowly(stream: VerifiedStream) -> Iterator[bytes]:
        for _ in range(20):
            videos.simulator.world.clock.advance(30)
            stream._on_progress()
            for guard in [m for m in videos.messages.queued if m.queue == POLL_QUEUE]:
                if guard.visible_at <= videos.now():
                    videos.messages.queued.remove(guard)
                    videos.deliver(guard)
            turns.append(videos.job(job).outputs[0].chain.turn)
        yield from real(stream)

    monkeypatch.setattr(VerifiedStream, "__iter__", slowly)
    [fetch] = [m for m in videos.messages.queued if m.queue == FETCH_QUEUE]
    videos.messages.queued.remove(fetch)
    videos.deliver(fetch)
    assert videos.job(job).status is Status.SUCCEEDED
    assert set(turns) == {0}
    assert len(videos.calls("video")) == 1


@pytest.mark.promise("I11")
@pytest.mark.parametrize("turn", [0, 1, 5])
def test_a_download_whose_message_is_hidden_is_asked_for_again_within_three_minutes(
    pipeline: Pipeline, turn: int
) -> None:
    job = fetching(pipeline)
    if turn:
        pipeline.fault("video", times=turn, status=403)
        pipeline.run(job, lambda seen: seen.outputs[0].chain.turn == turn)
    [fetch] = [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE]
    due = max(fetch.visible_at, pipeline.now())
    pipeline.messages.queued.remove(fetch)  # taken by a host that dies
    ended = pipeline.run(job)
    assert ended.status is Status.SUCCEEDED
    assert ended.finished_at is not None
    assert (ended.finished_at - due).total_seconds() <= 180


def test_a_backlog_is_no_reason_to_ask_again(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    [fetch] = [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE]
    for _ in range(20):  # the guard's; nobody takes the download's
        guard = min(
            (m for m in pipeline.messages.queued if m.queue == POLL_QUEUE), key=lambda m: m.visible_at
        )
        pipeline.messages.queued.remove(guard)
        pipeline.advance(max((guard.visible_at - pipeline.now()).total_seconds(), 0))
        pipeline.deliver(guard)
    assert [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE] == [fetch]
    assert pipeline.run(job).status is Status.SUCCEEDED
