"""What lies in storage, read as it is, beside what the simulated API has made: do they agree?"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from azure.core.exceptions import AzureError
from azure.data.tables import TableServiceClient

from tests.faults.soak_clients import Client
from tests.faults.soak_machine import SoakMachine
from video_jobs.domain.gate import Gate
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import FETCH_QUEUE, NOTIFY_QUEUE, POLL_QUEUE
from video_jobs.lifecycle.idempotency import key_of
from video_jobs.storage.blobs import VIDEOS
from video_jobs.storage.claims import CLAIMS_TABLE
from video_jobs.storage.connection import StorageServices, connect
from video_jobs.storage.gates import TableGates
from video_jobs.storage.job_rows import from_row
from video_jobs.storage.jobs import JOBS_TABLE
from video_jobs.storage.live_jobs import LIVE_TABLE
from video_jobs.storage.quota_rows import QUOTA_KEY, from_quota_row
from video_jobs.views.job_view import event_id

OWNER = "default"


@dataclass(frozen=True)
class Rows:
    """What the tables hold at one moment."""

    jobs: dict[str, Job]
    entries: dict[str, str]  #: hash of an idempotency key → job id
    live: list[str]  #: job ids
    claims: dict[str, str]  #: backend job id → job id
    gates: list[Gate]
    places: list[str]  #: ids of the jobs that count as alive for their owner

    @classmethod
    def read(cls, storage: StorageServices) -> Rows:
        """Raises AzureError or ReelkeepError while the storage is away."""
        rows = _all(storage.tables, JOBS_TABLE)
        return cls(
            jobs={row["RowKey"]: from_row(row) for row in rows if row["RowKey"].startswith("job_")},
            entries={
                row["RowKey"].removeprefix("key_"): row["job_id"]
                for row in rows
                if row["RowKey"].startswith("key_")
            },
            live=[row["job_id"] for row in _all(storage.tables, LIVE_TABLE)],
            claims={
                row["backend_job_id"]: row["job_id"]
                for row in _all(storage.tables, CLAIMS_TABLE)
                if "job_id" in row  # the others are notes of what a job claims
            },
            gates=TableGates(storage.tables).all(),
            places=[
                job_id for row in rows if row["RowKey"] == QUOTA_KEY for job_id in from_quota_row(row).alive
            ],
        )

    def unfinished(self) -> list[str]:
        """In words, what still goes on, but for tombstones that only wait until no download can be under way."""
        words = []
        for job in self.jobs.values():
            if job.deleted_at is not None:
                # Its status stays what it was: a tombstone's is nobody's business any more.
                if not job.backend_job_gone:
                    words.append(f"{job.id} is deleted, and the video API has not let go of its job")
            elif not job.is_terminal:
                words.append(f"{job.id} is {job.status} ({job.reason or 'no reason is given'})")
        words += [
            f"{job_id} is over, and has a live row"
            for job_id in self.live
            if job_id in self.jobs and self.jobs[job_id].is_over
        ]
        words += [f"{job_id} takes one of its owner's places" for job_id in self.places]
        for gate in self.gates:
            words += [f"{slot.job_id} holds a slot at {gate.backend}" for slot in gate.slots]
            if gate.contended:
                words.append(f"the gate to {gate.backend} says that others wait")
        return words

    @property
    def orphans(self) -> list[str]:
        """Live rows whose job never came to be: the client was not answered, and asked again."""
        return [job_id for job_id in self.live if job_id not in self.jobs]

    @property
    def tombstones(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.deleted_at is not None]


@dataclass(frozen=True)
class Made:
    """A job at the simulated API, as its ledger has it."""

    id: str
    dialect: str
    prompt: str
    deleted: bool


@dataclass(frozen=True)
class Content:
    length: int  #: bytes
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Content:
        return cls(len(content), hashlib.sha256(content).hexdigest())


@dataclass
class Verdict:
    """Broken promises in words, and the jobs that they are about."""

    lost: list[str] = field(default_factory=list)
    paid_twice: list[str] = field(default_factory=list)
    not_had: list[str] = field(default_factory=list)  #: paid for, and no job has it
    unfinished: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)  #: ends that the webhook was not told as promised
    other: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        return [
            *self.lost,
            *self.paid_twice,
            *self.not_had,
            *self.unfinished,
            *self.untold,
            *self.other,
        ]


class Books:
    """Reads everything once, when nothing moves any more."""

    def __init__(self, machine: SoakMachine, clients: Sequence[Client]) -> None:
        self._machine = machine
        self.clients = clients
        self._storage = connect(machine.settings.storage)
        self.rows = Rows.read(self._storage)
        machine.simulator("DELETE", "faults")
        self.ledger = machine.simulator("GET", "ledger")
        self.made = [
            Made(entry["id"], entry["dialect"], entry["prompt"], entry["deleted"])
            for entry in self.ledger["jobs"]
        ]
        self.blobs = self._read_blobs()
        self.messages = {name: self._count_messages(name) for name in _queues()}
        self.verdict = Verdict()
        self._judge()

    @property
    def unconfirmed(self) -> list[Job]:
        return [job for job in self.rows.jobs.values() if _is_unconfirmed(job)]

    def events(self) -> Counter[str]:
        """What happened to the jobs, how often."""
        return Counter(
            {
                what: sum(
                    event.times
                    for job in self.rows.jobs.values()
                    for event in job.history
                    if event.what == what
                )
                for what in {event.what for job in self.rows.jobs.values() for event in job.history}
            }
        )

    def _judge(self) -> None:
        self._find_lost()
        self._find_paid_twice()
        self.verdict.unfinished += self.rows.unfinished()
        if self._machine.shortened:
            self.verdict.unfinished += [
                f"{job.id} is deleted and still there" for job in self.rows.tombstones
            ]
        for job in self.rows.jobs.values():
            self._check_videos(job)
            self._check_what_was_told(job)
        self.verdict.untold += [f"the receiver refused: {words}" for words in self._machine.receiver.refused]
        self._check_what_is_gone()
        for client in self.clients:
            self.verdict.other += [f"client {client.plan.number}: {problem}" for problem in client.problems]

    # --- no job is lost ---

    def _find_lost(self) -> None:
        for client in self.clients:
            if client.job_id is None:
                self.verdict.lost.append(f"client {client.plan.number} never got an answer")
                continue
            entered = self.rows.entries.get(key_of(client.plan.key))
            if entered != client.job_id:
                self.verdict.lost.append(
                    f"the key of client {client.plan.number} stands for {entered}, and it was answered {client.job_id}"
                )
            for job_id in client.job_ids:
                gone = client.delete_asked and job_id == client.job_id
                if job_id not in self.rows.jobs and not gone:
                    self.verdict.lost.append(f"{job_id} of client {client.plan.number} is gone")
        known = {job_id for client in self.clients for job_id in client.job_ids}
        self.verdict.lost += [
            f"{job.id} is there, and nobody was told of it"
            for job in self.rows.jobs.values()
            if job.id not in known
        ]

    # --- nothing is paid for twice, nor for nothing ---

    def _find_paid_twice(self) -> None:
        twice = self.verdict.paid_twice
        holders = defaultdict(list)
        for job in self.rows.jobs.values():
            if job.backend_job_id is not None:
                holders[job.backend_job_id].append(job)
        for backend_job_id, jobs in holders.items():
            last = [job for job in jobs if job.retried_as not in {other.id for other in jobs}]
            if len(last) > 1:
                twice.append(f"{backend_job_id} is the video of {', '.join(job.id for job in last)}")
            if self.rows.claims.get(backend_job_id) not in {job.id for job in last}:
                self.verdict.other.append(
                    f"{backend_job_id} of {last[0].id} is claimed by {self.rows.claims.get(backend_job_id)}"
                )
        for prompt, times in Counter(made.prompt for made in self.made).items():
            asked = self._jobs_that_asked(prompt)
            if times > asked:
                twice.append(f"'{prompt}' was asked for by {asked} jobs and made {times} times")
        for made in self.made:
            if made.id in holders:
                continue
            if not self._was_deleted(made):
                self._judge_nobodys(made)
            elif not made.deleted:
                self.verdict.other.append(
                    f"{made.id} ('{made.prompt}') is still there, and its job is deleted"
                )

    def _jobs_that_asked(self, prompt: str) -> int:
        clients = [client for client in self.clients if client.plan.prompt == prompt]
        return sum(client.job_id is not None for client in clients) + sum(
            client.retry_id is not None for client in clients
        )

    def _was_deleted(self, made: Made) -> bool:
        """Whether the job that had it may be gone, as its client wanted."""
        return any(
            client.delete_asked and client.job_id not in self.rows.jobs and client.plan.prompt == made.prompt
            for client in self.clients
        )

    def _judge_nobodys(self, made: Made) -> None:
        """Paid for, and no job has it. It must at least be named to whoever asked for it."""
        named_by = [job.id for job in self.unconfirmed if job.error and made.id in job.error.candidates]
        told = f"it is named by {', '.join(named_by)}" if named_by else "no job names it"
        self.verdict.not_had.append(f"{made.id} ('{made.prompt}') was paid for, and nobody has it; {told}")

    # --- the videos are there ---

    def _check_videos(self, job: Job) -> None:
        other = self.verdict.other
        if job.deleted_at is not None:
            return
        for output in job.outputs:
            place = f"{job.owner}/{job.id}/{output.index}.mp4"
            found = self.blobs.get(place)
            if output.stored is None:
                other += [f"{place} is there, and its row doesn't know"] if found is not None else []
                continue
            generated = Content.of(self._machine.generated(job.backend.dialect, output.generation_id))
            if found is None:
                self.verdict.lost.append(f"{place} is stored, says its row, and is not there")
            elif found != generated:
                other.append(f"{place} is {found}, and {generated} was generated")
            elif found != Content(output.stored.length, output.stored.sha256):
                other.append(f"{place} is not what its row says")
        if job.status is Status.SUCCEEDED:
            if len(job.outputs) != job.request.variants or any(
                output.stored is None for output in job.outputs
            ):
                self.verdict.lost.append(f"{job.id} succeeded without all of its videos")
            if f"{job.owner}/{job.id}/job.json" not in self.blobs:
                other.append(f"{job.id} has no job.json")
        if job.status is Status.CANCELLED and job.backend_job_id is not None and job.retried_as is None:
            other += [
                f"{job.id} is cancelled, and the video API goes on with {made.id}"
                for made in self.made
                if made.id == job.backend_job_id and not made.deleted
            ]

    def _check_what_was_told(self, job: Job) -> None:
        """Its end, at least once, under one id, and nothing else."""
        told = set(self._machine.receiver.told.get(job.id, ()))
        if job.deleted_at is None and job.is_terminal and not told:
            self.verdict.untold.append(f"the end of {job.id} ({job.status}) was never told")
        strange = told - {(event_id(job), f"job.{job.status}")}
        if strange and job.deleted_at is None:
            self.verdict.untold.append(f"of {job.id}, which is {job.status}, was told: {sorted(strange)}")

    def _check_what_is_gone(self) -> None:
        # A tombstone's may be there: the last download is deleted when the time for it is over.
        self.verdict.other += [
            f"the blob {name} belongs to no job"
            for name in self.blobs
            if name.split("/")[1] not in self.rows.jobs
        ]
        self.verdict.other += [
            f"{backend_job_id} is claimed by {job_id}, which is not there"
            for backend_job_id, job_id in self.rows.claims.items()
            if job_id not in self.rows.jobs
        ]
        self.verdict.other += [
            f"{count} messages lie in {name}"
            for name, count in self.messages.items()
            if count and name.endswith("-poison")
        ]

    # --- reading ---

    def _read_blobs(self) -> dict[str, Content]:
        container = self._storage.blobs.get_container_client(VIDEOS)
        return {
            name: Content.of(container.download_blob(name).readall()) for name in container.list_blob_names()
        }

    def _count_messages(self, queue: str) -> int:
        """Those that are not visible yet, too."""
        client = self._storage.queues.get_queue_client(queue)
        try:
            return client.get_queue_properties().approximate_message_count or 0
        except AzureError:
            return 0  # it was never needed


def _queues() -> list[str]:
    return [name + ending for name in (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE) for ending in ("", "-poison")]


def _is_unconfirmed(job: Job) -> bool:
    return job.error is not None and job.error.code == "submission_unconfirmed"


def _all(tables: TableServiceClient, name: str) -> list[dict[str, Any]]:
    return [dict(row) for row in tables.get_table_client(name).list_entities()]
