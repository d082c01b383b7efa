"""What `make load` finds in storage in the end, held against the simulated video API's books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from tests.bench.stack import SimulatedApi
from video_jobs.domain.gate import Gate
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import FETCH_QUEUE, POLL_QUEUE
from video_jobs.storage.blobs import VIDEOS
from video_jobs.storage.connection import StorageServices
from video_jobs.storage.gates import TableGates
from video_jobs.storage.job_rows import from_row
from video_jobs.storage.jobs import JOBS_TABLE
from video_jobs.storage.live_jobs import LIVE_TABLE


class Ledger:
    """The calls that the video API has served. It keeps the latest only: read on while jobs run."""

    def __init__(self, api: SimulatedApi) -> None:
        self._api = api
        self._read = 0  # calls
        self.creates: Counter[int | None] = Counter()  #: by status
        self.made: list[str] = []  #: ids of jobs

    def read_on(self) -> None:
        told: dict[str, Any] = self._api.ledger()
        for call in told["calls"]:
            if call["n"] > self._read and call["operation"] == "create":
                self.creates[call["status"]] += 1
        if told["calls"]:
            self._read = told["calls"][-1]["n"]
        self.made = [job["id"] for job in told["jobs"]]


@dataclass(frozen=True)
class Outcome:
    jobs: dict[str, Job]
    blobs: set[str]
    gates: list[Gate]
    poisoned: int  #: messages

    @property
    def seconds(self) -> float:
        """From the first submit to the last end."""
        ends = [job.finished_at for job in self.jobs.values() if job.finished_at is not None]
        begins = [job.created_at for job in self.jobs.values()]
        return (max(ends) - min(begins)).total_seconds() if ends else 0.0


def still_alive(storage: StorageServices) -> int:
    rows = storage.tables.get_table_client(LIVE_TABLE).list_entities(select=["RowKey"])
    return sum(1 for _ in rows)


def read_outcome(storage: StorageServices) -> Outcome:
    rows = storage.tables.get_table_client(JOBS_TABLE).query_entities("RowKey ge 'job_' and RowKey lt 'job`'")
    jobs = [from_row(dict(row)) for row in rows]
    return Outcome(
        {job.id: job for job in jobs},
        set(storage.blobs.get_container_client(VIDEOS).list_blob_names()),
        TableGates(storage.tables).all(),
        sum(_messages(storage, f"{queue}-poison") for queue in (POLL_QUEUE, FETCH_QUEUE)),
    )


def broken_promises(accepted: Sequence[str], outcome: Outcome, ledger: Ledger) -> list[str]:
    """In words: what was lost, paid for twice, or sent beyond the gate's limit."""
    broken = [f"{job_id} was accepted and is not there" for job_id in {*accepted} - outcome.jobs.keys()]
    broken += [
        f"{job_id} is there, and nobody was told of it" for job_id in outcome.jobs.keys() - {*accepted}
    ]
    for job in outcome.jobs.values():
        if job.status is not Status.SUCCEEDED:
            broken.append(f"{job.id} is {job.status} ({job.error or job.reason})")
        elif any(f"{job.owner}/{job.id}/{output.index}.mp4" not in outcome.blobs for output in job.outputs):
            broken.append(f"{job.id} has succeeded, and its video is not there")
    holders = Counter(job.backend_job_id for job in outcome.jobs.values())
    broken += [f"{made} is the video of {times} jobs" for made, times in holders.items() if times > 1]
    broken += [f"{made} was paid for, and no job has it" for made in ledger.made if made not in holders]
    if beyond := ledger.creates[429]:
        broken.append(f"{beyond} creates went beyond the gate's limit")
    broken += [f"{slot.job_id} still holds a slot" for gate in outcome.gates for slot in gate.slots]
    if outcome.poisoned:
        broken.append(f"{outcome.poisoned} messages were poisoned")
    return broken


def _messages(storage: StorageServices, queue: str) -> int:
    try:
        return storage.queues.get_queue_client(queue).get_queue_properties().approximate_message_count or 0
    except ResourceNotFoundError:
        return 0  # it was never needed
