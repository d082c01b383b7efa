"""Importing: the video of a job that was made elsewhere is fetched and kept like any other's."""

from __future__ import annotations

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from job_api.act import delete_job
from job_api.import_job import import_job, read_import
from job_api.retry import retry_job
from local.simulator.job import Job as MadeJob
from local.simulator.server import Simulator
from tests.cases import EACH_DIALECT
from tests.pipeline import OWNER, SMALL, Pipeline
from tests.steps import cancel, finish_generating, made_elsewhere, take_up, unconfirmed
from video_jobs.domain.errors import BackendError, BackendJobNotFound, InvalidRequest, StorageUnavailable
from video_jobs.domain.job import Job, Status
from video_jobs.ports import Claim
from video_jobs.views.job_view import job_summary

SOMEBODY_ELSE = "somebody-else"


def assert_nothing_was_stored(pipeline: Pipeline) -> None:
    assert pipeline.jobs.everything() == []
    assert not pipeline.live_jobs.keys
    assert not pipeline.claims.claims
    assert not pipeline.messages.queued


def assert_kept(pipeline: Pipeline, job: Job, made: MadeJob) -> None:
    """Its video lies in storage, and nothing was paid for."""
    ended = pipeline.run(job)
    assert (ended.status, ended.backend_job_id) == (Status.SUCCEEDED, made.id), ended.error
    assert len(ended.outputs) == len(made.outputs)
    for output in ended.outputs:
        blob = pipeline.blobs.videos[f"{ended.owner}/{job.id}/{output.index}.mp4"]
        assert blob.content == made.outputs[output.index].rendering.result().mp4
    pipeline.drain()
    assert not pipeline.live_jobs.keys
    assert pipeline.gates.get("default").gate.slots == ()
    assert len(pipeline.calls("create")) == pipeline.backend_jobs()


# --- what can be imported ------------------------------------------------------------------------


def test_a_job_that_is_finished_is_fetched_and_kept(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    finish_generating(pipeline)
    job = take_up(pipeline, backend_job_id=made.id, metadata={"shot": "12"})
    assert job.metadata == {"shot": "12"}
    assert "adopted" in {event.what for event in job.history}
    assert_kept(pipeline, job, made)


@pytest.mark.parametrize("seconds", [0, 15])
def test_a_job_that_still_runs_is_waited_for(pipeline: Pipeline, seconds: int) -> None:
    made = made_elsewhere(pipeline)
    pipeline.advance(seconds)
    assert_kept(pipeline, take_up(pipeline, backend_job_id=made.id), made)


def test_a_generations_id_will_do_as_people_have_it_from_the_404(sora: Pipeline) -> None:
    made = made_elsewhere(sora, variants=2)
    finish_generating(sora)
    job = take_up(sora, generation_id=made.outputs[1].id)
    assert_kept(sora, job, made)
    assert take_up(sora, backend_job_id=made.id).id == job.id


def test_what_was_asked_for_is_told_as_far_as_the_video_api_tells_it(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    job = take_up(pipeline, backend_job_id=made.id)
    asked = SMALL[pipeline.dialect]
    assert (job.request.prompt, job.request.size) == (asked["prompt"], asked["size"])
    assert job.request.seconds == asked["seconds"]
    summary = job_summary(job)
    assert (summary["imported"], summary["backend_job_id"]) == (True, made.id)


def test_what_the_video_api_does_not_tell_is_left_open(videos: Pipeline) -> None:
    made = made_elsewhere(videos)
    finish_generating(videos)
    word = {"id": made.id, "status": "completed"}
    videos.fault("get", replace_body=word, times=-1)
    job = take_up(videos, backend_job_id=made.id)
    summary = job_summary(job)
    assert (summary["prompt"], summary["size"], summary["seconds"]) == ("", None, None)
    assert_kept(videos, job, made)


@pytest.mark.parametrize("style", ["base64", "colon"])
def test_odd_ids_are_opaque(videos: Pipeline, style: str) -> None:
    videos.simulator.world.change({"id_style": style})
    made = made_elsewhere(videos)
    assert_kept(videos, take_up(videos, backend_job_id=made.id), made)


def test_a_job_that_failed_is_imported_as_failed_and_says_why(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline, prompt="a boat, internal-failure")
    finish_generating(pipeline)
    job = pipeline.run(take_up(pipeline, backend_job_id=made.id))
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "generation_failed")
    pipeline.drain()
    assert len(pipeline.calls("create")) == 1


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_an_import_waits_for_no_place_and_takes_none(simulator: Simulator, dialect: str) -> None:
    simulator.world.change({"run_seconds": 3000, "running_limit": None})
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="1")
    made = made_elsewhere(pipeline)
    ours = pipeline.submit()
    assert take_up(pipeline, backend_job_id=made.id).status is Status.QUEUED
    assert [slot.job_id for slot in pipeline.gates.get("default").gate.slots] == [ours.id]


def test_an_imported_job_can_be_cancelled_and_deleted_like_any_other(pipeline: Pipeline) -> None:
    first, second = made_elsewhere(pipeline), made_elsewhere(pipeline)
    cancelled, deleted = (take_up(pipeline, backend_job_id=made.id) for made in (first, second))
    cancel(pipeline, cancelled)
    delete_job(pipeline.services, OWNER, deleted.id)
    assert pipeline.run(cancelled).status is Status.CANCELLED
    pipeline.drain()
    assert first.deleted_at is not None
    assert second.deleted_at is not None
    assert [stored.job.id for stored in pipeline.jobs.everything()] == [cancelled.id]


def test_a_named_backend_is_asked(simulator: Simulator) -> None:
    second = {
        "name": "second",
        "dialect": "openai-videos",
        "base_url": f"{simulator.url}/v1",
        "model": "sora-2",
        "api_key_setting": "SECOND_KEY",
    }
    pipeline = Pipeline(simulator, "azure-sora", VIDEO_BACKENDS=json.dumps([second]), SECOND_KEY="sim-key")
    made = made_elsewhere(Pipeline(simulator, "openai-videos"))
    with pytest.raises(BackendJobNotFound):
        take_up(pipeline, backend_job_id=made.id)
    job = take_up(pipeline, backend_job_id=made.id, backend="second")
    assert pipeline.run(job).status is Status.SUCCEEDED
    with pytest.raises(InvalidRequest, match="there are: default, second"):
        take_up(pipeline, backend_job_id=made.id, backend="third")


# --- what can not --------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["task_00", "video_00", "a/b", "..a", "%2F", "é", "x" * 1000])
def test_an_unknown_job_is_404_and_nothing_is_stored(pipeline: Pipeline, named: str) -> None:
    with pytest.raises(BackendJobNotFound):
        take_up(pipeline, backend_job_id=named)
    assert_nothing_was_stored(pipeline)


@pytest.mark.parametrize("named", ["gen_00", "jobs", "a/content", "é"])
def test_an_unknown_generation_is_404_and_nothing_is_stored(sora: Pipeline, named: str) -> None:
    with pytest.raises(BackendJobNotFound):
        take_up(sora, generation_id=named)
    assert_nothing_was_stored(sora)


def test_a_job_that_the_backend_has_deleted_is_404(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    pipeline.simulator.world.delete(made)
    with pytest.raises(BackendJobNotFound):
        take_up(pipeline, backend_job_id=made.id)
    assert_nothing_was_stored(pipeline)


@pytest.mark.parametrize(
    "effects",
    [{"status": 503}, {"status": 429}, {"status": 401}, {"drop": True}, {"replace_body": "<html>"}],
    ids=str,
)
def test_a_backend_that_can_not_say_is_an_error_and_nothing_is_stored(
    pipeline: Pipeline, effects: dict[str, Any]
) -> None:
    made = made_elsewhere(pipeline)
    pipeline.fault("get", **effects)
    with pytest.raises(BackendError):
        take_up(pipeline, backend_job_id=made.id)
    assert_nothing_was_stored(pipeline)
    assert_kept(pipeline, take_up(pipeline, backend_job_id=made.id), made)


def test_a_backend_that_is_away_is_an_error_and_nothing_is_stored(pipeline: Pipeline) -> None:
    pipeline.simulator.stop()
    try:
        with pytest.raises(BackendError):
            take_up(pipeline, backend_job_id="task_1")
    finally:
        pipeline.simulator.start()
    assert_nothing_was_stored(pipeline)


def test_a_backend_that_goes_away_between_the_looks_leaves_a_job_that_waits(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    pipeline.fault("get", status=503, skip=1, times=2)
    job = take_up(pipeline, backend_job_id=made.id)
    assert job.status is Status.WAITING
    assert job.reason
    assert_kept(pipeline, job, made)


def test_a_job_that_is_deleted_between_the_looks_is_failed_and_never_submitted(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    pipeline.fault("get", status=404, skip=1)
    job = take_up(pipeline, backend_job_id=made.id)
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "backend_job_not_found")
    pipeline.drain()
    assert len(pipeline.calls("create")) == 1
    assert not pipeline.live_jobs.keys
    assert not pipeline.claims.claims


# --- whose it is ---------------------------------------------------------------------------------


@pytest.mark.promise("I8")
def test_what_another_owner_has_is_404_and_says_the_same_as_what_is_not_there(pipeline: Pipeline) -> None:
    theirs = pipeline.submit(owner=SOMEBODY_ELSE)
    with pytest.raises(BackendJobNotFound) as known:
        take_up(pipeline, backend_job_id=theirs.backend_job_id)
    with pytest.raises(BackendJobNotFound) as unknown:
        take_up(pipeline, backend_job_id="task_00")
    assert str(known.value) == str(unknown.value).replace("task_00", theirs.backend_job_id or "")
    assert len(pipeline.jobs.everything()) == 1
    assert pipeline.run(theirs).status is Status.SUCCEEDED


class Recording:
    """A port whose calls are noted by name."""

    def __init__(self, name: str, real: Any, calls: list[str]) -> None:
        self._name, self._real, self._calls = name, real, calls

    def __getattr__(self, method: str) -> Any:
        self._calls.append(f"{self._name}.{method}")
        return getattr(self._real, method)


def calls_of_an_import(pipeline: Pipeline, **body: Any) -> list[str]:
    """To the storage and to the video API, of one that ends with 404."""
    calls: list[str] = []
    names = ("jobs", "live_jobs", "claims", "gates", "messages", "blobs")
    ports = {name: Recording(name, getattr(pipeline.services, name), calls) for name in names}
    before = len(pipeline.simulator.world.ledger.calls())
    services = pipeline.services._replace(**ports)  # type: ignore[arg-type]
    with pytest.raises(BackendJobNotFound):
        import_job(services, OWNER, read_import(json.dumps(body).encode()))
    asked = pipeline.simulator.world.ledger.calls()[before:]
    return [*calls, *(f"the video API's {call['operation']}" for call in asked)]


def test_an_import_of_what_another_owner_has_costs_the_calls_of_one_of_what_never_was(
    pipeline: Pipeline,
) -> None:
    theirs = pipeline.run(pipeline.submit(owner=SOMEBODY_ELSE))
    known = calls_of_an_import(pipeline, backend_job_id=theirs.backend_job_id)
    unknown = calls_of_an_import(pipeline, backend_job_id=f"{theirs.backend_job_id}0")
    assert known == unknown
    assert known.count("claims.find") == 1
    generation = theirs.outputs[0].generation_id
    known = calls_of_an_import(pipeline, generation_id=generation)
    assert known == calls_of_an_import(pipeline, generation_id=f"{generation}0")


def test_what_another_owner_has_imported_is_404(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    theirs = take_up(pipeline, owner=SOMEBODY_ELSE, backend_job_id=made.id)
    with pytest.raises(BackendJobNotFound):
        take_up(pipeline, backend_job_id=made.id)
    assert_kept(pipeline, theirs, made)
    with pytest.raises(BackendJobNotFound):
        take_up(pipeline, backend_job_id=made.id)


def test_what_is_ours_already_gives_the_job_that_has_it(pipeline: Pipeline) -> None:
    ours = pipeline.submit()
    assert take_up(pipeline, backend_job_id=ours.backend_job_id).id == ours.id
    pipeline.run(ours)
    assert take_up(pipeline, backend_job_id=ours.backend_job_id).id == ours.id
    assert len(pipeline.jobs.everything()) == 1


def test_importing_twice_gives_the_same_job(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    first = take_up(pipeline, backend_job_id=made.id)
    assert take_up(pipeline, backend_job_id=made.id, metadata={"a": "b"}).id == first.id
    assert_kept(pipeline, first, made)
    assert take_up(pipeline, backend_job_id=made.id).id == first.id
    assert len(pipeline.jobs.everything()) == 1


def test_ten_at_once_give_one_job(pipeline: Pipeline) -> None:
    made, barrier = made_elsewhere(pipeline), threading.Barrier(10)

    def click(_: int) -> str:
        barrier.wait()
        return take_up(pipeline, backend_job_id=made.id).id

    with ThreadPoolExecutor(10) as pool:
        [only] = set(pool.map(click, range(10)))
    assert len(pipeline.live_jobs.keys) == 1
    assert_kept(pipeline, pipeline.jobs.get(OWNER, only).job, made)


def test_of_two_owners_at_once_one_gets_it(pipeline: Pipeline) -> None:
    made, barrier = made_elsewhere(pipeline), threading.Barrier(8)

    def click(number: int) -> Job | None:
        barrier.wait()
        try:
            return take_up(pipeline, owner=(OWNER, SOMEBODY_ELSE)[number % 2], backend_job_id=made.id)
        except BackendJobNotFound:
            return None

    with ThreadPoolExecutor(8) as pool:
        jobs = {job.id: job for job in pool.map(click, range(8)) if job is not None}.values()
    ended = [pipeline.run(job) for job in jobs]
    [winner] = [job for job in ended if job.status is Status.SUCCEEDED]
    [claim] = pipeline.claims.claims.values()
    assert claim.job_id == winner.id
    for loser in ended:
        if loser.id != winner.id:
            assert (loser.status, loser.error and loser.error.code) == (
                Status.FAILED,
                "backend_job_not_found",
            )
            assert loser.backend_job_id is None
            assert not loser.outputs
    pipeline.drain()
    assert not pipeline.live_jobs.keys


def test_who_claims_it_first_has_it_though_both_had_looked(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_elsewhere(pipeline)
    real = pipeline.claims.claim

    def claim(ours: Claim) -> Claim:
        real(ours._replace(owner=SOMEBODY_ELSE, job_id="theirs"))
        return real(ours)

    monkeypatch.setattr(pipeline.claims, "claim", claim)
    job = take_up(pipeline, backend_job_id=made.id)
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "backend_job_not_found")
    assert SOMEBODY_ELSE not in repr(job)
    pipeline.drain()
    assert not pipeline.live_jobs.keys
    assert [claim.owner for claim in pipeline.claims.claims.values()] == [SOMEBODY_ELSE]


def test_a_video_of_ours_that_is_imported_while_its_paid_call_is_in_flight_is_had_once(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, _ = pipeline.services.backends.choose(None)
    client = pipeline.services.backends.client(backend)
    real, imported = client.create, []

    def create(*arguments: Any) -> Any:
        made = real(*arguments)
        imported.append(take_up(pipeline, owner=SOMEBODY_ELSE, backend_job_id=made.id))
        return made

    monkeypatch.setattr(client, "create", create)
    ours = pipeline.submit()
    theirs = pipeline.run(imported[0])
    ended = pipeline.run(ours)
    assert theirs.status is Status.SUCCEEDED
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "submission_unconfirmed")
    assert ended.backend_job_id is None
    assert pipeline.backend_jobs() == 1


# --- deleted, lost, unconfirmed ------------------------------------------------------------------


def test_what_was_deleted_meanwhile_can_not_be_imported_again(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    job = take_up(pipeline, backend_job_id=made.id)
    delete_job(pipeline.services, OWNER, job.id)
    with pytest.raises(BackendJobNotFound):
        take_up(pipeline, backend_job_id=made.id)
    pipeline.drain()
    made.deleted_at = None  # a backend that keeps what it was told to delete
    with pytest.raises(BackendJobNotFound):
        take_up(pipeline, backend_job_id=made.id)
    assert_nothing_was_stored(pipeline)


@pytest.mark.parametrize("status", [404, 503])
def test_what_never_took_its_job_up_leaves_it_to_another_import_once_it_is_deleted(
    pipeline: Pipeline, status: int
) -> None:
    made = made_elsewhere(pipeline)
    pipeline.fault("get", status=status, skip=1)
    job = take_up(pipeline, backend_job_id=made.id)
    assert job.backend_job_id is None
    delete_job(pipeline.services, OWNER, job.id)
    pipeline.drain()
    assert_kept(pipeline, take_up(pipeline, backend_job_id=made.id), made)


def test_a_candidate_of_an_unconfirmed_job_can_be_imported(pipeline: Pipeline) -> None:
    lost = unconfirmed(pipeline)
    [made] = pipeline.simulator.world.everything()
    job = take_up(pipeline, backend_job_id=made.id)
    assert_kept(pipeline, job, made)
    again = retry_job(pipeline.services, OWNER, lost.id)
    assert again.backend_job_id != made.id
    assert pipeline.backend_jobs() == 2


def test_an_import_that_expired_is_tried_again_as_an_import(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"retention_seconds": 600})
    made = made_elsewhere(pipeline)
    pipeline.fault("video", status=503, times=-1)
    old = pipeline.run(take_up(pipeline, backend_job_id=made.id))
    assert old.status is Status.EXPIRED
    pipeline.simulator.faults.clear()
    made.expires_at += 3600
    new = retry_job(pipeline.services, OWNER, old.id)
    assert new.retry_of == old.id
    assert_kept(pipeline, new, made)
    assert pipeline.backend_jobs() == 1


def test_an_import_that_failed_is_never_submitted(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline, prompt="a boat, internal-failure")
    finish_generating(pipeline)
    old = pipeline.run(take_up(pipeline, backend_job_id=made.id))
    new = pipeline.run(retry_job(pipeline.services, OWNER, old.id))
    assert (new.status, new.error and new.error.code) == (Status.FAILED, "generation_failed")
    pipeline.simulator.world.delete(made)
    last = pipeline.run(retry_job(pipeline.services, OWNER, new.id))
    assert (last.status, last.error and last.error.code) == (Status.FAILED, "backend_job_not_found")
    assert pipeline.backend_jobs() == 1


def test_the_retry_of_a_retry_of_an_import_takes_it_up_when_it_is_back(pipeline: Pipeline) -> None:
    made = made_elsewhere(pipeline)
    pipeline.simulator.world.change({"retention_seconds": 86_400})
    first = take_up(pipeline, backend_job_id=made.id)
    pipeline.simulator.world.delete(made)
    first = pipeline.run(first)
    assert first.error is not None
    assert first.error.code == "backend_lost_job"
    second = retry_job(pipeline.services, OWNER, first.id)
    assert second.error is not None
    assert second.error.code == "backend_job_not_found"
    made.deleted_at = None
    third = retry_job(pipeline.services, OWNER, second.id)
    assert_kept(pipeline, third, made)


def test_a_storage_that_fails_after_the_job_is_accepted_is_no_error_to_the_client(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_elsewhere(pipeline)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.jobs, "save", lambda *_: (_ for _ in ()).throw(StorageUnavailable("away")))
        job = take_up(pipeline, backend_job_id=made.id)
    assert job.status is Status.WAITING
    assert_kept(pipeline, job, made)


def test_a_backend_that_the_settings_name_no_more_leaves_the_import_waiting(sora: Pipeline) -> None:
    made = made_elsewhere(sora)
    sora.fault("get", status=503, skip=1)
    job = take_up(sora, backend_job_id=made.id)
    gone = dataclasses.replace(job.backend, name="gone")
    sora.jobs.save(sora.jobs.get(OWNER, job.id), dataclasses.replace(job, backend=gone))
    began = sora.now()
    sora.run(job, lambda _: sora.now() - began > timedelta(minutes=2))
    seen = sora.job(job)
    assert seen.status is Status.WAITING
    assert "VIDEO_BACKENDS" in (seen.reason or "")
