"""Submission: what is written before the paid call, what is made of each answer, and what is never repeated."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from local.simulator.server import Simulator
from tests.pipeline import API_KEY, OWNER, Pipeline
from video_jobs.backends import bodies
from video_jobs.domain.errors import Conflict, IdempotencyKeyReused, InvalidRequest, StorageUnavailable
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import quieten_libraries
from video_jobs.ports import StoredJob
from video_jobs.storage.memory import MemoryJobs

REFUSALS = {
    400: ("backend_rejected", "refused the request"),
    410: ("model_retired", "retired"),
    413: ("backend_rejected", "refused the request"),
    415: ("backend_rejected", "refused the request"),
    422: ("backend_rejected", "refused the request"),
}

MISCONFIGURED = {
    401: "API key setting",
    403: "what the key is allowed to do",
    404: "deployment's name",
}


def test_a_job_goes_from_prompt_to_stored_video(pipeline: Pipeline) -> None:
    job = pipeline.submit(metadata={"shot": "12"})
    assert job.status is Status.QUEUED
    assert job.backend_job_id is not None
    ended = pipeline.run(job)
    assert ended.status is Status.SUCCEEDED, ended.error
    assert ended.metadata == {"shot": "12"}
    [output] = ended.outputs
    assert output.stored is not None
    assert f"{output.stored.width}x{output.stored.height}" == job.request.size
    stored = pipeline.blobs.videos[f"{OWNER}/{job.id}/0.mp4"]
    assert len(stored.content) == output.stored.length
    assert stored.metadata["sha256"] == output.stored.sha256
    assert pipeline.backend_jobs() == 1


def test_every_status_on_the_way_is_seen_in_its_order(pipeline: Pipeline) -> None:
    job, seen = pipeline.submit(), ["queued"]

    def note(now: object) -> bool:
        status = pipeline.job(job).status.value
        if status != seen[-1]:
            seen.append(status)
        return pipeline.job(job).is_terminal

    pipeline.run(job, note)
    assert seen == ["queued", "running", "fetching", "succeeded"]


def test_nothing_but_the_guards_last_message_is_left_of_an_ended_job(pipeline: Pipeline) -> None:
    job = pipeline.run(pipeline.submit())
    assert not pipeline.live_jobs.keys
    pipeline.drain()
    assert pipeline.job(job) == job


@pytest.mark.promise("I1")
def test_the_row_says_submitting_before_the_paid_call_is_made(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Status] = []
    backend_ref, _ = pipeline.services.backends.choose(None)
    client = pipeline.services.backends.client(backend_ref)
    create = client.create

    def create_and_note(*args: object) -> object:
        seen.extend(
            job.status for job in pipeline.jobs.page(OWNER, limit=9, after=None, statuses=frozenset()).jobs
        )
        assert pipeline.live_jobs.keys
        assert pipeline.messages.queued
        return create(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "create", create_and_note)
    pipeline.submit()
    assert seen == [Status.SUBMITTING]


@pytest.mark.promise("I10")
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_of_the_job_leaves_a_failed_job_that_says_why(pipeline: Pipeline, status: int) -> None:
    pipeline.fault("create", status=status, body={"error": {"code": "odd", "message": "no, thank you"}})
    job = pipeline.submit()
    code, words = REFUSALS[status]
    assert (job.status, job.error and job.error.code) == (Status.FAILED, code)
    assert job.error is not None
    assert words in job.error.message
    assert (job.error.backend_code, job.error.backend_message) == ("odd", "no, thank you")
    assert not pipeline.live_jobs.keys
    pipeline.drain()
    assert len(pipeline.calls("create")) == 1


@pytest.mark.parametrize("status", MISCONFIGURED)
def test_a_backend_that_takes_nobody_leaves_the_job_waiting_and_says_which_setting_to_look_at(
    pipeline: Pipeline, status: int
) -> None:
    pipeline.fault("create", status=status, body={"error": {"code": "odd", "message": "no, thank you"}})
    job = pipeline.submit()
    assert (job.status, job.error) == (Status.WAITING, None)
    assert MISCONFIGURED[status] in (job.reason or "")
    assert "no, thank you" in (job.reason or "")
    closed = pipeline.services.gates.get("default").gate.closure
    assert closed is not None
    assert (closed.why, closed.reason) == (ClosureReason.MISCONFIGURED, job.reason)
    assert pipeline.live_jobs.keys
    ended = pipeline.run(job)
    assert (ended.status, ended.reason) == (Status.SUCCEEDED, None)
    assert len(pipeline.calls("create")) == 2
    assert pipeline.backend_jobs() == 1


def test_content_that_is_refused_at_once_is_told_from_other_refusals(sora: Pipeline) -> None:
    job = sora.submit(prompt="a rejected-prompt")
    assert job.error is not None
    assert job.error.code == "moderation_blocked"
    assert sora.backend_jobs() == 0


def test_a_busy_backend_leaves_the_job_waiting_until_it_takes_it(pipeline: Pipeline) -> None:
    pipeline.fault("create", status=429, times=3, headers={"retry-after": "7"})
    job = pipeline.submit()
    assert job.status is Status.WAITING
    closed = pipeline.services.gates.get("default").gate.closure
    assert closed is not None
    assert 9 <= (closed.until - pipeline.now()).total_seconds() <= 10
    assert "429" in (job.reason or "")
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 1
    assert len(pipeline.calls("create")) == 4


def test_the_running_jobs_limit_makes_jobs_wait_and_none_is_lost(sora: Pipeline) -> None:
    jobs = [sora.submit() for _ in range(4)]
    assert [job.status for job in jobs] == [Status.QUEUED] * 2 + [Status.WAITING] * 2
    assert [sora.run(job).status for job in jobs] == [Status.SUCCEEDED] * 4
    assert sora.backend_jobs() == 4


def test_a_backend_that_is_not_there_leaves_the_job_waiting_until_it_is(pipeline: Pipeline) -> None:
    pipeline.simulator.stop()
    try:
        job = pipeline.submit()
        assert job.status is Status.WAITING
        assert "refused the connection" in (job.reason or "")
        pipeline.deliver(pipeline.take_next())
        assert pipeline.job(job).status is Status.WAITING
    finally:
        pipeline.simulator.start()
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 1


def test_a_create_that_drips_ends_at_its_deadline(simulator: object) -> None:
    pipeline = Pipeline(simulator, "openai-videos", VIDEO_CREATE_DEADLINE_SECONDS="5")  # type: ignore[arg-type]
    pipeline.fault("create", drip=20)
    job = pipeline.submit()
    assert job.status is Status.SUBMITTING
    assert "took longer" in (job.reason or "")


def test_the_same_key_and_body_give_the_same_job(pipeline: Pipeline) -> None:
    first = pipeline.submit(key="k-1")
    again = pipeline.submit(key="k-1")
    assert again.id == first.id
    assert pipeline.backend_jobs() == 1
    assert len(pipeline.live_jobs.keys) == 1


def test_the_same_key_with_another_body_is_refused_and_nothing_is_made(pipeline: Pipeline) -> None:
    pipeline.submit(key="k-1")
    before = len(pipeline.messages.queued)
    with pytest.raises(IdempotencyKeyReused):
        pipeline.submit(key="k-1", prompt="another boat")
    assert pipeline.backend_jobs() == 1
    assert len(pipeline.messages.queued) == before
    assert len(pipeline.live_jobs.keys) == 1


def test_another_owner_may_use_the_same_key(pipeline: Pipeline) -> None:
    first = pipeline.submit(key="k-1")
    assert pipeline.submit(key="k-1", owner="somebody-else").id != first.id


def test_one_key_from_many_clients_at_once_makes_one_job(videos: Pipeline) -> None:
    barrier = threading.Barrier(8)

    def submit(_: int) -> str:
        barrier.wait()
        return videos.submit(key="k-1").id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(submit, range(8)))
    assert len(ids) == 1
    assert videos.backend_jobs() == 1
    assert len(videos.live_jobs.keys) == 1


def test_an_unknown_backend_is_refused_before_anything_is_written(pipeline: Pipeline) -> None:
    with pytest.raises(InvalidRequest, match="there are: default"):
        pipeline.submit(backend="nowhere")
    assert not pipeline.live_jobs.keys
    assert not pipeline.messages.queued
    assert pipeline.calls("create") == []


def test_a_prompt_of_32000_characters_arrives_whole(pipeline: Pipeline) -> None:
    prompt = "ä" * 32_000
    job = pipeline.submit(prompt=prompt)
    assert job.status is Status.QUEUED
    [created] = pipeline.simulator.world.everything()
    assert created.order.prompt == prompt


@pytest.mark.promise("I9")
def test_the_key_is_in_no_row_message_or_log_even_if_the_backend_repeats_it(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for status in (401, 400):
        pipeline.fault("create", status=status, body={"error": {"message": f"the key {API_KEY} is wrong"}})
    waiting = pipeline.submit()
    assert (waiting.reason or "").endswith("the key [removed] is wrong")
    refused = pipeline.run(waiting)
    assert refused.error is not None
    assert refused.error.backend_message == "the key [removed] is wrong"
    pipeline.run(pipeline.submit())
    rows = pipeline.jobs.page(OWNER, limit=9, after=None, statuses=frozenset()).jobs
    assert API_KEY not in repr(rows)
    assert API_KEY not in repr(pipeline.messages.queued)
    assert API_KEY not in repr(pipeline.gates.gates)
    assert API_KEY not in caplog.text


def test_once_a_job_is_stored_a_storage_fault_is_no_error_to_the_client(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_save, calls = pipeline.jobs.save, [0]

    def save(*args: object) -> object:
        calls[0] += 1
        if calls[0] == 1:
            raise StorageUnavailable("away")
        return real_save(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline.jobs, "save", save)
    job = pipeline.submit()
    assert job.status is Status.QUEUED
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("times", [1, 3, 100])
def test_a_process_that_could_not_store_that_it_is_about_to_call_puts_its_attempt_back_or_calls(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, times: int, stored: bool
) -> None:
    real_save, left = pipeline.jobs.save, [times]

    def save(row: object, job: Job) -> object:
        if job.status is Status.SUBMITTING and job.backend_job_id is None and left[0]:
            left[0] -= 1
            if stored:
                real_save(row, job)  # type: ignore[arg-type]
            raise StorageUnavailable("the reply was lost")
        return real_save(row, job)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline.jobs, "save", save)
    job = pipeline.submit()
    assert pipeline.job(job).status in (Status.WAITING, Status.QUEUED)
    left[0] = 0
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == pipeline.backend_jobs() == 1


def test_the_backends_id_is_saved_though_storage_fails_again_and_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_save, calls = pipeline.jobs.save, [0]

    def save(*args: object) -> object:
        calls[0] += 1
        if calls[0] in (2, 3, 4):
            raise StorageUnavailable("away")
        return real_save(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline.jobs, "save", save)
    job = pipeline.submit()
    assert job.backend_job_id
    assert pipeline.job(job).backend_job_id == job.backend_job_id


class LosesReplies(MemoryJobs):
    """Stores what it is told to, and then says that it could not be reached."""

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.saves = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        saved = super().save(stored, job)
        self.saves += 1
        if self.saves in self.numbers:
            self.meanwhile()
            raise Conflict("as the table says after a lost reply, when another write has come since")
        return saved


def with_jobs(pipeline: Pipeline, jobs: LosesReplies) -> Pipeline:
    pipeline.jobs = jobs
    pipeline.services = pipeline.services._replace(jobs=jobs)
    return pipeline


def test_who_has_stored_submitting_makes_the_call_though_the_reply_was_lost(pipeline: Pipeline) -> None:
    with_jobs(pipeline, LosesReplies(1))
    job = pipeline.submit()
    assert job.status is Status.QUEUED
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == 1


def test_a_chain_that_has_stored_submitting_makes_the_call_though_the_reply_was_lost(
    pipeline: Pipeline,
) -> None:
    pipeline.fault("create", status=429)
    with_jobs(pipeline, LosesReplies(3))  # submitting, put back, submitting again
    job = pipeline.submit()
    assert job.status is Status.WAITING
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == 2
    assert pipeline.backend_jobs() == 1


def test_a_late_answer_to_one_attempt_does_not_undo_the_next(pipeline: Pipeline) -> None:
    jobs = LosesReplies(2)
    with_jobs(pipeline, jobs)
    pipeline.fault("create", status=429)
    pipeline.fault("create", lost_answer=True)

    def next_attempt() -> None:
        # While the first one's `put_back` waits for its reply, the chain offers the job again.
        jobs.meanwhile = lambda: None
        pipeline.advance(20)
        pipeline.deliver(pipeline.take_next())

    jobs.meanwhile = next_attempt
    job = pipeline.submit()
    assert job.status is Status.SUBMITTING
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == 2
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("status", [400, 429])
def test_a_refusal_whose_saving_lost_its_reply_is_still_answered(pipeline: Pipeline, status: int) -> None:
    jobs = LosesReplies(2)
    with_jobs(pipeline, jobs)
    pipeline.fault("create", status=status)
    job = pipeline.submit()
    assert job.status is (Status.FAILED if status == 400 else Status.WAITING)
    pipeline.run(job)
    pipeline.drain()
    assert not pipeline.live_jobs.keys


def test_a_backend_that_the_settings_do_not_name_any_more_leaves_the_job_waiting(sora: Pipeline) -> None:
    sora.fault("create", status=429)
    job = sora.submit()
    gone = dataclasses.replace(job.backend, name="gone")
    sora.jobs.save(sora.jobs.get(OWNER, job.id), dataclasses.replace(job, backend=gone))
    sora.advance(60)
    sora.deliver(sora.take_next())
    seen = sora.job(job)
    assert seen.status is Status.WAITING
    assert "VIDEO_BACKENDS" in (seen.reason or "")


def test_an_identity_that_can_not_sign_in_leaves_the_job_waiting(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoToken:
        def __init__(self, managed_identity_client_id: str | None) -> None:
            pass

        def get_token(self, scope: str) -> object:
            raise ClientAuthenticationError(f"no token for {scope}")

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", NoToken)
    pipeline = Pipeline(simulator, "azure-sora", AZURE_OPENAI_API_KEY="")
    job = pipeline.submit()
    assert job.status is Status.WAITING
    assert "Cognitive Services User" in (job.reason or "")
    assert pipeline.calls("create") == []


def test_an_identity_signs_in_where_there_is_no_key(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes: list[str] = []
    named: list[str | None] = []
    monkeypatch.delenv("AZURE_CLIENT_ID", raising=False)
    monkeypatch.setenv("AzureWebJobsStorage__clientId", "storage-client")

    class Credential:
        def __init__(self, managed_identity_client_id: str | None) -> None:
            named.append(managed_identity_client_id)

        def get_token(self, scope: str) -> AccessToken:
            scopes.append(scope)
            return AccessToken(API_KEY, 2**31)

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Credential)
    scope = "https://ai.azure.com/.default"
    pipeline = Pipeline(simulator, "azure-sora", AZURE_OPENAI_API_KEY="", AZURE_OPENAI_TOKEN_SCOPE=scope)
    assert pipeline.run(pipeline.submit()).status is Status.SUCCEEDED
    assert set(scopes) == {scope}
    assert set(named) == {"storage-client"}


class ForwardingProxy(BaseHTTPRequestHandler):
    """The least that a proxy for plain HTTP does; it gives up on an upstream that gives up."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "proxy-connection")}
        session = requests.Session()
        session.trust_env = False
        try:
            answer = session.post(self.path, data=body, headers=headers, timeout=10)
        except requests.RequestException:
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.promise("I2")
def test_behind_a_proxy_too_an_unknown_outcome_is_never_posted_again(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), ForwardingProxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("NO_PROXY", "")
        pipeline = Pipeline(simulator, "azure-sora")
        assert pipeline.submit().status is Status.QUEUED
        pipeline.fault("create", lost_answer=True)
        job = pipeline.submit()
        assert job.status is Status.SUBMITTING
        proxy.shutdown()
    assert len(pipeline.calls("create")) == 2


def test_a_proxy_that_is_not_there_is_proof_that_nothing_was_sent(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    pipeline = Pipeline(simulator, "azure-sora")
    assert pipeline.submit().status is Status.WAITING


def test_the_librarys_warnings_do_not_name_signed_urls(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    quieten_libraries()
    logging.getLogger("urllib3.connection").warning("Failed to parse headers (url=http://x?sig=SECRET)")
    assert "SECRET" not in caplog.text


def test_a_key_that_has_a_job_gives_it_though_its_row_can_not_be_read_just_then(pipeline: Pipeline) -> None:
    first = pipeline.submit(key="k")
    with patch.object(pipeline.jobs, "get", side_effect=StorageUnavailable("no")):
        again = pipeline.submit(key="k")
    assert (again.id, again.request) == (first.id, first.request)
    assert pipeline.backend_jobs() == 1


def test_a_job_with_an_image_is_accepted_by_the_request_and_submitted_by_its_chain_a_few_at_a_time(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sora, "_deliver_first", lambda job: None)
    jobs = [sora.submit(input_image=a_picture()) for _ in range(2)]
    assert [job.status for job in jobs] == [Status.WAITING] * 2
    assert sora.calls("create") == []
    monkeypatch.setattr("video_jobs.lifecycle.dispatch._images", threading.BoundedSemaphore(1))
    first, second = (sora.take_next() for _ in jobs)
    create = bodies.post_once

    def another_meanwhile(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(bodies, "post_once", create)
        sora.deliver(second)
        assert "a few at a time" in (sora.job(jobs[1]).reason or "")
        return create(*args, **kwargs)

    monkeypatch.setattr(bodies, "post_once", another_meanwhile)
    sora.deliver(first)
    assert len(sora.calls("create")) == 1
    for job in jobs:
        assert sora.run(job).status is Status.SUCCEEDED
    assert sora.backend_jobs() == 2


def a_picture() -> str:
    import base64
    import io

    from PIL import Image

    drawn = io.BytesIO()
    Image.new("RGB", (480, 480), "navy").save(drawn, "PNG")
    return "data:image/png;base64," + base64.b64encode(drawn.getvalue()).decode()
