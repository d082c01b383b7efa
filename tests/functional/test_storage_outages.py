"""What becomes of a call to storage whose reply is lost, or that never gets there."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from azure.data.tables import TableServiceClient

from local.azurite_process import Azurite
from tests.functional.storage_adapters import Forgetful, a_job
from tests.pipeline import UseServices
from tests.waiting import until
from video_jobs import wiring
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import Conflict, InvalidSettings, JobNotFound, StorageUnavailable
from video_jobs.domain.gate import Gate
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.queue_messages import PollMessage
from video_jobs.ports import Claim, IdempotencyEntry, StoredGate, StoredJob
from video_jobs.settings.app import Settings
from video_jobs.settings.storage import StorageSettings
from video_jobs.storage.blobs import create_containers
from video_jobs.storage.claims import TableClaims
from video_jobs.storage.connection import connect
from video_jobs.storage.gates import TableGates
from video_jobs.storage.jobs import TableJobs
from video_jobs.storage.messages import StorageMessages
from video_jobs.wiring import build, utc_now

NO_REPLY_OR_A_503 = pytest.mark.parametrize("how", ["lose", "unavailable", "closed"])


# --- lost replies ---


@NO_REPLY_OR_A_503
def test_a_save_whose_reply_was_lost_succeeds(forgetful: Forgetful, owner: str, how: str) -> None:
    jobs = TableJobs(forgetful.tables)
    stored = jobs.insert(a_job(owner), None)
    assert isinstance(stored, StoredJob)
    forgetful.lose_the_next_reply(how)
    saved = jobs.save(stored, replace(stored.job, chain=Chain(7)))
    assert forgetful.lost
    assert jobs.get(owner, stored.job.id) == saved
    jobs.save(saved, replace(stored.job, chain=Chain(8)))


@NO_REPLY_OR_A_503
def test_an_insert_whose_reply_was_lost_succeeds(forgetful: Forgetful, owner: str, how: str) -> None:
    jobs = TableJobs(forgetful.tables)
    for with_key in (False, True):
        job = a_job(owner)
        entry = IdempotencyEntry(owner, "hash", "request", job.id) if with_key else None
        forgetful.lose_the_next_reply(how)
        stored = jobs.insert(job, entry)
        assert isinstance(stored, StoredJob)
        assert forgetful.lost
        assert jobs.get(owner, job.id) == stored


@NO_REPLY_OR_A_503
def test_a_lost_reply_is_told_from_a_lost_race(forgetful: Forgetful, owner: str, how: str) -> None:
    jobs = TableJobs(forgetful.tables)
    stored = jobs.insert(a_job(owner), None)
    assert isinstance(stored, StoredJob)
    jobs.save(stored, replace(stored.job, chain=Chain(7)))
    forgetful.lose_the_next_reply(how)
    with pytest.raises(Conflict):
        jobs.save(stored, replace(stored.job, chain=Chain(8)))


@NO_REPLY_OR_A_503
def test_a_deletion_whose_reply_was_lost_succeeds(forgetful: Forgetful, owner: str, how: str) -> None:
    jobs = TableJobs(forgetful.tables)
    stored = jobs.insert(a_job(owner), None)
    assert isinstance(stored, StoredJob)
    forgetful.lose_the_next_reply(how)
    jobs.delete(stored)
    assert forgetful.lost
    with pytest.raises(JobNotFound):
        jobs.get(owner, stored.job.id)


@NO_REPLY_OR_A_503
def test_a_claim_whose_reply_was_lost_holds(forgetful: Forgetful, owner: str, how: str) -> None:
    claims = TableClaims(forgetful.tables)
    ours = Claim("https://x.invalid", new_job_id(utc_now()), owner, "job_ours")
    forgetful.lose_the_next_reply(how)
    assert claims.claim(ours) == ours
    assert forgetful.lost
    assert claims.find(ours.base_url, ours.backend_job_id) == ours
    forgetful.lose_the_next_reply(how)
    assert claims.claim(ours._replace(job_id="job_late")) == ours


@NO_REPLY_OR_A_503
def test_a_hand_over_whose_reply_was_lost_holds(forgetful: Forgetful, owner: str, how: str) -> None:
    claims = TableClaims(forgetful.tables)
    first = Claim("https://x.invalid", new_job_id(utc_now()), owner, "job_first")
    second = first._replace(job_id="job_second")
    for holder in (None, first):  # an insert, then an update
        if holder is not None:
            claims.release(second)
            claims.claim(holder)
        assert claims.find(first.base_url, first.backend_job_id) == holder
        forgetful.lose_the_next_reply(how)
        assert claims.hand_over(second, "job_first") == second
        assert forgetful.lost
        assert claims.find(first.base_url, first.backend_job_id) == second


@NO_REPLY_OR_A_503
def test_a_release_whose_reply_was_lost_succeeds(forgetful: Forgetful, owner: str, how: str) -> None:
    claims = TableClaims(forgetful.tables)
    ours = Claim("https://x.invalid", new_job_id(utc_now()), owner, "job_ours")
    claims.claim(ours)
    forgetful.lose_the_next_reply(how)
    claims.release(ours)
    assert forgetful.lost
    assert claims.find(ours.base_url, ours.backend_job_id) is None


@NO_REPLY_OR_A_503
def test_a_gate_whose_saves_reply_was_lost_is_saved(forgetful: Forgetful, backend: str, how: str) -> None:
    gates = TableGates(forgetful.tables)
    stored = gates.get(backend)
    for contended in (True, False):  # an insert, then an update
        forgetful.lose_the_next_reply(how)
        stored = gates.save(stored, replace(stored.gate, contended=contended))
        assert forgetful.lost
        assert gates.get(backend) == stored


@NO_REPLY_OR_A_503
def test_a_gates_lost_reply_is_told_from_a_lost_race(forgetful: Forgetful, backend: str, how: str) -> None:
    gates = TableGates(forgetful.tables)
    missing = StoredGate(Gate(backend), None)
    theirs = gates.save(missing, Gate(backend, contended=True))
    forgetful.lose_the_next_reply(how)
    with pytest.raises(Conflict):
        gates.save(missing, Gate(backend))
    latest = gates.save(theirs, theirs.gate)
    forgetful.lose_the_next_reply(how)
    with pytest.raises(Conflict):
        gates.save(theirs, Gate(backend))
    assert gates.get(backend) == latest


# --- outages ---


def test_storage_that_is_away_is_said_without_its_secrets(azurite: Azurite, owner: str) -> None:
    away = azurite.connection_string.replace(azurite.table_endpoint, "http://127.0.0.1:9/reelkeeplocal")
    jobs = TableJobs(TableServiceClient.from_connection_string(away, retry_total=0))
    with pytest.raises(StorageUnavailable) as caught:
        jobs.get(owner, "job_x")
    assert "could not be reached" in str(caught.value)
    assert azurite.account_key not in str(caught.value)


@pytest.fixture
def silent_storage() -> Iterator[tuple[str, list[socket.socket]]]:
    """Takes every connection and answers nothing; with the connections."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        endpoints = "".join(
            f"{kind}Endpoint=http://127.0.0.1:{port}/name;" for kind in ("Blob", "Queue", "Table")
        )
        yield f"AccountName=name;AccountKey={base64.b64encode(b'key').decode()};{endpoints}", taken
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in taken:
        connection.close()


@pytest.mark.exhaustive
def test_storage_that_does_not_answer_is_given_up_after_three_tries(
    silent_storage: tuple[str, list[socket.socket]], owner: str
) -> None:
    text, taken = silent_storage
    storage = connect(StorageSettings(connection_string=text), read_timeout=0.1)
    message = PollMessage(owner=owner, job_id=new_job_id(utc_now()))
    calls: list[Callable[[], object]] = [
        lambda: TableJobs(storage.tables).get(owner, "job_x"),
        lambda: TableJobs(storage.tables).insert(a_job(owner), None),
        lambda: StorageMessages(storage.queues, storage.clock).send_poll(message, timedelta()),
        lambda: create_containers(storage.blobs),
    ]
    for call in calls:
        before = len(taken)
        with pytest.raises(StorageUnavailable):
            call()
        # An insert looks then whether it was stored after all.
        assert len(taken) - before in (3, 6)
    for ping in (TableJobs(storage.tables).ping, StorageMessages(storage.queues, storage.clock).ping):
        before = len(taken)
        with pytest.raises(StorageUnavailable):
            ping()
        assert len(taken) - before == 1


def test_who_waits_while_the_app_tries_to_start_without_storage_ends_with_that_try(
    use_services: UseServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 threads, each with a try of its own of 15 s, answered the last one after eight minutes."""
    asked: list[float] = []
    tries: list[object] = []

    def tick() -> float:
        asked.append(time.monotonic())
        return asked[-1]

    def build_in_vain(settings: object) -> None:
        tries.append(settings)
        assert until(lambda: len(asked) >= 6)
        raise StorageUnavailable("It is away.")

    monkeypatch.setattr(wiring, "build", build_in_vain)
    monkeypatch.setattr(wiring, "time", SimpleNamespace(monotonic=tick))
    monkeypatch.setattr(wiring.Settings, "from_environment", lambda environment: environment)
    use_services(None)
    with ThreadPoolExecutor(6) as pool:
        answers = [call.exception() for call in [pool.submit(wiring.get_services) for _ in range(6)]]
    assert {type(each) for each in answers} == {StorageUnavailable}
    assert len(tries) == 1
    with pytest.raises(StorageUnavailable):
        wiring.get_services()
    assert len(tries) == 2  # it may be back


def test_a_wrong_key_is_said_in_words(azurite: Azurite, owner: str) -> None:
    wrong = azurite.connection_string.replace(azurite.account_key, base64.b64encode(b"wrong").decode())
    jobs = TableJobs(TableServiceClient.from_connection_string(wrong, retry_total=0))
    with pytest.raises(StorageUnavailable, match="is the key current"):
        jobs.get(owner, "job_x")


def test_a_refusals_traceback_does_not_repeat_the_request(azurite: Azurite) -> None:
    wrong = azurite.connection_string.replace(azurite.account_key, base64.b64encode(b"wrong").decode())
    jobs = TableJobs(TableServiceClient.from_connection_string(wrong, retry_total=0))
    with pytest.raises(StorageUnavailable) as caught:
        jobs.get("nobody", "job_x")
    text = "".join(traceback.format_exception(caught.value))
    assert "HttpResponseError" not in text
    assert "ClientAuthenticationError" not in text


@pytest.mark.parametrize("text", ["{};foo", "{};BlobEndpoint=", ";;x=1", "AccountName=abc;AccountKey=no!"])
def test_a_connection_string_that_the_sdk_can_not_read_is_a_problem_of_the_settings(
    azurite: Azurite, text: str
) -> None:
    with pytest.raises(InvalidSettings, match="AzureWebJobsStorage"):
        build(
            Settings.from_environment(
                {
                    "AzureWebJobsStorage": text.format(azurite.connection_string.rstrip(";")),
                    "AZURE_OPENAI_ENDPOINT": "https://nowhere.invalid",
                    "AZURE_OPENAI_DEPLOYMENT": "sora",
                }
            )
        )
