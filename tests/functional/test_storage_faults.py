"""Single answers of storage that are cut off, false, late or about something else: over real sockets, in front of Azurite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest

from local.azurite_process import Azurite
from tests.functional.storage_adapters import a_job, settings_for
from tests.functional.storage_front import CUT, PASSED_ON, Front, Odd, in_front_of
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import InputMissing, StorageUnavailable
from video_jobs.domain.gate import Gate
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import InputImage
from video_jobs.ports import Claim, IdempotencyEntry, StoredGate, StoredJob, VideoKey
from video_jobs.settings.storage import StorageSettings
from video_jobs.storage.blobs import StorageBlobs, create_containers
from video_jobs.storage.claims import TableClaims
from video_jobs.storage.connection import StorageServices, connect
from video_jobs.storage.gates import TableGates
from video_jobs.storage.jobs import TableJobs, create_tables
from video_jobs.storage.messages import create_queues
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


def test_a_page_of_a_proxy_is_not_taken_for_the_answer_of_storage(
    tables: tuple[Front, StorageServices], owner: str
) -> None:
    front, storage = tables
    jobs = TableJobs(storage.tables)
    front.reads_too = True
    front.answers.append(Odd(200, page=b"<html><body>Sign in</body></html>"))
    with pytest.raises(StorageUnavailable, match="proxy"):
        jobs.get(owner, "job_x")
    front.answers.append(Odd(200, page=b"<html><body>Sign in</body></html>"))
    with pytest.raises(StorageUnavailable, match="proxy"):
        jobs.page(owner, limit=1, after=None, statuses=frozenset())


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
