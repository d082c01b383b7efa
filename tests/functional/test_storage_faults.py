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
    assert claims.hand_over(replace(ours, job_id="job_next"), "job_ours").job_id == "job_next"
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
