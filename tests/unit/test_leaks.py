"""The watch over the run: it would see a secret that gets out, and takes nothing else for one."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import azure.functions as func
import pytest

from http_edge.answers import json_answer
from local.simulator.server import Simulator
from tests.leaks import SECRETS, Leaks, secrets_in
from tests.pipeline import OWNER, Pipeline
from tests.unit.jobs import a_job
from video_jobs.domain.queue_messages import PollMessage
from video_jobs.storage.memory import MemoryBlob, QueuedMessage

SAS = "https://clips.blob.core.windows.net/videos/default/job/0.mp4?se=2026-11-05&sp=r&sig=aB3%2FxY9kQ%3D"


@pytest.fixture
def watch(leaks: Leaks) -> Iterator[Leaks]:
    """The run's own, which is not to fail over what these tests show it."""
    yield leaks
    leaks.found.clear()


@pytest.mark.promise("I9")
@pytest.mark.parametrize("secret", [*SECRETS, SAS])
def test_a_secret_is_seen_wherever_it_stands(secret: str):
    assert secrets_in(f"It answered 401: the key {secret} is wrong.")
    assert secrets_in(json.dumps({"a": [secret]}))


@pytest.mark.parametrize("text", ["", "the key [removed] is wrong", "sig=", "a signature", "design=modern-1"])
def test_nothing_else_is_taken_for_one(text: str):
    assert secrets_in(text) == []


@pytest.mark.parametrize("secret", [*SECRETS, SAS])
def test_every_log_line_is_looked_at_with_its_traceback(watch: Leaks, secret: str):
    logger = logging.getLogger("reelkeep.test")
    logger.debug("calling %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("it failed")
    assert len(watch.found) == 2
    assert all(secret not in said for said in watch.found)
    with pytest.raises(AssertionError, match=r"a log line of reelkeep\.test"):
        watch.refuse()


@pytest.mark.parametrize("place", ["a row", "a message", "the blob"])
def test_what_a_test_leaves_in_storage_is_looked_at(watch: Leaks, simulator: Simulator, place: str):
    pipeline, secret = Pipeline(simulator, "azure-sora"), next(iter(SECRETS))
    if place == "a row":
        pipeline.jobs.insert(a_job(reason=secret), None)
    elif place == "a message":
        text = PollMessage(owner=OWNER, job_id=a_job().id).encode() + secret
        pipeline.messages.queued.append(QueuedMessage("video-poll", text, pipeline.now()))
    else:
        pipeline.blobs.videos["default/job/job.json"] = MemoryBlob(secret.encode(), {})
    with pytest.raises(AssertionError, match=place):
        watch.refuse()


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        ({"videos": [{"url": SAS, "thumbnail_url": SAS}]}, True),
        ({"videos": [{"problem": SAS}]}, False),
        ({"url": {"detail": SAS}}, False),
        ({"url": next(iter(SECRETS))}, False),
        (SAS, False),
    ],
)
def test_a_sas_stands_only_in_url_fields_of_an_answer(watch: Leaks, body: Any, fine: bool):
    json_answer(body)
    assert (watch.found == []) is fine


def test_a_sas_stands_in_no_header_but_location(watch: Leaks):
    func.HttpResponse(status_code=303, headers={"Location": SAS})
    assert watch.found == []
    func.HttpResponse(status_code=303, headers={"Link": SAS})
    assert watch.found
