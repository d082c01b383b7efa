"""What an operator reads of queues, jobs and webhooks, and that no answer reads more rows than it promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from backend_api.gates import list_backends
from backend_api.live import list_deliveries, list_live
from backend_api.mending import repair_any, resend_any
from backend_api.queues import list_queues
from local.simulator.server import Simulator
from tests.pipeline import OWNER, Pipeline
from tests.steps import delete
from video_jobs.domain import transitions
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import InvalidRequest, JobNotFound, NothingToSend
from video_jobs.domain.gate import Slot
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import Job, JobError, Status
from video_jobs.domain.queue_messages import POLL_QUEUE
from video_jobs.domain.webhook import Delivery, Webhook, WebhookStatus
from video_jobs.ports import GivenUp, LiveJob

HOOK = "https://example.com/hooks"


@pytest.fixture
def app(simulator: Simulator) -> Pipeline:
    return Pipeline(simulator, "azure-sora", VIDEO_RUNNING_LIMIT="2")


def live(app: Pipeline, count: int, **changes: Any) -> list[Job]:
    """Jobs that are there as rows only, the first the oldest."""
    made = []
    template = app.send({"prompt": "a boat"})
    for number in range(count):
        moment = app.now() + timedelta(seconds=number)
        job = replace(template, id=new_job_id(moment), created_at=moment, **changes)
        app.jobs.insert(job, None)
        app.live_jobs.add(LiveJob.of(job, waiting=job.status is Status.WAITING))
        made.append(job)
    return made


def test_a_queue_says_how_much_lies_in_it_and_since_when(app: Pipeline) -> None:
    app.send({"prompt": "a boat"})
    app.messages.poison(POLL_QUEUE, b"{}")
    app.advance(300)
    poll, fetch, notify = list_queues(app.services)
    assert (poll["name"], poll["poisoned"]) == (POLL_QUEUE, 1)
    assert poll["messages"] >= 1
    assert poll["oldest_at"] is not None
    assert (fetch["messages"], fetch["oldest_at"], notify["poisoned"]) == (0, None, 0)


def test_those_that_waited_for_longest_come_first_and_twenty_of_each_backend_at_most(app: Pipeline) -> None:
    jobs = live(app, 25, status=Status.WAITING, chain=Chain())
    answer = list_live(app.services, {"show": "waiting"})
    assert [job["id"] for job in answer["jobs"]][:3] == [job.id for job in jobs[:3]]
    assert (len(answer["jobs"]), answer["read"], answer["next_cursor"]) == (20, 20, None)


def test_only_what_needs_somebody_is_listed_and_a_hundred_rows_are_read_at_a_time(app: Pipeline) -> None:
    jobs = live(app, 130, status=Status.RUNNING)
    alarmed = jobs[120]
    app.jobs.save(app.jobs.get(OWNER, alarmed.id), replace(alarmed, alarm="It will be lost."))
    first = list_live(app.services, {"show": "attention"})
    assert (first["read"], first["jobs"]) == (100, [])
    rest = list_live(app.services, {"show": "attention", "cursor": first["next_cursor"] or ""})
    assert [(job["id"], job["alarm"]) for job in rest["jobs"]] == [(alarmed.id, "It will be lost.")]
    assert rest["next_cursor"] is None


def test_a_poisoned_job_is_listed_and_repaired(app: Pipeline) -> None:
    [job] = live(app, 1, status=Status.RUNNING)
    poisoned = transitions.poisoned(job, app.now(), "A poll failed again and again.")
    app.jobs.save(app.jobs.get(OWNER, job.id), poisoned)
    [listed] = list_live(app.services, {})["jobs"]
    assert listed["poisoned_at"] is not None
    before = len(app.messages.queued)
    assert repair_any(app.services, OWNER, job.id).id == job.id
    assert len(app.messages.queued) > before


def test_nothing_of_what_a_job_is_about_is_told(app: Pipeline) -> None:
    live(app, 1, status=Status.WAITING)
    assert "boat" not in str(list_live(app.services, {"show": "waiting"}))


def test_a_webhook_is_listed_without_its_path_and_sent_again(app: Pipeline) -> None:
    job = app.run(app.send({"prompt": "a boat", "size": "480x480", "seconds": 1, "webhook_url": HOOK}))
    app.drain()
    [listed] = list_deliveries(app.services, {"owner": OWNER})["jobs"]
    assert listed["webhook"] is not None
    assert (listed["id"], listed["webhook"]["url"]) == (job.id, "https://example.com")
    assert resend_any(app.services, OWNER, job.id).webhook is not None
    with pytest.raises(NothingToSend):
        resend_any(app.services, OWNER, app.send({"prompt": "a boat"}).id)


def given_up(app: Pipeline, owner: str = OWNER) -> Job:
    """A job whose webhook could not be delivered in three days."""
    template = app.send({"prompt": "a boat"})
    at = app.now()
    tried = (Delivery(at, 500, "It answered 500."),)
    job = replace(
        template,
        id=new_job_id(at),
        owner=owner,
        status=Status.FAILED,
        error=JobError("generation_failed", "It failed."),
        finished_at=at,
        webhook=Webhook(HOOK, WebhookStatus.FAILED, Chain(turn=12), deliveries=tried),
    )
    app.jobs.insert(job, None)
    app.services.hooks.note_given_up(GivenUp(owner, job.id))
    app.advance(1)
    return job


def test_webhooks_that_were_given_up_are_listed_over_all_owners_fifty_at_a_time(app: Pipeline) -> None:
    jobs = [given_up(app, owner=f"owner-{number % 3}") for number in range(55)]
    first = list_live(app.services, {"show": "given_up"})
    assert [job["id"] for job in first["jobs"]] == [job.id for job in reversed(jobs[5:])]
    assert first["read"] == 50
    rest = list_live(app.services, {"show": "given_up", "cursor": first["next_cursor"] or ""})
    assert [(job["id"], job["owner"]) for job in rest["jobs"]] == [
        (job.id, job.owner) for job in reversed(jobs[:5])
    ]
    assert rest["next_cursor"] is None


def test_a_webhook_is_on_that_list_from_its_last_try_until_it_is_sent_again(app: Pipeline) -> None:
    job = app.run(app.send({"prompt": "internal-failure", "webhook_url": HOOK}))
    app.receiver.answers = [500] * 20
    app.drain()
    listed = list_live(app.services, {"show": "given_up"})["jobs"]
    assert [(each["id"], each["webhook"] and each["webhook"]["status"]) for each in listed] == [
        (job.id, "failed")
    ]
    resend_any(app.services, OWNER, job.id)
    assert list_live(app.services, {"show": "given_up"})["read"] == 0


def test_a_deleted_job_takes_its_note_along(app: Pipeline) -> None:
    job = app.run(app.send({"prompt": "internal-failure", "webhook_url": HOOK}))
    app.receiver.answers = [500] * 20
    app.drain()
    assert app.services.hooks.given_up(None, 10) == [GivenUp(OWNER, job.id)]
    delete(app, job)
    app.drain()
    assert app.services.hooks.given_up(None, 10) == []


def test_a_note_is_removed_where_its_job_is_deleted_or_its_webhook_delivered(app: Pipeline) -> None:
    gone, told, waits = given_up(app), given_up(app), given_up(app)
    app.jobs.delete(app.jobs.get(OWNER, gone.id))
    for job, status in ((told, WebhookStatus.DELIVERED), (waits, WebhookStatus.PENDING)):
        app.jobs.save(app.jobs.get(OWNER, job.id), replace(job, webhook=Webhook(HOOK, status)))
    assert list_live(app.services, {"show": "given_up"})["jobs"] == []
    assert app.services.hooks.given_up(None, 10) == [GivenUp(OWNER, waits.id)]


def test_the_slots_of_a_gate_name_their_holders(app: Pipeline) -> None:
    job = app.send({"prompt": "a boat"})
    stored = app.gates.get("default")
    gone = Slot("job_gone", "somebody", app.now())
    app.gates.save(stored, replace(stored.gate, slots=(gone, Slot(job.id, OWNER, app.now()))))
    [view] = list_backends(app.services)
    assert [(slot["job_id"], slot["status"]) for slot in view["slots"]] == [
        ("job_gone", None),
        (job.id, app.jobs.get(OWNER, job.id).job.status),
    ]
    assert view["state"] == "busy"


@pytest.mark.parametrize("query", [{"show": "all"}, {"cursor": "%"}, {"cursor": "YQ"}, {"cursor": "YQpiCmM"}])
def test_what_can_not_be_read_is_refused(app: Pipeline, query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        list_live(app.services, query)


@pytest.mark.parametrize("owner", ["", "a/b", "a\\b", "a#b", "a?b", "a\x00b", "x" * 201, "nobody"])
def test_an_owner_that_there_is_not_has_no_job(app: Pipeline, owner: str) -> None:
    with pytest.raises(JobNotFound):
        repair_any(app.services, owner, new_job_id(app.now()))
