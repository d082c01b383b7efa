"""Interleavings: what somebody saw or began a while ago overrules nothing that has happened since."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, NoReturn

import azure.functions as func
import pytest

from local.simulator.server import Simulator
from poll_job.poll import _take, poll_job
from poll_job.step import Step
from submit_job import blueprint
from sweep_jobs.sweep import sweep_jobs
from tests.pipeline import OWNER, SMALL, Pipeline
from tests.steps import (
    NOTHING_LISTED,
    assert_kept_once,
    assert_nothing_is_left,
    cancel,
    delete,
    finish_generating,
    first_fetch,
    go_on,
    made_elsewhere,
    meanwhile,
    picture,
    retry,
    slots,
    statuses,
    submit,
    take_up,
    unconfirmed,
    with_limits,
)
from tests.unit.jobs import LATER, NOW, a_job_in
from video_jobs import wiring
from video_jobs.domain import transitions
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import (
    Conflict,
    InputMissing,
    NotFound,
    ReelkeepError,
    StorageUnavailable,
    TransitionRefused,
    Unauthorised,
)
from video_jobs.domain.gate import GateLimits
from video_jobs.domain.job import Job, Output, Status
from video_jobs.domain.queue_messages import POLL_QUEUE, PollMessage
from video_jobs.lifecycle import accept
from video_jobs.lifecycle.dispatch import start as start_job
from video_jobs.lifecycle.repair import expedite
from video_jobs.ports import Backend, StoredJob, VideoKey
from video_jobs.services import Services
from video_jobs.storage.job_rows import to_row

LONGER_THAN_AN_OUTCOME_IS_AWAITED = 360.0  # seconds


def client_of(pipeline: Pipeline) -> Backend:
    return pipeline.services.backends.client(pipeline.services.backends.choose(None)[0])


def right_after(
    monkeypatch: pytest.MonkeyPatch,
    target: object,
    call: str,
    happens: Callable[[Any], object],
    when: Callable[[Any], bool] = lambda answer: True,
) -> None:
    """Let something happen once, between such a call's answer and whoever waits for it."""
    real, waiting = getattr(target, call), [happens]

    def calling(*arguments: Any) -> Any:
        answer = real(*arguments)
        if waiting and when(answer):
            waiting.pop()(answer)
        return answer

    monkeypatch.setattr(target, call, calling)


def is_submitting(stored: StoredJob) -> bool:
    return stored.job.status is Status.SUBMITTING


def failing(error: ReelkeepError) -> Callable[..., NoReturn]:
    """What fails in this way whenever it is called."""

    def fail(*_: Any) -> NoReturn:
        raise error

    return fail


def post(pipeline: Pipeline) -> func.HttpResponse:
    """What a client is answered that submits a job."""
    request = func.HttpRequest(
        method="POST",
        url="/api/jobs",
        headers={"content-type": "application/json"},
        body=json.dumps(SMALL[pipeline.dialect]).encode(),
    )
    with wiring.use(pipeline.services):
        answer: func.HttpResponse = blueprint.submit_job_function.build().get_user_function()(request)
    return answer


def sweep_for(pipeline: Pipeline, minutes: int) -> None:
    """Sweep once a minute, and deliver whatever comes of it."""
    for _ in range(minutes):
        pipeline.drain()
        pipeline.advance(61)
        sweep_jobs(pipeline.services)
    pipeline.drain()


def live_for(pipeline: Pipeline, hours: int) -> None:
    """Deliver what is due, and sweep once a minute, though some deliveries fail."""
    for _ in range(hours * 60):
        with contextlib.suppress(StorageUnavailable):
            go_on(pipeline, 60)
        sweep_jobs(pipeline.services)


def take_poll_message(pipeline: Pipeline, job: Job) -> Callable[[], None]:
    """Take the job's latest poll message off the queue; to be delivered when it is called."""
    message = [m for m in pipeline.messages.queued if m.queue == POLL_QUEUE and job.id in m.text][-1]
    pipeline.messages.queued.remove(message)
    return lambda: pipeline.deliver(message)


def postpone_all(pipeline: Pipeline, seconds: float) -> None:
    """No message comes for so long, as in an outage; then all are due."""
    due = pipeline.now() + timedelta(seconds=seconds)
    pipeline.messages.queued = [dataclasses.replace(m, visible_at=due) for m in pipeline.messages.queued]
    pipeline.advance(seconds)


def seconds_left(pipeline: Pipeline, job: Job) -> float:
    """Until the video API deletes what it made."""
    left = pipeline.job(job).time_left(pipeline.now())
    assert left is not None
    return left.total_seconds()


# --- the paid call -------------------------------------------------------------------------------


def test_a_paid_call_that_is_held_up_until_it_is_given_up_is_not_made(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold_up(_: StoredJob) -> None:
        go_on(sora, LONGER_THAN_AN_OUTCOME_IS_AWAITED)

    right_after(monkeypatch, sora.jobs, "save", hold_up, is_submitting)
    job = sora.submit()
    sweep_for(sora, minutes=5)
    ended = sora.job(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "submission_unconfirmed")
    assert sora.calls("create") == []
    assert slots(sora) == []


def test_a_retry_of_a_job_whose_paid_call_is_held_up_is_all_that_is_paid_for(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    retried: list[Job] = []

    def give_up_and_retry(submitting: StoredJob) -> None:
        go_on(sora, LONGER_THAN_AN_OUTCOME_IS_AWAITED)
        retried.append(retry(sora, submitting.job))

    right_after(monkeypatch, sora.jobs, "save", give_up_and_retry, is_submitting)
    assert sora.submit().status is Status.FAILED
    sweep_for(sora, minutes=5)
    assert_kept_once(sora, retried[0])


def test_a_job_whose_live_row_can_not_be_written_before_the_paid_call_is_paid_for_and_kept(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def live_rows_fail(_: StoredJob) -> None:
            patch.setattr(sora.live_jobs, "add", failing(StorageUnavailable("away")))

        right_after(patch, sora.jobs, "save", live_rows_fail, is_submitting)
        job = sora.submit()
    assert job.status is Status.QUEUED
    sora.run(job)
    assert_kept_once(sora, job)


# --- what was accepted is not asked for again ----------------------------------------------------


def test_a_line_that_can_not_be_read_does_not_make_a_client_send_its_job_again(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = with_limits(simulator, "azure-sora", running=1)
    first = pipeline.submit()
    monkeypatch.setattr(pipeline.live_jobs, "ahead_of", failing(StorageUnavailable("away")))
    answer = post(pipeline)
    assert (answer.status_code, json.loads(answer.get_body())["status"]) == (202, "waiting")
    jobs = [stored.job for stored in pipeline.jobs.everything()]
    assert len(jobs) == 2
    assert first.id in {job.id for job in jobs}
    assert [pipeline.run(job).status for job in jobs] == [Status.SUCCEEDED] * 2
    assert pipeline.backend_jobs() == 2


def test_a_row_that_can_not_be_read_after_its_chain_was_faster_is_no_error_to_the_client(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def start(services: Services, stored: StoredJob, *arguments: Any) -> Job:
            job = stored.job
            poll_job(services, PollMessage(owner=job.owner, job_id=job.id, turn=job.chain.turn))
            try:
                return start_job(services, stored, *arguments)
            finally:
                patch.setattr(sora.jobs, "get", failing(StorageUnavailable("away")))

        patch.setattr(accept, "start", start)
        answer = post(sora)
    assert answer.status_code == 202
    [stored] = sora.jobs.everything()
    sora.run(stored.job)
    assert_kept_once(sora, stored.job)


def test_an_error_that_nobody_foresaw_after_a_job_was_accepted_is_none_to_the_client(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sora.jobs, "save", lambda *_: [][0])
        patch.setattr(sora.jobs, "get", lambda *_: [][0])
        answer = post(sora)
    assert answer.status_code == 202
    [stored] = sora.jobs.everything()
    sora.run(stored.job)
    assert_kept_once(sora, stored.job)


def test_a_gate_that_everybody_else_writes_is_no_error_to_the_client(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sora.services.backends), "gate_limits", lambda *_: GateLimits(running=5))
    with monkeypatch.context() as patch:
        patch.setattr(sora.gates, "save", failing(Conflict("somebody else was faster")))
        answer = post(sora)
    assert answer.status_code == 202
    [stored] = sora.jobs.everything()
    sora.run(stored.job)
    assert_kept_once(sora, stored.job)


# --- an old poll ---------------------------------------------------------------------------------


def test_a_refusal_from_an_old_look_does_not_end_what_another_look_took_up(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_elsewhere(pipeline)

    def chain_is_faster(_: object) -> None:
        [stored] = [each for each in pipeline.jobs.everything() if each.job.backend_job_id is None]
        poll_job(pipeline.services, PollMessage(owner=OWNER, job_id=stored.job.id, turn=1))
        raise NotFound("a 404 of the moment", status=404)

    def is_stored(_: object) -> bool:
        return pipeline.jobs.everything() != []

    right_after(monkeypatch, client_of(pipeline), "get", chain_is_faster, is_stored)
    job = take_up(pipeline, backend_job_id=made.id)
    assert job.backend_job_id == made.id
    assert_kept_once(pipeline, job)


def test_what_an_old_poll_finds_beside_a_paid_call_is_left_for_the_job_that_looks_for_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.simulator.world.change({"running_limit": None})
    old = unconfirmed(pipeline)
    [made] = pipeline.simulator.world.everything()
    pipeline.advance(120)
    inserted: list[StoredJob] = []

    def old_look() -> None:
        message = PollMessage(owner=OWNER, job_id=inserted[0].job.id, turn=1)
        with contextlib.suppress(TransitionRefused):
            _take(Step(pipeline.services, message, inserted[0]))

    right_after(monkeypatch, pipeline.jobs, "insert", inserted.append)
    meanwhile(pipeline, monkeypatch, "create", old_look)
    pipeline.fault("list", replace_body=NOTHING_LISTED)  # so that the first poll of the retry finds nothing
    new = retry(pipeline, old)
    assert pipeline.run(new).status is Status.SUCCEEDED
    sweep_for(pipeline, minutes=3)
    assert pipeline.backend_jobs() == 2
    claims = {claim.job_id: claim.backend_job_id for claim in pipeline.claims.claims.values()}
    assert claims == {new.id: pipeline.job(new).backend_job_id}
    imported = take_up(pipeline, backend_job_id=made.id)
    assert pipeline.run(imported).status is Status.SUCCEEDED
    assert len([name for name in pipeline.blobs.videos if name.endswith(".mp4")]) == 2


def test_a_cancel_does_not_delete_what_another_look_saw_generated(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.run_until(pipeline.submit(), Status.RUNNING)
    other_look = take_poll_message(pipeline, job)
    cancel(pipeline, job)

    def it_is_generated(_: object) -> None:
        finish_generating(pipeline)
        other_look()
        assert pipeline.job(job).status is Status.FETCHING

    right_after(monkeypatch, client_of(pipeline), "get", it_is_generated)
    pipeline.run(job)
    assert_kept_once(pipeline, job)
    assert pipeline.calls("delete") == []


def test_what_is_lost_after_a_refused_cancel_is_lost_and_not_cancelled(sora: Pipeline) -> None:
    job = sora.run_until(sora.submit(), Status.RUNNING)
    sora.fault("delete", status=409)
    cancel(sora, job)
    sora.run(job, lambda seen: seen.cancellation.refused is not None)
    sora.simulator.world.reset()
    ended = sora.run(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "backend_lost_job")


def test_a_delete_that_fails_beside_a_late_poll_is_carried_out_when_it_is_asked_for_again(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = sora.run(sora.submit())
    sora.drain()
    real = sora.blobs.put_summary

    def put_summary(*arguments: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(sora.messages, "send_poll", failing(StorageUnavailable("away")))
            with pytest.raises(StorageUnavailable):
                delete(sora, job)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sora.blobs, "put_summary", put_summary)
        poll_job(sora.services, PollMessage(owner=OWNER, job_id=job.id, turn=sora.job(job).chain.turn))
    delete(sora, job)
    sora.messages.queued.clear()  # this message is lost, too
    sweep_for(sora, minutes=20)
    assert_nothing_is_left(sora)


# --- downloads about the expiry ------------------------------------------------------------------


def test_a_download_that_began_before_the_expiry_counts_though_another_one_came_too_late(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    first = first_fetch(pipeline, job)
    pipeline.messages.queued.remove(first)
    postpone_all(pipeline, seconds_left(pipeline, job) - 200)
    real, waiting = pipeline.blobs.put_video, [230.0]

    def put_video(
        place: VideoKey, chunks: Iterable[bytes], metadata: Callable[[], Mapping[str, str]]
    ) -> bool:
        whole = [*chunks]
        if waiting:
            pipeline.fault("video", status=503, times=-1)
            go_on(pipeline, waiting.pop())  # the guard asks again meanwhile, and the time is over
        return real(place, iter(whole), metadata)

    monkeypatch.setattr(pipeline.blobs, "put_video", put_video)
    pipeline.deliver(first)
    assert pipeline.job(job).expired_by(pipeline.now())
    assert_kept_once(pipeline, job)


def test_the_guard_of_a_download_that_is_under_way_looks_seldom_after_the_expiry(sora: Pipeline) -> None:
    job = sora.submit()
    sora.messages.queued.remove(first_fetch(sora, job))
    almost_all = seconds_left(sora, job) - 10
    stored = sora.jobs.get(OWNER, job.id)
    begun = sora.now() + timedelta(seconds=almost_all)
    outputs = tuple(dataclasses.replace(o, chain=Chain(5, due_at=begun)) for o in stored.job.outputs)
    sora.jobs.save(stored, dataclasses.replace(stored.job, outputs=outputs))
    postpone_all(sora, almost_all)
    looks, end = 0, sora.now() + timedelta(minutes=8)
    while any(message.visible_at <= end for message in sora.messages.queued):
        sora.deliver(sora.take_next())
        looks += 1
    assert 0 < looks < 20


@pytest.mark.parametrize("letter", ["a", "é", '"', "🎬"])
def test_the_longest_problems_of_the_most_videos_fit_into_a_row(letter: str) -> None:
    outputs = tuple(
        Output(index, f"gen_{'x' * 28}{index}", Chain(due_at=NOW))
        for index in range(transitions.MOST_OUTPUTS)
    )
    job = a_job_in(Status.FETCHING, outputs=outputs)
    assert len(outputs) == 10
    for output in outputs:
        job = transitions.output_delayed(job, NOW, output, letter * 4000, turn=3, due_at=LATER)
    assert len(to_row(job)["outputs"].encode("utf-16-le")) // 2 <= 32 * 1024


# --- the gate ------------------------------------------------------------------------------------


def test_one_job_that_is_always_refused_does_not_keep_the_others_waiting(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = with_limits(simulator, "azure-sora", running=2)
    client = client_of(pipeline)
    real = client.create

    def create(request: Any, *rest: Any) -> Any:
        if request.prompt == "forbidden":
            raise Unauthorised("The gateway answered 403.", status=403, detail="not with these words")
        return real(request, *rest)

    monkeypatch.setattr(client, "create", create)
    refused = pipeline.submit(prompt="forbidden")
    others = submit(pipeline, 3)
    live_for(pipeline, hours=12)
    assert statuses(pipeline, others) == [Status.SUCCEEDED] * 3
    ended = pipeline.job(refused)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "backend_rejected")
    assert pipeline.backend_jobs() == 3


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputMissing("It is not there."), Status.FAILED),
        (StorageUnavailable("It can't be read."), Status.WAITING),
    ],
    ids=["missing", "unreadable"],
)
def test_an_input_image_that_can_not_be_had_holds_no_slot(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, error: ReelkeepError, status: Status
) -> None:
    pipeline = with_limits(simulator, "azure-sora", running=1)
    monkeypatch.setattr(pipeline.blobs, "get_input", failing(error))
    without = pipeline.submit(input_image=picture(pipeline))
    others = submit(pipeline, 2)
    live_for(pipeline, hours=24)
    assert statuses(pipeline, [without, *others]) == [status, Status.SUCCEEDED, Status.SUCCEEDED]
    assert pipeline.backend_jobs() == 2
    assert without.id not in slots(pipeline)


def test_a_sweep_leaves_the_slot_of_a_job_that_goes_ahead_beside_it(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = with_limits(simulator, "azure-sora", running=1)
    first, second = submit(pipeline, 2)
    pipeline.run_until(first, Status.FETCHING)
    assert slots(pipeline) == [second.id]
    late = take_poll_message(pipeline, second)
    pipeline.advance(301)

    def it_goes_ahead(_: object) -> None:
        late()
        assert pipeline.job(second).status is Status.QUEUED

    right_after(monkeypatch, pipeline.gates, "all", it_goes_ahead)
    sweep_jobs(pipeline.services)
    assert slots(pipeline) == [second.id]


def test_a_repair_of_what_ends_meanwhile_is_no_error(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    pipeline.run_until(job, Status.FETCHING)
    stale = pipeline.jobs.get(job.owner, job.id)
    pipeline.run(job)
    assert expedite(pipeline.services, stale).status is Status.SUCCEEDED
