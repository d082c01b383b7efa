"""What every storage adapter promises: the real ones on Azurite and their in-memory twin, by the same tests."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient

from local.azurite_process import Azurite
from video_jobs.errors import Conflict, InvalidSettings, JobNotFound, StorageUnavailable
from video_jobs.ids import new_job_id
from video_jobs.job import BackendRef, InputImage, Job, JobError, Output, Status, StoredVideo, VideoRequest
from video_jobs.messages import FETCH_QUEUE, POLL_QUEUE, FetchMessage, PollMessage
from video_jobs.ports import Blobs, IdempotencyEntry, JobStore, LiveJobs, Messages, StoredJob, VideoPlace
from video_jobs.services import build, utc_now
from video_jobs.settings import Settings
from video_jobs.storage.connection import StorageServices, connect
from video_jobs.storage.memory import MemoryBlobs, MemoryJobs, MemoryLiveJobs, MemoryMessages
from video_jobs.storage.tables import LIVE_TABLE, TableJobs


@dataclass
class Storage:
    jobs: JobStore
    live_jobs: LiveJobs
    messages: Messages
    blobs: Blobs


@pytest.fixture(scope="session")
def real_services(azurite: Azurite) -> StorageServices:
    return connect(_settings(azurite).storage)


@pytest.fixture(params=["memory", "azurite"])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        return Storage(MemoryJobs(), MemoryLiveJobs(), MemoryMessages(utc_now), MemoryBlobs(utc_now))
    services = build(_settings(request.getfixturevalue("azurite")))
    return Storage(services.jobs, services.live_jobs, services.messages, services.blobs)


@pytest.fixture
def owner() -> str:
    """A partition of one's own: everything else is shared."""
    return f"owner-{secrets.token_hex(6)}"


def _settings(azurite: Azurite) -> Settings:
    return Settings.from_environment(
        {
            "AzureWebJobsStorage": azurite.connection_string,
            "AZURE_OPENAI_ENDPOINT": "https://nowhere.invalid",
            "AZURE_OPENAI_DEPLOYMENT": "sora",
            "AZURE_OPENAI_API_KEY": "k",
        }
    )


def a_job(owner: str, **changes: Any) -> Job:
    now = changes.pop("created_at", datetime.now(UTC))
    return Job(
        id=new_job_id(now),
        owner=owner,
        created_at=now,
        updated_at=now,
        request=VideoRequest("a paper boat", 480, 480, 5),
        backend=BackendRef("default", "azure-sora", "https://x.invalid", "sora"),
        **changes,
    )


def inserted(storage: Storage, job: Job) -> StoredJob:
    stored = storage.jobs.insert(job, None)
    assert isinstance(stored, StoredJob)
    return stored


# --- jobs ---


def test_a_job_comes_back_as_it_was_stored(storage: Storage, owner: str) -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
    job = a_job(
        owner,
        status=Status.PENDING_DOWNLOAD,
        metadata={"größe": "日本 \U0001f3ac", 'quote"': "\\ \n"},
        expires_at=now + timedelta(days=1),
        outputs=(
            Output(0, "gen_1", turn=3, stored=StoredVideo(5, "ab", True, 1, 2, 3), thumbnail="jpg"),
            Output(1, "video_a+b/c=", due_at=now, problem="no"),
        ),
        error=JobError("failed", "words", backend_code="x"),
    )
    job = replace(
        job,
        request=replace(
            job.request, prompt="\U0001f3ac" * 16_000, input_image=InputImage("image/png", 1, "aa", 2, 3)
        ),
    )
    inserted(storage, job)
    assert storage.jobs.get(owner, job.id).job == job


def test_a_job_of_another_owner_is_not_found(storage: Storage, owner: str) -> None:
    job = a_job(owner)
    inserted(storage, job)
    with pytest.raises(JobNotFound):
        storage.jobs.get("somebody-else", job.id)


def test_the_second_of_two_writers_gets_a_conflict(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner))
    saved = storage.jobs.save(stored, stored.job.evolve(utc_now(), status=Status.SUBMITTING))
    with pytest.raises(Conflict):
        storage.jobs.save(stored, stored.job.evolve(utc_now(), status=Status.FAILED))
    assert storage.jobs.get(owner, stored.job.id) == saved
    storage.jobs.save(saved, saved.job.evolve(utc_now(), status=Status.QUEUED))


def test_of_many_writers_at_once_one_wins(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner))
    barrier = threading.Barrier(6)

    def write(turn: int) -> bool:
        barrier.wait()
        try:
            storage.jobs.save(stored, replace(stored.job, turn=turn))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(write, range(10, 16))).count(True) == 1


def test_a_job_that_is_not_there_can_not_be_saved(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner))
    with pytest.raises(JobNotFound):
        storage.jobs.save(stored, a_job(owner))


def test_a_field_that_becomes_empty_is_empty_when_read(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner, reason="wait"))
    storage.jobs.save(stored, replace(stored.job, reason=None))
    assert storage.jobs.get(owner, stored.job.id).job.reason is None


def test_an_idempotency_key_belongs_to_the_first_and_the_second_leaves_nothing(
    storage: Storage, owner: str
) -> None:
    first, second = a_job(owner), a_job(owner)
    entry = IdempotencyEntry(owner, "hash", "request", first.id)
    assert isinstance(storage.jobs.insert(first, entry), StoredJob)
    assert storage.jobs.insert(second, replace(entry, job_id=second.id)) == entry
    assert storage.jobs.find_entry(owner, "hash") == entry
    assert storage.jobs.find_entry("somebody-else", "hash") is None
    with pytest.raises(JobNotFound):
        storage.jobs.get(owner, second.id)


def test_pages_are_newest_first_and_complete(storage: Storage, owner: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    jobs = [a_job(owner, created_at=start + timedelta(seconds=n)) for n in range(7)]
    for job in jobs:
        storage.jobs.insert(job, IdempotencyEntry(owner, job.id, "r", job.id))
    seen, after = [], None
    while True:
        page = storage.jobs.page(owner, limit=3, after=after, statuses=frozenset())
        seen += [job.id for job in page.jobs]
        after = page.after
        if after is None:
            break
    assert seen == [job.id for job in reversed(jobs)]


def test_a_page_can_be_of_some_statuses_only(storage: Storage, owner: str) -> None:
    for status in (Status.QUEUED, Status.FAILED, Status.SUCCEEDED, Status.QUEUED):
        inserted(storage, a_job(owner, status=status))
    page = storage.jobs.page(owner, limit=9, after=None, statuses=frozenset({Status.QUEUED, Status.FAILED}))
    assert sorted(job.status for job in page.jobs) == ["failed", "queued", "queued"]


def test_a_page_that_ends_with_the_list_has_no_next(storage: Storage, owner: str) -> None:
    for _ in range(2):
        inserted(storage, a_job(owner))
    assert storage.jobs.page(owner, limit=2, after=None, statuses=frozenset()).after is None


# --- live jobs and messages ---


def test_noting_and_removing_a_live_job_may_be_repeated(azurite: Azurite, owner: str) -> None:
    live_jobs = build(_settings(azurite)).live_jobs
    table = connect(_settings(azurite).storage).tables.get_table_client(LIVE_TABLE)
    job = a_job(owner)

    def rows() -> list[str]:
        found = table.query_entities("owner eq @owner", parameters={"owner": owner})
        return [row["job_id"] for row in found]

    for _ in range(2):
        live_jobs.add(job)
        assert rows() == [job.id]
    for _ in range(2):
        live_jobs.remove(job)
        assert rows() == []


def test_messages_are_base64_json_with_ids_only_delayed_and_without_an_end(
    real_services: StorageServices, azurite: Azurite, owner: str
) -> None:
    services = build(_settings(azurite))
    job = a_job(owner)
    for name in (POLL_QUEUE, FETCH_QUEUE):
        real_services.queues.get_queue_client(name).clear_messages()
    services.messages.send_poll(PollMessage(owner=owner, job_id=job.id, turn=2), timedelta(hours=1))
    services.messages.send_fetch(FetchMessage(owner=owner, job_id=job.id, index=1, turn=0), timedelta())
    assert not list(real_services.queues.get_queue_client(POLL_QUEUE).receive_messages())
    [message] = real_services.queues.get_queue_client(FETCH_QUEUE).receive_messages()
    said = json.loads(base64.b64decode(message.content))
    assert said == {"v": 1, "owner": owner, "job_id": job.id, "turn": 0, "index": 1}
    assert message.expires_on.year == 9999
    for name in (POLL_QUEUE, FETCH_QUEUE):
        real_services.queues.get_queue_client(name).clear_messages()


# --- blobs ---


def chunks(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


def test_a_video_is_committed_whole_with_what_is_known_at_its_end(storage: Storage, owner: str) -> None:
    place, known = VideoPlace(owner, "job_x", 0), {}

    def pieces() -> Iterator[bytes]:
        for number in range(9):
            yield bytes([number]) * 1000
        known["sha256"] = "abc"

    assert storage.blobs.put_video(place, pieces(), lambda: known)
    found = storage.blobs.find_video(place)
    assert found is not None
    assert (found.length, found.metadata) == (9000, {"sha256": "abc"})


def test_nothing_is_committed_when_the_bytes_break_off(storage: Storage, owner: str) -> None:
    place = VideoPlace(owner, "job_x", 0)

    def broken() -> Iterator[bytes]:
        yield b"x" * 1000
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        storage.blobs.put_video(place, broken(), dict)
    assert storage.blobs.find_video(place) is None


def test_the_first_video_stays(storage: Storage, owner: str) -> None:
    place = VideoPlace(owner, "job_x", 0)
    assert storage.blobs.put_video(place, chunks(b"first"), lambda: {"n": "1"})
    assert not storage.blobs.put_video(place, chunks(b"second!"), lambda: {"n": "2"})
    found = storage.blobs.find_video(place)
    assert found is not None
    assert (found.length, found.metadata["n"]) == (5, "1")


def test_of_two_transfers_at_once_one_is_stored_and_the_other_knows(storage: Storage, owner: str) -> None:
    place, barrier = VideoPlace(owner, "job_x", 0), threading.Barrier(2)

    def transfer(letter: bytes) -> bool:
        def pieces() -> Iterator[bytes]:
            yield letter * 1000
            barrier.wait()  # both have staged before either commits
            yield letter * 1000

        return storage.blobs.put_video(place, pieces(), lambda: {"by": letter.decode()})

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(transfer, [b"a", b"b"])) == [False, True]
    found = storage.blobs.find_video(place)
    assert found is not None
    assert found.length == 2000


def test_an_input_image_comes_back_and_goes(storage: Storage, owner: str) -> None:
    image = InputImage("image/png", 3, "aa", 1, 1)
    storage.blobs.put_input(owner, "job_x", image, b"png")
    assert storage.blobs.get_input(owner, "job_x") == b"png"
    storage.blobs.delete_input(owner, "job_x")
    storage.blobs.delete_input(owner, "job_x")


def test_a_signed_url_reads_its_blob_for_an_hour_and_nothing_else(azurite: Azurite, owner: str) -> None:
    blobs = build(_settings(azurite)).blobs
    place, other = VideoPlace(owner, "job_x", 0), VideoPlace(owner, "job_x", 1)
    for where in (place, other):
        blobs.put_video(where, chunks(b"the bytes"), dict)
    signed = blobs.sign_video(place)
    answer = requests.get(signed.url, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"the bytes")
    assert answer.headers["content-type"] == "video/mp4"
    assert "job_x-0.mp4" in answer.headers["content-disposition"]
    assert timedelta(minutes=59) < signed.expires_at - utc_now() <= timedelta(hours=1)
    assert requests.get(signed.url.replace("/0.mp4", "/1.mp4"), timeout=10).status_code == 403
    assert (
        requests.put(signed.url, data=b"x", headers={"x-ms-blob-type": "BlockBlob"}, timeout=10).status_code
        == 403
    )
    an_hour_ago = build(_settings(azurite), clock=lambda: utc_now() - timedelta(minutes=61)).blobs
    assert requests.get(an_hour_ago.sign_video(place).url, timeout=10).status_code == 403


# --- lost replies and outages ---


class ForgetfulTransport(RequestsTransport):
    """Sends, and loses the next reply when told so."""

    lose = False

    def send(self, request: Any, **kwargs: Any) -> Any:
        response = super().send(request, **kwargs)
        if self.lose:
            self.lose = False
            raise ServiceResponseError("the reply was lost")
        return response


@pytest.fixture
def forgetful(azurite: Azurite) -> tuple[TableJobs, ForgetfulTransport]:
    build(_settings(azurite))
    transport = ForgetfulTransport()
    tables = TableServiceClient.from_connection_string(
        azurite.connection_string, transport=transport, retry_backoff_factor=0
    )
    return TableJobs(tables), transport


def test_a_save_whose_reply_was_lost_succeeds(
    forgetful: tuple[TableJobs, ForgetfulTransport], owner: str
) -> None:
    jobs, transport = forgetful
    stored = jobs.insert(a_job(owner), None)
    assert isinstance(stored, StoredJob)
    transport.lose = True
    saved = jobs.save(stored, replace(stored.job, turn=7))
    assert not transport.lose
    assert jobs.get(owner, stored.job.id) == saved
    jobs.save(saved, replace(stored.job, turn=8))


def test_an_insert_whose_reply_was_lost_succeeds(
    forgetful: tuple[TableJobs, ForgetfulTransport], owner: str
) -> None:
    jobs, transport = forgetful
    for with_key in (False, True):
        job = a_job(owner)
        entry = IdempotencyEntry(owner, "hash", "request", job.id) if with_key else None
        transport.lose = True
        stored = jobs.insert(job, entry)
        assert isinstance(stored, StoredJob)
        assert not transport.lose
        assert jobs.get(owner, job.id) == stored


def test_a_lost_reply_is_told_from_a_lost_race(
    forgetful: tuple[TableJobs, ForgetfulTransport], owner: str
) -> None:
    jobs, transport = forgetful
    stored = jobs.insert(a_job(owner), None)
    assert isinstance(stored, StoredJob)
    jobs.save(stored, replace(stored.job, turn=7))
    transport.lose = True
    with pytest.raises(Conflict):
        jobs.save(stored, replace(stored.job, turn=8))


def test_storage_that_is_away_is_said_without_its_secrets(azurite: Azurite, owner: str) -> None:
    away = azurite.connection_string.replace(azurite.table_endpoint, "http://127.0.0.1:9/reelkeeplocal")
    jobs = TableJobs(TableServiceClient.from_connection_string(away, retry_total=0))
    with pytest.raises(StorageUnavailable) as caught:
        jobs.get(owner, "job_x")
    assert "could not be reached" in str(caught.value)
    assert azurite.account_key not in str(caught.value)


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
