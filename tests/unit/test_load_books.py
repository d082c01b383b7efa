"""What `make load` calls a broken promise."""

from dataclasses import replace
from typing import Any

import pytest

from tests.bench.load_books import Ledger, Outcome, broken_promises
from tests.unit.jobs import NOW, a_job_in
from video_jobs.domain.gate import Gate, Slot
from video_jobs.domain.job import Job, Status


def done(number: int) -> Job:
    job = a_job_in(Status.SUCCEEDED, id=f"job_{number}", backend_job_id=f"made_{number}")
    return replace(job, finished_at=NOW)


JOBS = {job.id: job for job in (done(1), done(2))}
BLOBS = {f"{job.owner}/{job.id}/{output.index}.mp4" for job in JOBS.values() for output in job.outputs}
RIGHT = Outcome(JOBS, BLOBS, [Gate("default")], 0)


def ledger(*made: str, beyond: int = 0) -> Any:
    books = Ledger(None)  # type: ignore[arg-type]
    books.made = [*made]
    books.creates[429] = beyond
    return books


def test_nothing_is_broken_where_every_job_has_its_own_video():
    assert broken_promises([*JOBS], RIGHT, ledger("made_1", "made_2")) == []


@pytest.mark.parametrize(
    ("accepted", "outcome", "books", "said"),
    [
        (
            ["job_1", "job_2", "job_3"],
            RIGHT,
            ledger("made_1", "made_2"),
            "job_3 was accepted and is not there",
        ),
        (["job_1"], RIGHT, ledger("made_1", "made_2"), "nobody was told"),
        ([*JOBS], replace(RIGHT, blobs=set()), ledger("made_1", "made_2"), "its video is not there"),
        ([*JOBS], RIGHT, ledger("made_1", "made_2", "made_3"), "made_3 was paid for, and no job has it"),
        ([*JOBS], RIGHT, ledger("made_1", "made_2", beyond=2), "2 creates went beyond"),
        (
            [*JOBS],
            replace(RIGHT, jobs=JOBS | {"job_2": replace(done(2), backend_job_id="made_1")}),
            ledger("made_1"),
            "the video of 2 jobs",
        ),
        (
            [*JOBS],
            replace(RIGHT, gates=[Gate("default", slots=(Slot("job_1", "default", NOW),))]),
            ledger("made_1", "made_2"),
            "still holds a slot",
        ),
        ([*JOBS], replace(RIGHT, poisoned=1), ledger("made_1", "made_2"), "poisoned"),
    ],
)
def test_what_was_lost_paid_twice_or_sent_beyond_the_limit_is_told(
    accepted: list[str], outcome: Outcome, books: Ledger, said: str
):
    assert said in "; ".join(broken_promises(accepted, outcome, books))
