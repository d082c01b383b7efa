"""The in-memory twin of the storage adapters, for tests without a server; held to the same tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from video_jobs.errors import Conflict, InputMissing, JobNotFound
from video_jobs.estimate import Estimate, Kind
from video_jobs.gate import Gate
from video_jobs.job import InputImage, Job, Status
from video_jobs.messages import (
    FETCH_QUEUE,
    NOTIFY_QUEUE,
    POLL_QUEUE,
    FetchMessage,
    NotifyMessage,
    PollMessage,
)
from video_jobs.ports import (
    Allowance,
    BlobFacts,
    Claim,
    IdempotencyEntry,
    JobPage,
    LiveJob,
    SignedUrl,
    StoredEstimate,
    StoredGate,
    StoredJob,
    StoredQuota,
    VideoPlace,
)
from video_jobs.quota import Quota
from video_jobs.storage.blobs import missing_input, thumbnail_name, video_name
from video_jobs.storage.signing import good_until


class MemoryJobs:
    """See `ports.JobStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, str], StoredJob] = {}
        self._entries: dict[tuple[str, str], IdempotencyEntry] = {}
        self._quotas: dict[str, StoredQuota] = {}
        self._writes = 0

    def insert(
        self, job: Job, entry: IdempotencyEntry | None, allowance: Allowance | None = None
    ) -> StoredJob | IdempotencyEntry:
        with self._lock:
            if entry is not None and (winner := self._entries.get((entry.owner, entry.key_hash))) is not None:
                return winner
            if allowance is not None:
                self._write_quota(allowance.read, allowance.quota)
            if entry is not None:
                self._entries[entry.owner, entry.key_hash] = entry
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

    def delete(self, stored: StoredJob) -> None:
        key = (stored.job.owner, stored.job.id)
        with self._lock:
            current = self._jobs.get(key)
            if current is None:
                return
            if current.etag != stored.etag:
                raise Conflict(f"{stored.job.id} was changed by somebody else")
            del self._jobs[key]

    def find_entry(self, owner: str, key_hash: str) -> IdempotencyEntry | None:
        with self._lock:
            return self._entries.get((owner, key_hash))

    def quota(self, owner: str) -> StoredQuota:
        with self._lock:
            return self._quotas.get(owner) or StoredQuota(owner, Quota(), None)

    def save_quota(self, stored: StoredQuota, quota: Quota) -> None:
        with self._lock:
            self._write_quota(stored, quota)

    def page(self, owner: str, *, limit: int, after: str | None, statuses: frozenset[Status]) -> JobPage:
        with self._lock:
            found = [
                stored.job
                for (whose, job_id), stored in sorted(self._jobs.items())
                if whose == owner
                and job_id > (after or "")
                and (not statuses or stored.job.status in statuses)
                and stored.job.deleted_at is None
            ]
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    def page_oldest_first(self, owner: str, *, limit: int, after: str | None) -> JobPage:
        with self._lock:
            found = [
                stored.job
                for (whose, job_id), stored in sorted(self._jobs.items(), reverse=True)
                if whose == owner and (after is None or job_id < after) and stored.job.deleted_at is None
            ]
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    def ended_before(self, moment: datetime, limit: int) -> list[StoredJob]:
        with self._lock:
            stored = [self._jobs[key] for key in sorted(self._jobs)]
        return [one for one in stored if _ended_before(one.job, moment)][:limit]

    def ping(self) -> None:
        pass

    def everything(self) -> list[StoredJob]:
        """Of every owner; for tests that look at what is left."""
        with self._lock:
            return list(self._jobs.values())

    def _write_quota(self, read: StoredQuota, quota: Quota) -> None:
        current = self._quotas.get(read.owner)
        if (current.etag if current else None) != read.etag:
            raise Conflict(f"The quota of {read.owner} was changed by somebody else")
        self._writes += 1
        self._quotas[read.owner] = StoredQuota(read.owner, quota, str(self._writes))

    def _write(self, job: Job) -> StoredJob:
        self._writes += 1
        self._jobs[job.owner, job.id] = stored = StoredJob(job, str(self._writes))
        return stored


def _ended_before(job: Job, moment: datetime) -> bool:
    ended = job.is_terminal and job.deleted_at is None
    return ended and job.finished_at is not None and job.finished_at < moment


class MemoryLiveJobs:
    """See `ports.LiveJobs`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.rows: dict[tuple[str, str], LiveJob] = {}

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Backend and key of each."""
        with self._lock:
            return set(self.rows)

    def add(self, live: LiveJob) -> None:
        with self._lock:
            self.rows[live.backend, live.key] = live

    def remove(self, live: LiveJob) -> None:
        with self._lock:
            self.rows.pop((live.backend, live.key), None)

    def all(self) -> Iterator[LiveJob]:
        with self._lock:
            return iter([self.rows[key] for key in sorted(self.rows)])

    def line(self, backend: str, most: int) -> list[LiveJob]:
        return [live for live in self.all() if live.backend == backend and live.waiting][:most]

    def ahead_of(self, live: LiveJob, most: int) -> int:
        earlier = [other for other in self.all() if other.backend == live.backend and other.key < live.key]
        return min(sum(other.waiting for other in earlier), most)


class MemoryClaims:
    """See `ports.Claims`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.claims: dict[tuple[str, str], Claim] = {}

    def claim(self, claim: Claim) -> Claim:
        with self._lock:
            return self.claims.setdefault((claim.base_url, claim.backend_job_id), claim)

    def find(self, base_url: str, backend_job_id: str) -> Claim | None:
        with self._lock:
            return self.claims.get((base_url, backend_job_id))

    def of_job(self, job_id: str) -> list[Claim]:
        with self._lock:
            return [claim for claim in self.claims.values() if claim.job_id == job_id]

    def hand_over(self, claim: Claim, from_job_id: str) -> Claim:
        key = (claim.base_url, claim.backend_job_id)
        with self._lock:
            holder = self.claims.get(key)
            if holder is None or (holder.job_id, holder.owner) == (from_job_id, claim.owner):
                self.claims[key] = claim
            return self.claims[key]

    def release(self, claim: Claim) -> None:
        key = (claim.base_url, claim.backend_job_id)
        with self._lock:
            if key in self.claims and self.claims[key].job_id == claim.job_id:
                del self.claims[key]


class MemoryGates:
    """See `ports.Gates`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = 0
        self._etags: dict[str, str] = {}
        self.gates: dict[str, Gate] = {}

    def get(self, backend: str) -> StoredGate:
        with self._lock:
            return StoredGate(self.gates.get(backend, Gate(backend)), self._etags.get(backend))

    def save(self, stored: StoredGate, gate: Gate) -> StoredGate:
        with self._lock:
            if self._etags.get(gate.backend) != stored.etag:
                raise Conflict(f"the gate of {gate.backend} was changed by somebody else")
            self._writes += 1
            self.gates[gate.backend] = gate
            self._etags[gate.backend] = str(self._writes)
            return StoredGate(gate, self._etags[gate.backend])

    def all(self) -> list[Gate]:
        with self._lock:
            return [self.gates[backend] for backend in sorted(self.gates)]


class MemoryEstimates:
    """See `ports.Estimates`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = 0
        self._estimates: dict[Kind, StoredEstimate] = {}

    def get(self, kind: Kind) -> StoredEstimate:
        with self._lock:
            return self._estimates.get(kind, StoredEstimate(Estimate(kind), None))

    def save(self, stored: StoredEstimate, estimate: Estimate) -> StoredEstimate:
        with self._lock:
            current = self._estimates.get(estimate.kind)
            if (current and current.etag) != stored.etag:
                raise Conflict("the estimate was changed by somebody else")
            self._writes += 1
            self._estimates[estimate.kind] = StoredEstimate(estimate, str(self._writes))
            return self._estimates[estimate.kind]

    def of_backend(self, backend: str, most: int) -> list[Estimate]:
        with self._lock:
            found = [one.estimate for kind, one in self._estimates.items() if kind.backend == backend]
        return found[:most]


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

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(NOTIFY_QUEUE, message.encode(), self._clock() + delay))

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
        if f"{owner}/{job_id}" not in self.inputs:
            raise InputMissing(missing_input(job_id))
        return self.inputs[f"{owner}/{job_id}"]

    def delete_input(self, owner: str, job_id: str) -> None:
        self.inputs.pop(f"{owner}/{job_id}", None)

    def delete_job(self, owner: str, job_id: str) -> None:
        with self._lock:
            for name in [name for name in self.videos if name.startswith(f"{owner}/{job_id}/")]:
                del self.videos[name]
        self.delete_input(owner, job_id)

    def sign_video(self, place: VideoPlace) -> SignedUrl:
        return SignedUrl(f"memory:{video_name(place)}", good_until(self._clock()))

    def sign_download(self, place: VideoPlace) -> SignedUrl:
        return SignedUrl(f"memory:{video_name(place)}?download", good_until(self._clock()))

    def sign_thumbnail(self, place: VideoPlace, ending: str) -> SignedUrl:
        return SignedUrl(f"memory:{thumbnail_name(place, ending)}", good_until(self._clock()))

    def ping(self) -> None:
        pass
