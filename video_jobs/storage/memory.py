"""The in-memory twin of the storage adapters, for tests without a server; held to the same tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from video_jobs.errors import Conflict, JobNotFound
from video_jobs.job import InputImage, Job, Status
from video_jobs.messages import FETCH_QUEUE, POLL_QUEUE, FetchMessage, PollMessage
from video_jobs.ports import BlobFacts, IdempotencyEntry, JobPage, SignedUrl, StoredJob, VideoPlace
from video_jobs.storage.blobs import thumbnail_name, video_name


class MemoryJobs:
    """See `ports.JobStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, str], StoredJob] = {}
        self._entries: dict[tuple[str, str], IdempotencyEntry] = {}
        self._writes = 0

    def insert(self, job: Job, entry: IdempotencyEntry | None) -> StoredJob | IdempotencyEntry:
        with self._lock:
            if entry is not None:
                winner = self._entries.setdefault((entry.owner, entry.key_hash), entry)
                if winner is not entry:
                    return winner
            return self._write(job)

    def get(self, owner: str, job_id: str) -> StoredJob:
        with self._lock:
            if (owner, job_id) not in self._jobs:
                raise JobNotFound(job_id)
            return self._jobs[owner, job_id]

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        with self._lock:
            current = self._jobs.get((job.owner, job.id))
            if current is None:
                raise JobNotFound(job.id)
            if current.etag != stored.etag:
                raise Conflict(f"{job.id} was changed by somebody else")
            return self._write(job)

    def find_entry(self, owner: str, key_hash: str) -> IdempotencyEntry | None:
        with self._lock:
            return self._entries.get((owner, key_hash))

    def page(self, owner: str, *, limit: int, after: str | None, statuses: frozenset[Status]) -> JobPage:
        with self._lock:
            found = [
                stored.job
                for (whose, job_id), stored in sorted(self._jobs.items())
                if whose == owner
                and job_id > (after or "")
                and (not statuses or stored.job.status in statuses)
            ]
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    def ping(self) -> None:
        pass

    def _write(self, job: Job) -> StoredJob:
        self._writes += 1
        self._jobs[job.owner, job.id] = stored = StoredJob(job, str(self._writes))
        return stored


class MemoryLiveJobs:
    """See `ports.LiveJobs`."""

    def __init__(self) -> None:
        self.keys: set[tuple[str, str]] = set()

    def add(self, job: Job) -> None:
        self.keys.add((job.backend.name, job.live_key))

    def remove(self, job: Job) -> None:
        self.keys.discard((job.backend.name, job.live_key))


@dataclass(frozen=True)
class QueuedMessage:
    """What lies in a queue, and when it becomes visible."""

    queue: str
    text: str
    visible_at: datetime


class MemoryMessages:
    """See `ports.Messages`. Nobody delivers: tests take what they want from `queued`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.queued: list[QueuedMessage] = []

    def send_poll(self, message: PollMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(POLL_QUEUE, message.encode(), self._clock() + delay))

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(FETCH_QUEUE, message.encode(), self._clock() + delay))

    def ping(self) -> None:
        pass


@dataclass(frozen=True)
class MemoryBlob:
    content: bytes
    metadata: dict[str, str]


class MemoryBlobs:
    """See `ports.Blobs`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.videos: dict[str, MemoryBlob] = {}
        self.inputs: dict[str, bytes] = {}

    def put_video(
        self, place: VideoPlace, chunks: Iterator[bytes], metadata: Callable[[], Mapping[str, str]]
    ) -> bool:
        blob = MemoryBlob(b"".join(chunks), dict(metadata()))
        with self._lock:
            return self.videos.setdefault(video_name(place), blob) is blob

    def find_video(self, place: VideoPlace) -> BlobFacts | None:
        blob = self.videos.get(video_name(place))
        return BlobFacts(len(blob.content), dict(blob.metadata)) if blob else None

    def put_thumbnail(self, place: VideoPlace, ending: str, content_type: str, content: bytes) -> None:
        self.videos[thumbnail_name(place, ending)] = MemoryBlob(content, {})

    def put_summary(self, owner: str, job_id: str, content: bytes) -> None:
        self.videos[f"{owner}/{job_id}/job.json"] = MemoryBlob(content, {})

    def put_input(self, owner: str, job_id: str, image: InputImage, content: bytes) -> None:
        self.inputs[f"{owner}/{job_id}"] = content

    def get_input(self, owner: str, job_id: str) -> bytes:
        return self.inputs[f"{owner}/{job_id}"]

    def delete_input(self, owner: str, job_id: str) -> None:
        self.inputs.pop(f"{owner}/{job_id}", None)

    def sign_video(self, place: VideoPlace) -> SignedUrl:
        return SignedUrl(f"memory:{video_name(place)}", self._clock() + timedelta(hours=1))

    def sign_thumbnail(self, place: VideoPlace, ending: str) -> SignedUrl:
        return SignedUrl(f"memory:{thumbnail_name(place, ending)}", self._clock() + timedelta(hours=1))

    def ping(self) -> None:
        pass
