"""Telling a client that its job has ended: signed, at least once, under one id, and not for ever."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from job_api.act import cancel_job, delete_job, repair_job, send_webhook
from job_api.import_job import import_job, read_import
from job_api.retry import retry_job
from local.simulator.server import Simulator
from notify_client.notify import notify_client
from sweep_jobs.poison import note_poisoned_delivery
from sweep_jobs.sweep import sweep_jobs
from tests.pipeline import OWNER, Pipeline
from tests.receiver import HOOK, SECRET, Received
from video_jobs.domain.errors import (
    InvalidRequest,
    JobNotFound,
    MalformedMessage,
    NothingToSend,
    ReceiverBusy,
    StorageUnavailable,
)
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import NOTIFY_QUEUE, NotifyMessage
from video_jobs.domain.quota import OwnerLimits
from video_jobs.domain.webhook import Webhook, WebhookStatus
from video_jobs.lifecycle.finalize import finish
from video_jobs.ports import Hook, LiveJob, StoredJob
from video_jobs.storage.memory import QueuedMessage
from video_jobs.views.job_view import event_id, job_view

PAUSES = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
APP_HOOK = "https://hooks.example.test/app?token=of-the-app"


def hooked(pipeline: Pipeline, job: Job) -> Webhook:
    hook = pipeline.job(job).webhook
    assert hook is not None
    return hook


def failed(pipeline: Pipeline, **changes: Any) -> Job:
    """A job that the video API refuses at once: it has ended, and its first notification is on its way."""
    pipeline.fault("create", status=400, body={"error": {"code": "bad", "message": "no"}})
    job = pipeline.submit(webhook_url=HOOK, **changes)
    assert job.status is Status.FAILED
    return job


def deliveries(pipeline: Pipeline) -> list[QueuedMessage]:
    return [message for message in pipeline.messages.queued if message.queue == NOTIFY_QUEUE]


def view(pipeline: Pipeline, job: Job) -> dict[str, Any]:
    shown = job_view(pipeline.job(job), pipeline.blobs)["webhook"]
    assert shown is not None
    return dict(shown)


# --- being told ----------------------------------------------------------------------------------


def test_the_end_of_a_job_is_told_once_its_videos_are_there(pipeline: Pipeline) -> None:
    job = pipeline.submit(webhook_url=HOOK)
    assert view(pipeline, job)["status"] == "pending"
    assert (view(pipeline, job)["event_id"], view(pipeline, job)["next_try_at"]) == (None, None)
    pipeline.run(job)
    assert pipeline.receiver.received == []
    pipeline.drain()
    [told] = pipeline.receiver.received
    assert told.url == HOOK
    assert told.event["type"] == "job.succeeded"
    assert (told.event["data"]["id"], told.event["data"]["status"]) == (job.id, "succeeded")
    assert told.event["data"]["videos"][0]["sha256"]
    assert view(pipeline, job) == {
        "url": "https://hooks.example.test",
        "event_id": told.id,
        "status": "delivered",
        "next_try_at": None,
        "deliveries": [
            {
                "at": view(pipeline, job)["deliveries"][0]["at"],
                "status_code": 204,
                "problem": None,
                "seconds": pytest.approx(0, abs=5),
            }
        ],
    }
    assert pipeline.job(job).history[-1].what == "webhook_delivered"
    assert pipeline.live_jobs.keys == set()


@pytest.mark.parametrize("end", ["failed", "cancelled", "expired"])
def test_every_end_is_told(sora: Pipeline, end: str) -> None:
    if end == "failed":
        job = failed(sora)
    elif end == "cancelled":
        sora.fault("create", status=429, headers={"retry-after": "60"})
        job = sora.submit(webhook_url=HOOK)
        cancel_job(sora.services, OWNER, job.id)
    else:
        sora.fault("video", status=403, times=-1)
        job = sora.submit(webhook_url=HOOK)
        sora.run_until(job, Status.PENDING_DOWNLOAD)
        sora.advance(25 * 3600)
    sora.drain()
    assert [told.event["type"] for told in sora.receiver.received] == [f"job.{end}"]
    assert hooked(sora, job).status is WebhookStatus.DELIVERED


def test_what_is_sent_is_verified_by_the_library_of_the_standard(sora: Pipeline) -> None:
    job = failed(sora)
    signed_at = sora.now()
    sora.drain()
    [told] = sora.receiver.received
    assert int(told.headers["webhook-timestamp"]) == int(signed_at.timestamp())
    verifier = Verifier(SECRET)
    # The library believes today's clock only, and the simulated one is another.
    assert told.headers["webhook-signature"] == verifier.sign(told.id, signed_at, told.body.decode())
    assert told.id == event_id(sora.job(job))


def test_each_attempt_is_signed_anew_under_the_same_id_with_the_same_bytes(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [500, 500]
    sora.run(job, lambda seen: len(sora.receiver.received) == 2)
    retry_job(sora.services, OWNER, job.id)
    sora.run(job, lambda seen: len(sora.receiver.told_of(job.id)) == 3)
    told = sora.receiver.told_of(job.id)
    assert len({one.body for one in told}) == len({one.id for one in told}) == 1
    times = [int(one.headers["webhook-timestamp"]) for one in told]
    assert times == sorted(set(times))
    assert len({one.headers["webhook-signature"] for one in told}) == 3


def test_while_a_secret_is_rotated_both_of_them_sign(simulator: Simulator) -> None:
    newest = "whsec_" + "bmV3" * 8
    pipeline = Pipeline(simulator, "azure-sora", WEBHOOK_SECRETS=f"{newest} {SECRET}")
    failed(pipeline)
    signed_at = pipeline.now()
    pipeline.drain()
    [told] = pipeline.receiver.received
    assert told.headers["webhook-signature"].split(" ") == [
        Verifier(secret).sign(told.id, signed_at, told.body.decode()) for secret in (newest, SECRET)
    ]


def test_a_job_without_a_webhook_tells_nobody_and_shows_none(sora: Pipeline) -> None:
    job = sora.run(sora.submit())
    assert job.webhook is None
    assert job_view(job, sora.blobs)["webhook"] is None
    sora.drain()
    assert sora.receiver.received == []


# --- trying again --------------------------------------------------------------------------------


def test_it_is_tried_by_the_schedule_of_the_standard_and_then_given_up(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [500] * 20
    times = []
    while deliveries(sora):
        before = len(sora.receiver.received)
        sora.deliver(sora.take_next())
        if len(sora.receiver.received) > before:
            times.append(sora.now())
            sweep_jobs(sora.services)  # which finds nothing to repair
            if len(times) <= len(PAUSES):
                due_at = hooked(sora, job).chain.due_at
                assert due_at is not None
                assert view(sora, job)["next_try_at"] is not None
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert len(pauses) == len(PAUSES)
    for pause, least in zip(pauses, PAUSES, strict=True):
        assert least <= pause <= least * 1.1 + 1
    shown = view(sora, job)
    assert (shown["status"], shown["next_try_at"], len(shown["deliveries"])) == ("failed", None, 10)
    assert sora.job(job).history[-1].what == "webhook_failed"
    assert sora.live_jobs.keys == set()


def test_five_hundred_and_then_two_hundred_is_told(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [500, 200]
    sora.drain()
    codes = [delivery.status_code for delivery in hooked(sora, job).deliveries]
    assert (codes, hooked(sora, job).status) == ([500, 200], WebhookStatus.DELIVERED)


def test_a_receiver_that_was_away_leaves_no_status_code(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [0, 200]
    sora.drain()
    assert [delivery.status_code for delivery in hooked(sora, job).deliveries] == [None, 200]


def test_the_job_is_live_until_it_is_told_and_nothing_else_of_it_changes(sora: Pipeline) -> None:
    job = sora.run(sora.submit(webhook_url=HOOK))
    assert len(sora.live_jobs.keys) == 1
    assert not any(gate.slots for gate in sora.gates.all())
    sora.receiver.answers = [500] * 3
    sora.run(job, lambda seen: len(hooked(sora, seen).deliveries) == 3)
    assert len(sora.live_jobs.keys) == 1
    now = sora.job(job)
    unchanged = replace(now, webhook=job.webhook, history=job.history, updated_at=job.updated_at)
    assert unchanged == job


def test_a_first_message_that_was_never_sent_is_sent_by_the_sweeper(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsent(message: NotifyMessage, delay: timedelta) -> None:
        raise StorageUnavailable("The queue is away.")

    monkeypatch.setattr(sora.messages, "send_notify", unsent)
    job = sora.submit(webhook_url=HOOK)
    with pytest.raises(StorageUnavailable):
        sora.run(job, lambda seen: False)
    assert sora.job(job).status is Status.SUCCEEDED
    monkeypatch.undo()
    sora.messages.queued.clear()
    sweep_jobs(sora.services)
    sora.drain()
    assert len(sora.receiver.received) == 1


def test_a_message_that_was_lost_is_sent_again_when_it_is_overdue_and_later_each_time(
    sora: Pipeline,
) -> None:
    job = failed(sora)
    sora.receiver.answers = [500, 500]
    sora.run(job, lambda seen: len(hooked(sora, seen).deliveries) == 2)
    sora.messages.queued.clear()
    sent = []
    for minute in range(25):
        sweep_jobs(sora.services)
        if deliveries(sora):
            sent.append(minute)
            sora.messages.queued.clear()
        sora.advance(60)
    # Due after five minutes and a bit; overdue two, then two again, then four minutes later.
    assert len(sent) >= 3
    assert 6 <= sent[0] <= 8
    assert sent[1] - sent[0] == 2
    assert sent[2] - sent[1] == 4


@pytest.mark.parametrize("again", [finish, lambda services, job: repair_job(services, OWNER, job.id)])
def test_what_follows_an_end_may_be_done_often_and_sends_one_message(sora: Pipeline, again: Any) -> None:
    job = failed(sora)
    for _ in range(3):
        again(sora.services, sora.job(job))
    assert len(deliveries(sora)) == 1
    sora.drain()
    for _ in range(3):
        again(sora.services, sora.job(job))
    sora.drain()
    assert len(sora.receiver.received) == 1


def test_a_message_that_comes_twice_or_late_tells_nobody_twice(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [500]
    [first] = deliveries(sora)
    sora.drain()
    for _ in range(2):
        sora.deliver(first)
    assert len(sora.receiver.received) == 2
    assert hooked(sora, job).status is WebhookStatus.DELIVERED


def test_a_message_whose_turn_is_over_neither_tells_nor_chains_on(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [500, 500]
    [first] = deliveries(sora)
    sora.run(job, lambda seen: len(hooked(sora, seen).deliveries) == 2)
    sora.deliver(first)
    assert len(sora.receiver.received) == 2
    assert len(deliveries(sora)) == 1


def test_what_another_program_enqueues_is_one_try_and_no_chain(sora: Pipeline) -> None:
    job = failed(sora)
    sora.messages.queued.clear()
    sora.receiver.answers = [500]
    for _ in range(2):
        notify_client(sora.services, NotifyMessage(owner=OWNER, job_id=job.id))
        assert deliveries(sora) == []
    assert hooked(sora, job).status is WebhookStatus.DELIVERED
    with pytest.raises(MalformedMessage):
        notify_client(sora.services, NotifyMessage(owner=OWNER, job_id=failed(sora).id, turn=99_999))


def test_a_message_for_a_job_that_is_not_there_or_has_not_ended_or_no_webhook_is_dropped(
    sora: Pipeline,
) -> None:
    for job in (sora.run(sora.submit()), sora.submit(webhook_url=HOOK)):
        notify_client(sora.services, NotifyMessage(owner=OWNER, job_id=job.id, turn=1))
    notify_client(sora.services, NotifyMessage(owner="nobody", job_id=job.id))
    assert sora.receiver.received == []


def test_a_receiver_whose_turn_has_not_come_is_told_later_and_that_is_no_failed_try(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = failed(sora)
    [first] = deliveries(sora)
    sora.messages.queued.remove(first)
    with monkeypatch.context() as patch:
        busy = ReceiverBusy("Another delivery to this receiver is under way.")
        patch.setattr(sora.receiver, "send", lambda *_: (_ for _ in ()).throw(busy))
        sora.deliver(first)
    [again] = deliveries(sora)
    without_due = [message.text.partition(',"due"')[0] for message in (first, again)]
    assert without_due[0] == without_due[1]
    assert again.visible_at > sora.now()
    assert hooked(sora, job).deliveries == ()
    sora.drain()
    assert len(sora.receiver.received) == 1


def test_a_message_that_was_poisoned_is_noted_and_another_one_sent(sora: Pipeline) -> None:
    job = failed(sora)
    [lost] = deliveries(sora)
    sora.messages.queued.clear()
    note_poisoned_delivery(sora.services, NotifyMessage.model_validate_json(lost.text))
    assert sora.job(job).history[-1].what == "poisoned"
    sora.advance(180)
    sweep_jobs(sora.services)
    sora.drain()
    assert len(sora.receiver.received) == 1
    before = sora.job(job)
    note_poisoned_delivery(sora.services, NotifyMessage.model_validate_json(lost.text))
    assert sora.job(job) == before


# --- wanting no more, and sending again ----------------------------------------------------------


def test_410_turns_the_webhook_off_for_this_job_and_for_later_ones_of_its_owner(sora: Pipeline) -> None:
    sora.receiver.answers = [410]
    first = failed(sora)
    sora.drain()
    assert view(sora, first)["status"] == "disabled"
    assert view(sora, first)["deliveries"][0]["status_code"] == 410
    second = failed(sora)
    sora.drain()
    assert (view(sora, second)["status"], view(sora, second)["deliveries"]) == ("disabled", [])
    assert len(sora.receiver.received) == 1
    assert sora.live_jobs.keys == set()
    failed(sora, owner="another")
    sora.drain()
    assert len(sora.receiver.received) == 2


def test_sending_again_turns_it_on_again_when_it_succeeds(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [410, 500, 200]
    sora.drain()
    again = send_webhook(sora.services, OWNER, job.id)
    assert view(sora, again)["status"] == "pending"
    sora.deliver(sora.take_next())
    assert sora.hooks.is_off(Hook(OWNER, HOOK))  # a try that fails turns nothing on
    sora.drain()
    assert not sora.hooks.is_off(Hook(OWNER, HOOK))
    assert view(sora, job)["status"] == "delivered"
    assert len({told.id for told in sora.receiver.received}) == 1
    later = failed(sora)
    sora.drain()
    assert view(sora, later)["status"] == "delivered"
    assert sora.live_jobs.keys == set()


def test_ten_clicks_tell_once(sora: Pipeline) -> None:
    job = failed(sora)
    sora.drain()
    for _ in range(10):
        send_webhook(sora.services, OWNER, job.id)
    sora.drain()
    assert len(sora.receiver.received) == 2
    assert sora.live_jobs.keys == set()


def test_sending_again_hides_nothing_that_a_crash_at_the_end_left_undone(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    sora.services = sora.services._replace(owner_limits=OwnerLimits(at_once=1))
    job = sora.submit(webhook_url=HOOK)

    def broken(*_: Any) -> None:
        raise StorageUnavailable("not now")

    with monkeypatch.context() as patch:
        patch.setattr(sora.blobs, "put_summary", broken)  # the first thing that follows the end
        with pytest.raises(StorageUnavailable):
            sora.run(job, lambda _: False)
    send_webhook(sora.services, OWNER, job.id)
    sora.drain()
    assert hooked(sora, job).status is WebhookStatus.DELIVERED
    assert sora.jobs.quota(OWNER).quota.alive == ()
    assert f"{OWNER}/{job.id}/job.json" in sora.blobs.videos
    assert sora.live_jobs.keys == set()


def test_sending_again_before_the_next_try_is_due_takes_its_place(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [500, 500]
    sora.run(job, lambda seen: len(hooked(sora, seen).deliveries) == 2)
    send_webhook(sora.services, OWNER, job.id)
    sora.deliver(sora.take_next())
    assert hooked(sora, job).status is WebhookStatus.DELIVERED
    sora.drain()
    assert len(sora.receiver.received) == 3


@pytest.mark.parametrize("stored_first", [True, False])
def test_a_round_that_is_asked_for_while_the_one_before_ends_is_found_by_the_sweeper(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch, stored_first: bool
) -> None:
    """Its message is never sent, and whoever ends the round before takes away the live row that was both's."""
    job = failed(sora)
    save, send = sora.jobs.save, sora.messages.send_notify

    def unsent(message: NotifyMessage, delay: timedelta) -> None:
        monkeypatch.setattr(sora.messages, "send_notify", send)
        raise StorageUnavailable("The queue is away.")

    def ask_again() -> None:
        monkeypatch.setattr(sora.messages, "send_notify", unsent)
        send_webhook(sora.services, OWNER, job.id)  # the round is saved: that is what was asked for

    def saving(stored: StoredJob, changed: Job) -> StoredJob:
        monkeypatch.setattr(sora.jobs, "save", save)
        if not stored_first:
            sora.live_jobs.remove(LiveJob.of(job))
            return save(stored, changed)
        saved = save(stored, changed)
        ask_again()
        return saved

    if stored_first:
        monkeypatch.setattr(sora.jobs, "save", saving)
        sora.drain()
    else:
        sora.drain()
        monkeypatch.setattr(sora.jobs, "save", saving)
        ask_again()
    assert hooked(sora, job).status is WebhookStatus.PENDING
    sora.advance(180)
    sweep_jobs(sora.services)
    sora.drain()
    assert hooked(sora, job).status is WebhookStatus.DELIVERED
    assert sora.live_jobs.keys == set()


def test_there_is_nothing_to_send_before_the_end_or_without_a_webhook(sora: Pipeline) -> None:
    plain = sora.run(sora.submit())
    waiting = sora.submit(webhook_url=HOOK)
    for job, why in ((waiting, "when the job has ended"), (plain, "no webhook")):
        before = (sora.job(job), sora.live_jobs.keys, list(sora.messages.queued))
        with pytest.raises(NothingToSend, match=why):
            send_webhook(sora.services, OWNER, job.id)
        assert (sora.job(job), sora.live_jobs.keys, sora.messages.queued) == before
    with pytest.raises(JobNotFound):
        send_webhook(sora.services, "another", waiting.id)


# --- deleting, retrying, importing ---------------------------------------------------------------


def test_deleting_a_job_ends_its_webhook(sora: Pipeline) -> None:
    job = failed(sora)
    sora.receiver.answers = [500] * 20
    sora.run(job, lambda seen: len(hooked(sora, seen).deliveries) == 2)
    delete_job(sora.services, OWNER, job.id)
    sora.drain()
    assert len(sora.receiver.received) == 2
    assert sora.live_jobs.keys == set()
    assert sora.jobs.everything() == []


def test_a_job_that_is_deleted_before_its_end_tells_nobody(sora: Pipeline) -> None:
    job = sora.submit(webhook_url=HOOK)
    delete_job(sora.services, OWNER, job.id)
    sora.drain()
    assert sora.receiver.received == []


def test_a_retry_takes_the_webhook_along(sora: Pipeline) -> None:
    job = failed(sora)
    again = retry_job(sora.services, OWNER, job.id)
    sora.drain()
    assert sora.job(again).status is Status.SUCCEEDED
    told: dict[str, list[Received]] = {one.id: sora.receiver.told_of(one.id) for one in (job, again)}
    assert [[one.event["type"] for one in told[one.id]] for one in (job, again)] == [
        ["job.failed"],
        ["job.succeeded"],
    ]
    assert told[job.id][0].id != told[again.id][0].id


def test_an_imported_job_may_have_a_webhook(sora: Pipeline) -> None:
    made = sora.run(sora.submit())
    elsewhere = Pipeline(sora.simulator, "azure-sora")  # it has claimed nothing
    body = {"backend_job_id": made.backend_job_id, "webhook_url": HOOK}
    job = import_job(elsewhere.services, OWNER, read_import(json.dumps(body).encode()))
    elsewhere.drain()
    assert [told.event["data"]["id"] for told in elsewhere.receiver.received] == [job.id]
    with pytest.raises(InvalidRequest, match="webhook_url"):
        import_job(
            elsewhere.services,
            OWNER,
            read_import(json.dumps({**body, "webhook_url": "https://10.0.0.1/"}).encode()),
        )


# --- the settings --------------------------------------------------------------------------------


def test_jobs_that_bring_no_webhook_tell_the_apps_own_whose_url_stays_in_the_settings(
    simulator: Simulator,
) -> None:
    pipeline = Pipeline(simulator, "azure-sora", WEBHOOK_URL=APP_HOOK)
    pipeline.fault("create", status=400, times=2)
    own, apps = pipeline.submit(webhook_url=HOOK), pipeline.submit()
    pipeline.drain()
    assert [told.url for told in pipeline.receiver.told_of(own.id)] == [HOOK]
    assert [told.url for told in pipeline.receiver.told_of(apps.id)] == [APP_HOOK]
    assert view(pipeline, apps)["url"] is None
    assert "of-the-app" not in repr(pipeline.jobs.everything())


def test_what_the_settings_have_lost_is_said_and_may_be_mended_in_time(simulator: Simulator) -> None:
    pipeline = Pipeline(simulator, "azure-sora", WEBHOOK_URL=APP_HOOK)
    pipeline.fault("create", status=400)
    job = pipeline.submit()
    whole = pipeline.services
    for lost, named in (({"url": None}, "WEBHOOK_URL"), ({"secrets": ()}, "WEBHOOK_SECRETS")):
        pipeline.services = whole._replace(webhooks=replace(whole.webhooks, **lost))
        tries = len(hooked(pipeline, job).deliveries)
        pipeline.run(job, lambda seen, tries=tries: len(hooked(pipeline, seen).deliveries) > tries)
        assert named in (hooked(pipeline, job).deliveries[-1].problem or "")
    pipeline.services = whole
    pipeline.drain()
    assert hooked(pipeline, job).status is WebhookStatus.DELIVERED


@pytest.mark.parametrize(
    "url", ["http://hooks.example.test/", "https://169.254.169.254/", "https://localhost/"]
)
def test_a_url_that_is_no_good_is_refused_at_once_and_leaves_nothing_behind(sora: Pipeline, url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sora.submit(webhook_url=url)
    assert [problem.field for problem in refused.value.problems] == ["webhook_url"]
    assert (sora.jobs.everything(), sora.live_jobs.keys, sora.messages.queued) == ([], set(), [])


def test_without_a_secret_a_webhook_is_refused_and_the_answer_says_how_to_mend_it(
    simulator: Simulator,
) -> None:
    pipeline = Pipeline(simulator, "azure-sora", WEBHOOK_SECRETS="")
    with pytest.raises(InvalidRequest, match="WEBHOOK_SECRETS"):
        pipeline.submit(webhook_url=HOOK)
    assert pipeline.jobs.everything() == []


def test_of_a_url_only_the_host_is_logged(sora: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sora.receiver.answers = [500, 410]
    failed(sora)
    sora.drain()
    assert "hooks.example.test" in caplog.text
    assert "token" not in caplog.text
    assert "/reelkeep" not in caplog.text


@pytest.mark.parametrize("rest", ["?token=s3cret", "/s3cret", "/?a=s3cret", "/in/s3cret/here"])
def test_of_a_webhooks_url_only_the_origin_is_shown(sora: Pipeline, rest: str) -> None:
    origin = "https://hooks.example.com"
    job = sora.submit(webhook_url=f"{origin}{rest}")
    assert job_view(job, sora.blobs)["webhook"]["url"] == origin  # type: ignore[index]
