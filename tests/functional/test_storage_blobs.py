"""What the store of videos and images promises: the real one on Azurite and its in-memory twin alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests

from local.azurite_process import Azurite
from tests.functional.storage_adapters import Storage, on_azurite, settings_for
from video_jobs.domain.errors import InputMissing
from video_jobs.domain.job import InputImage
from video_jobs.ports import VideoKey
from video_jobs.storage.blobs import INPUTS, VIDEOS
from video_jobs.storage.connection import StorageServices
from video_jobs.storage.memory import MemoryBlobs
from video_jobs.wiring import build, utc_now


def chunks(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


def test_a_video_is_committed_whole_with_what_is_known_at_its_end(storage: Storage, owner: str) -> None:
    key, known = VideoKey(owner, "job_x", 0), {}

    def pieces() -> Iterator[bytes]:
        for number in range(9):
            yield bytes([number]) * 1000
        known["sha256"] = "abc"

    assert storage.blobs.put_video(key, pieces(), lambda: known)
    found = storage.blobs.find_video(key)
    assert found is not None
    assert (found.length, found.metadata) == (9000, {"sha256": "abc"})


def test_nothing_is_committed_when_the_bytes_break_off(storage: Storage, owner: str) -> None:
    key = VideoKey(owner, "job_x", 0)

    def broken() -> Iterator[bytes]:
        yield b"x" * 1000
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        storage.blobs.put_video(key, broken(), dict)
    assert storage.blobs.find_video(key) is None


def test_the_first_video_stays(storage: Storage, owner: str) -> None:
    key = VideoKey(owner, "job_x", 0)
    assert storage.blobs.put_video(key, chunks(b"first"), lambda: {"n": "1"})
    assert not storage.blobs.put_video(key, chunks(b"second!"), lambda: {"n": "2"})
    found = storage.blobs.find_video(key)
    assert found is not None
    assert (found.length, found.metadata["n"]) == (5, "1")


def test_of_two_transfers_at_once_one_is_stored_and_the_other_knows(storage: Storage, owner: str) -> None:
    key, barrier = VideoKey(owner, "job_x", 0), threading.Barrier(2)

    def transfer(letter: bytes) -> bool:
        def pieces() -> Iterator[bytes]:
            yield letter * 1000
            barrier.wait()  # both have staged before either commits
            yield letter * 1000

        return storage.blobs.put_video(key, pieces(), lambda: {"by": letter.decode()})

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(transfer, [b"a", b"b"])) == [False, True]
    found = storage.blobs.find_video(key)
    assert found is not None
    assert found.length == 2000


def test_an_input_image_comes_back_and_goes(storage: Storage, owner: str) -> None:
    image = InputImage("image/png", 3, "aa", 1, 1)
    storage.blobs.put_input(owner, "job_x", image, b"png")
    assert content_of(storage, owner, "job_x") == b"png"
    storage.blobs.put_input(owner, "job_x", image, b"last", 1)
    storage.blobs.put_input(owner, "job_xy", image, b"another's", 1)
    assert content_of(storage, owner, "job_x", 1) == b"last"
    storage.blobs.delete_input(owner, "job_x")
    storage.blobs.delete_input(owner, "job_x")
    assert content_of(storage, owner, "job_xy", 1) == b"another's"
    with pytest.raises(InputMissing):
        storage.blobs.get_input(owner, "job_x", 1)


@pytest.mark.parametrize("size", [(4 << 20) - 1, 4 << 20, (4 << 20) + 1, 8 << 20])
def test_an_image_of_any_size_comes_back_whole(storage: Storage, owner: str, size: int) -> None:
    content = bytes(range(251)) * (size // 251) + bytes(size % 251)
    image = InputImage("image/png", size, "", 1, 1)
    storage.blobs.put_input(owner, "job_large", image, content, 2)
    assert content_of(storage, owner, "job_large", 2) == content


def content_of(storage: Storage, owner: str, job_id: str, number: int = 0) -> bytes:
    with storage.blobs.get_input(owner, job_id, number) as file:
        return file.read()


def store_everything(storage: Storage, owner: str, job_id: str) -> None:
    for index in (0, 1, 10):
        storage.blobs.put_video(VideoKey(owner, job_id, index), chunks(b"video"), dict)
        storage.blobs.put_thumbnail(VideoKey(owner, job_id, index), "jpg", "image/jpeg", b"still")
    storage.blobs.put_summary(owner, job_id, b"{}")
    storage.blobs.put_input(owner, job_id, InputImage("image/png", 3, "aa", 1, 1), b"png")


def names(storage: Storage, services: StorageServices, owner: str) -> set[str]:
    """Of all blobs that lie there for the owner and those whose names begin alike."""
    if isinstance(storage.blobs, MemoryBlobs):
        found = [*(f"videos/{name}" for name in storage.blobs.videos)]
        found += [f"inputs/{name}" for name in storage.blobs.inputs]
    else:
        found = [
            f"{container}/{name}"
            for container in (VIDEOS, INPUTS)
            for name in services.blobs.get_container_client(container).list_blob_names()
        ]
    return {name for name in found if name.partition("/")[2].startswith(owner)}


def test_a_deleted_jobs_blobs_are_all_gone_and_other_jobs_stay(
    storage: Storage, real_services: StorageServices, owner: str
) -> None:
    others = [(owner, "job_"), (owner, "job_xy"), (f"{owner}y", "job_x"), (owner, "ajob_x")]
    for key in others:
        store_everything(storage, *key)
    before = names(storage, real_services, owner)
    assert len(before) == len(others) * 8
    store_everything(storage, owner, "job_x")
    assert len(names(storage, real_services, owner)) == len(before) + 8
    for _ in range(2):
        storage.blobs.delete_job(owner, "job_x")
        assert names(storage, real_services, owner) == before


def test_a_jobs_blobs_may_be_deleted_by_two_at_once(
    storage: Storage, real_services: StorageServices, owner: str
) -> None:
    for _ in range(3):
        store_everything(storage, owner, "job_x")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: storage.blobs.delete_job(owner, "job_x"), range(4)))
        assert names(storage, real_services, owner) == set()


def test_a_video_with_a_snapshot_is_deleted_too(
    azurite: Azurite, real_services: StorageServices, owner: str
) -> None:
    storage = on_azurite(azurite)
    store_everything(storage, owner, "job_x")
    real_services.blobs.get_blob_client(VIDEOS, f"{owner}/job_x/0.mp4").create_snapshot()
    storage.blobs.delete_job(owner, "job_x")
    assert names(storage, real_services, owner) == set()


def test_a_signed_url_reads_its_blob_for_an_hour_and_nothing_else(azurite: Azurite, owner: str) -> None:
    blobs = build(settings_for(azurite)).blobs
    key, other = VideoKey(owner, "job_x", 0), VideoKey(owner, "job_x", 1)
    for where in (key, other):
        blobs.put_video(where, chunks(b"the bytes"), dict)
    signed = blobs.sign_video(key)
    answer = requests.get(signed.url, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"the bytes")
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == 'inline; filename="job_x-0.mp4"'
    saved = requests.get(blobs.sign_download(key, "a-boat-x.mp4").url, timeout=10)
    assert saved.headers["content-disposition"] == 'attachment; filename="a-boat-x.mp4"'
    assert timedelta(minutes=59) < signed.expires_at - utc_now() <= timedelta(minutes=75)
    assert requests.get(signed.url.replace("/0.mp4", "/1.mp4"), timeout=10).status_code == 403
    assert (
        requests.put(signed.url, data=b"x", headers={"x-ms-blob-type": "BlockBlob"}, timeout=10).status_code
        == 403
    )
    long_ago = build(settings_for(azurite), clock=lambda: utc_now() - timedelta(minutes=76)).blobs
    assert requests.get(long_ago.sign_video(key).url, timeout=10).status_code == 403
