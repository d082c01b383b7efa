"""What a receiver is told, and that it can believe it: checked with the library that receivers use."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from tests.unit.jobs import LATER, a_job_in
from video_jobs.domain.job import Job, Status
from video_jobs.domain.transitions import delivery_sent, retried
from video_jobs.domain.webhook import Webhook
from video_jobs.views.job_view import event_id, job_summary
from video_jobs.views.webhook_event import event_body, event_type
from video_jobs.webhooks.signature import signed_headers

NEW, OLD, OTHER = (bytes([letter]) * 32 for letter in b"nox")
ENDS = sorted(status for status in Status if status.is_terminal)


def verifier(secret: bytes) -> Verifier:
    return Verifier("whsec_" + base64.b64encode(secret).decode())


def ended(status: Status = Status.SUCCEEDED) -> Job:
    return a_job_in(status, webhook=Webhook("https://hooks.example.test/?token=t"), expected_at=LATER)


@pytest.mark.parametrize("status", ENDS)
def test_an_event_says_what_ended_when_and_how(status: Status):
    job = ended(status)
    event = json.loads(event_body(job))
    assert list(event) == ["type", "timestamp", "data"]
    assert event["type"] == event_type(job) == f"job.{status}"
    assert event["timestamp"] == event["data"]["finished_at"]
    assert event["data"].keys() == job_summary(job).keys() - {"webhook"}
    assert all(video["url"] is None for video in event["data"]["videos"])
    assert "token" not in event_body(job).decode()


def test_id_and_bytes_are_the_same_whatever_happened_to_the_job_since():
    job = ended()
    later = LATER + timedelta(days=2)
    since = delivery_sent(retried(job, later, "job_2").noting(later, "webhook_again"), later, 5)
    assert since != job
    assert (event_id(since), event_body(since)) == (event_id(job), event_body(job))


def test_no_two_ends_have_one_id():
    ids = {event_id(replace(ended(status), id=f"job_{n}")) for status in ENDS for n in range(3)}
    assert len(ids) == len(ENDS) * 3
    assert not any("." in one for one in ids)  # which the signature uses to tell its parts


@pytest.mark.parametrize("secret", [NEW, OLD], ids=["the newest secret", "the one before"])
def test_a_receiver_verifies_with_whichever_secret_it_has_while_they_are_rotated(secret: bytes):
    job, now = ended(), datetime.now(UTC)
    headers = signed_headers((NEW, OLD), event_id(job), now, event_body(job))
    assert verifier(secret).verify(event_body(job), headers) == json.loads(event_body(job))
    assert headers["webhook-signature"].startswith(
        verifier(NEW).sign(event_id(job), now, event_body(job).decode())
    )
    assert headers["webhook-id"] == event_id(job)


def test_nothing_else_is_believed():
    job, now = ended(), datetime.now(UTC)
    headers = signed_headers((NEW, OLD), event_id(job), now, event_body(job))
    for wrong in (
        lambda: verifier(OTHER).verify(event_body(job), headers),
        lambda: verifier(NEW).verify(event_body(job) + b" ", headers),
        lambda: verifier(NEW).verify(event_body(job), {**headers, "webhook-id": "evt_other"}),
        lambda: verifier(NEW).verify(
            event_body(job),
            signed_headers((NEW,), event_id(job), now - timedelta(minutes=6), event_body(job)),
        ),
    ):
        with pytest.raises(WebhookVerificationError):
            wrong()
