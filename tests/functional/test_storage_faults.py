"""Single answers of storage that are cut off, false, late or about something else: over real sockets, in front of Azurite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest

from local.azurite_process import Azurite
from tests.cases import further
from tests.functional.storage_adapters import a_job, settings_for
from tests.functional.storage_front import CUT, PASSED_ON, Front, Odd, in_front_of
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import InputMissing, StorageUnavailable
from video_jobs.domain.gate import Gate
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import InputImage
from video_jobs.domain.queue_messages import POLL_QUEUE, PollMessage
from video_jobs.ports import Claim, IdempotencyEntry, StoredGate, StoredJob, VideoKey
from video_jobs.settings.storage import StorageSettings
from video_jobs.storage.blobs import StorageBlobs, create_containers
from video_jobs.storage.claims import TableClaims
from video_jobs.storage.connection import StorageServices, connect
from video_jobs.storage.gates import TableGates
from video_jobs.storage.jobs import TableJobs, create_tables
from video_jobs.storage.messages import StorageMessages, create_queues
from video_jobs.storage.signing import BlobSigner, account_key
from video_jobs.wiring import build, utc_now

TIMED_OUT = Odd(500, "OperationTimedOut", carried_out=True)
BUSY = Odd(503, "ServerBusy")


@pytest.fixture
def tables(azurite: Azurite) -> Iterator[tuple[Front, StorageServices]]:
    build(settings_for(azurite))
    with in_front_of(azurite, "table") as (front, text):
        yield front, connect(StorageSettings(connection_string=text), retry_backoff_factor=0)


@pytest.fixture
def blobs(azurite: Azurite) -> Iterator[tuple[Front, StorageBlobs]]:
    build(settings_for(azurite))
    with in_front_of(azurite, "blob") as (front, text):
        storage = connect(StorageSettings(connection_string=text))
        signer = BlobSigner(storage.blobs, account_key(storage.account_key or ""), utc_now)
        yield front, StorageBlobs(storage.blobs, signer)


# --- writes that took effect and were not answered ---

UNANSWERED = pytest.mark.parametrize(
    "answers", [[CUT], [TIMED_OUT, BUSY, BUSY]], ids=["cut off", "a time-out, then busy"]
)


@UNANSWERED
def test_a_job_that_was_stored_is_given_whatever_became_of_the_answer(
    tables: tuple[Front, StorageServices], owner: str, answers: list[Odd]
) -> None:
    front, storage = tables
    job = a_job(owner)
    front.answers.extend(answers)
    stored = TableJobs(storage.tables).insert(job, IdempotencyEntry(owner, "hash", "request", job.id))
    assert isinstance(stored, StoredJob)
    assert not front.answers
    assert TableJobs(storage.tables).get(owner, job.id) == stored


@UNANSWERED
def test_a_claim_that_was_stored_holds_whatever_became_of_the_answer(
    tables: tuple[Front, StorageServices], owner: str, answers: list[Odd]
) -> None:
    front, storage = tables
    claims = TableClaims(storage.tables)
    ours = Claim("https://x.invalid", new_job_id(utc_now()), owner, "job_ours")
    front.answers.extend(answers)
    assert claims.claim(ours) == ours
    front.answers.extend(answers)
    assert claims.hand_over(ours._replace(job_id="job_next"), "job_ours").job_id == "job_next"
    assert not front.answers


def test_a_gate_that_was_stored_is_given_though_the_service_said_that_it_failed(
    tables: tuple[Front, StorageServices], backend: str
) -> None:
    front, storage = tables
    gates = TableGates(storage.tables)
    front.answers.extend([TIMED_OUT, BUSY, BUSY])
    stored = gates.save(StoredGate(Gate(backend), None), Gate(backend, contended=True))
    assert not front.answers
    assert gates.get(backend) == stored


# --- answers that are about something else ---


def test_a_missing_table_does_not_mean_that_a_job_is_missing(
    tables: tuple[Front, StorageServices], owner: str
) -> None:
    front, storage = tables
    jobs = TableJobs(storage.tables)
    stored = jobs.insert(a_job(owner), None)
    assert isinstance(stored, StoredJob)
    front.reads_too = True
    front.answers.append(Odd(404, "TableNotFound"))
    with pytest.raises(StorageUnavailable, match="TableNotFound"):
        jobs.get(owner, stored.job.id)
    front.answers.append(Odd(404, "TableNotFound"))
    with pytest.raises(StorageUnavailable, match="TableNotFound"):
        jobs.save(stored, replace(stored.job, chain=Chain(1)))
    assert jobs.get(owner, stored.job.id) == stored


def test_a_missing_container_does_not_mean_that_a_blob_is_missing(
    blobs: tuple[Front, StorageBlobs], owner: str
) -> None:
    front, storage = blobs
    job, image = a_job(owner), InputImage("image/png", 5, "aa", 2, 3)
    storage.put_input(owner, job.id, image, b"bytes")
    front.reads_too = True
    for call in (
        lambda: storage.get_input(owner, job.id),
        lambda: storage.find_video(VideoKey(owner, job.id, 0)),
    ):
        front.answers.append(Odd(404, "ContainerNotFound"))
        with pytest.raises(StorageUnavailable, match="ContainerNotFound"):
            call()
    with storage.get_input(owner, job.id) as file:
        assert file.read() == b"bytes"
    with pytest.raises(InputMissing):
        storage.get_input(owner, a_job(owner).id)


@pytest.mark.parametrize("pieces", [[b"video"], [b"vi", b"deo"]], ids=["at once", "in blocks"])
def test_a_container_that_is_being_deleted_does_not_mean_that_the_video_is_there(
    blobs: tuple[Front, StorageBlobs], owner: str, pieces: list[bytes]
) -> None:
    front, storage = blobs
    key = VideoKey(owner, a_job(owner).id, 0)
    front.answers.extend([PASSED_ON] * (len(pieces) if len(pieces) > 1 else 0))
    front.answers.append(Odd(409, "ContainerBeingDeleted"))
    with pytest.raises(StorageUnavailable, match="ContainerBeingDeleted"):
        storage.put_video(key, iter(pieces), dict)
    assert storage.put_video(key, iter(pieces), dict)
    assert not storage.put_video(key, iter(pieces), dict)


@pytest.mark.parametrize(
    ("service", "code", "create"),
    [
        ("blob", "ContainerBeingDeleted", lambda storage: create_containers(storage.blobs)),
        ("queue", "QueueBeingDeleted", lambda storage: create_queues(storage.queues)),
        ("table", "TableBeingDeleted", lambda storage: create_tables(storage.tables)),
    ],
    ids=["containers", "queues", "tables"],
)
def test_what_is_being_deleted_is_not_taken_for_what_exists(
    azurite: Azurite, service: str, code: str, create: Callable[[StorageServices], None]
) -> None:
    with in_front_of(azurite, service) as (front, text):
        storage = connect(StorageSettings(connection_string=text))
        front.answers.append(Odd(409, code))
        with pytest.raises(StorageUnavailable, match=code):
            create(storage)
        create(storage)
        create(storage)


IMAGE = InputImage("image/png", 5, "0" * 64, 64, 64)
PAGE = b"<html><body>Sign in</body></html>"
OF_TABLES: dict[str, Callable[[StorageServices, str], object]] = {
    "a job": lambda storage, owner: TableJobs(storage.tables).get(owner, new_job_id(utc_now())),
    "a list": lambda storage, owner: TableJobs(storage.tables).page(
        owner, limit=1, after=None, statuses=frozenset()
    ),
    "a new job": lambda storage, owner: TableJobs(storage.tables).insert(a_job(owner), None),
    "a gate": lambda storage, owner: TableGates(storage.tables).get(owner),
}
OF_BLOBS: dict[str, Callable[[StorageBlobs, str], object]] = {
    "a video": lambda blobs, owner: blobs.find_video(VideoKey(owner, "job_x", 0)),
    "a new video": lambda blobs, owner: blobs.put_video(VideoKey(owner, "job_x", 0), iter([b"v"]), dict),
    "an image": lambda blobs, owner: blobs.get_input(owner, "job_x"),
    "a new image": lambda blobs, owner: blobs.put_input(owner, "job_x", IMAGE, b"image"),
    "a deletion": lambda blobs, owner: blobs.delete_job(owner, "job_x"),
}
OF_QUEUES: dict[str, Callable[[StorageMessages], object]] = {
    "a message": lambda queues: queues.send_poll(
        PollMessage(owner="o", job_id=new_job_id(utc_now()), turn=1), timedelta()
    ),
    "the backlog": lambda queues: queues.has_backlog(POLL_QUEUE),
    "the poison": lambda queues: queues.take_poison(1),
    "the count": lambda queues: queues.count_poison(POLL_QUEUE),
}


@pytest.mark.parametrize(
    "call",
    [OF_QUEUES["a message"], OF_QUEUES["the backlog"], lambda queues: queues.state(POLL_QUEUE)],
    ids=["a message", "the backlog", "the state"],
)
def test_a_queue_that_somebody_deleted_is_made_again(
    azurite: Azurite, call: Callable[[StorageMessages], object]
) -> None:
    build(settings_for(azurite))
    with in_front_of(azurite, "queue") as (front, text):
        storage = connect(StorageSettings(connection_string=text))
        front.reads_too = True
        front.answers.append(Odd(404, "QueueNotFound"))
        call(StorageMessages(storage.queues, storage.clock))
        assert f"PUT /{azurite.account_name}/{POLL_QUEUE}" in front.calls


@contextlib.contextmanager
def page_of_a_proxy(azurite: Azurite, service: str, status: int) -> Iterator[StorageServices]:
    """Every call of this service is answered by it."""
    build(settings_for(azurite))
    with in_front_of(azurite, service) as (front, text):
        front.reads_too = True
        front.answers.extend([Odd(status, page=PAGE)] * 50)
        yield connect(StorageSettings(connection_string=text), retry_total=0)


@pytest.mark.parametrize("status", [404, *map(further, (200, 201, 204, 409, 412))])
@pytest.mark.parametrize("what", OF_TABLES)
def test_a_page_of_a_proxy_is_not_taken_for_the_answer_of_a_table(
    azurite: Azurite, owner: str, what: str, status: int
) -> None:
    with (
        page_of_a_proxy(azurite, "table", status) as storage,
        pytest.raises(StorageUnavailable, match="proxy"),
    ):
        OF_TABLES[what](storage, owner)


@pytest.mark.parametrize("status", [201, *map(further, (200, 202, 404, 409, 412))])
@pytest.mark.parametrize("what", OF_BLOBS)
def test_a_page_of_a_proxy_is_not_taken_for_a_blob(
    azurite: Azurite, owner: str, what: str, status: int
) -> None:
    with page_of_a_proxy(azurite, "blob", status) as storage:
        signer = BlobSigner(storage.blobs, account_key(storage.account_key or ""), utc_now)
        with pytest.raises(StorageUnavailable, match="proxy"):
            OF_BLOBS[what](StorageBlobs(storage.blobs, signer), owner)


@pytest.mark.parametrize("status", [200, *map(further, (201, 204, 404))])
@pytest.mark.parametrize("what", OF_QUEUES)
def test_a_page_of_a_proxy_is_not_taken_for_the_answer_of_a_queue(
    azurite: Azurite, what: str, status: int
) -> None:
    with (
        page_of_a_proxy(azurite, "queue", status) as storage,
        pytest.raises(StorageUnavailable, match="proxy"),
    ):
        OF_QUEUES[what](StorageMessages(storage.queues, storage.clock))


# --- what an operator keeps from being changed ---


@pytest.mark.parametrize(
    ("status", "code"),
    [(409, "BlobImmutableDueToPolicy"), (412, "LeaseIdMissing"), (409, "BlobArchived")],
)
def test_a_job_whose_blobs_may_not_change_is_finished_again_after_a_crash(
    blobs: tuple[Front, StorageBlobs], owner: str, status: int, code: str
) -> None:
    front, storage = blobs
    key = VideoKey(owner, "job_x", 0)
    for _ in range(2):
        storage.put_thumbnail(key, "jpg", "image/jpeg", b"picture")
        storage.put_summary(owner, "job_x", b"{}")
        front.answers.extend([Odd(status, code)] * 2)
    front.answers.clear()
    front.answers.append(Odd(403, "AuthorizationFailure"))
    with pytest.raises(StorageUnavailable):
        storage.put_summary(owner, "job_x", b"{}")


# --- waits that storage asks for ---


def test_a_wait_that_storage_asks_for_does_not_hold_a_request_up(
    tables: tuple[Front, StorageServices], owner: str
) -> None:
    front, storage = tables
    pauses: list[float] = []
    with patch(
        "azure.core.pipeline.transport.HttpTransport.sleep", lambda self, seconds: pauses.append(seconds)
    ):
        for name, value in (
            ("Retry-After", "3600"),
            ("x-ms-retry-after-ms", "3600000"),
            ("Retry-After", "soon"),
        ):
            front.answers.append(Odd(503, "ServerBusy", headers=((name, value),)))
            TableJobs(storage.tables).insert(a_job(owner), None)
    assert not front.answers
    assert all(pause <= 1 for pause in pauses), pauses
