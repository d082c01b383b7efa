"""Jobs to start a test from."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.chain import Chain
from video_jobs.domain.job import BackendRef, Job, JobError, Output, Status, StoredVideo, VideoRequest
from video_jobs.domain.job_parts import Submission

NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
DAY = timedelta(days=1)

JOB_ID = "job_0123456789abcdefghjkmnpqrs"
BACKEND_JOB_ID = "task_01"
REQUEST = VideoRequest("a paper boat on a rainy street", 1280, 720, 5, variants=2)
BACKEND = BackendRef("default", "azure-sora", "https://example.test/openai/v1/video/generations", "sora")
VIDEO = StoredVideo(length=1000, sha256="ab" * 32, width=1280, height=720, duration_ms=5000)
ATTEMPT = "attempt-1"


def a_job(**changes: Any) -> Job:
    """A job that was just accepted. An expiry is one that the backend told, unless that is changed too."""
    job = Job(
        id=JOB_ID,
        owner="default",
        created_at=NOW,
        updated_at=NOW,
        request=REQUEST,
        backend=BACKEND,
    )
    return replace(job, **({"told_expires_at": changes.get("expires_at")} | changes))


def a_job_in(status: Status, **changes: Any) -> Job:
    """A job that has everything but its status in common with those in the other statuses.

    So what a transition says to it is about the status alone.
    """
    known: dict[str, Any] = {
        "status": status,
        "submission": Submission(
            ATTEMPT if status is Status.SUBMITTING else "attempt-0", submitting_since=NOW, submitted_at=NOW
        ),
        "backend_job_id": BACKEND_JOB_ID,
        "expires_at": NOW + DAY,
        "outputs": (Output(0, "gen_0", Chain(due_at=NOW)), Output(1, "gen_1", Chain(due_at=NOW))),
        "finished_at": NOW if status.is_terminal else None,
        "error": JobError("generation_failed", "It failed.") if status is Status.FAILED else None,
    }
    return a_job(**(known | changes))


def a_poll(state: BackendState, **changes: Any) -> BackendJob:
    """What the video API told of the job that `a_job_in` has there."""
    return BackendJob(id=BACKEND_JOB_ID, state=state, status=state.value)._replace(**changes)
