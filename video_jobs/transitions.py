"""How a job moves on: pure functions from one Job to the next, or TransitionRefused.

Storage reloads and applies them again when somebody else was faster, so each decides from the job that
it is given and from nothing that was read before.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from video_jobs.errors import TransitionRefused
from video_jobs.job import Job, JobError, Output, Status, StoredVideo
from video_jobs.ports import BackendJob, BackendState

LOST_JOB_GRACE = timedelta(minutes=5)
"""How long a backend may not know a job before we believe it."""

NO_OUTPUT_GRACE = timedelta(minutes=5)
"""How long a backend may say 'succeeded' without naming an output."""

MOST_OUTPUTS = 10
"""Videos of one job that are fetched; more than any model makes, and few enough for one row."""

UNSTARTED_OVERDUE = timedelta(minutes=2)
"""When nothing has been heard of an output's first fetch message, it is sent again: at worst, a download of
more than this is made twice beside itself."""

_MODERATION_WORDS = ("moderation", "content_policy", "responsibleai", "content_filter")


# --- the submission ------------------------------------------------------------------------------


def begin_submit(job: Job, now: datetime, attempt: str) -> Job:
    """waiting → submitting: to be stored before the paid call is made.

    Who gets this stored under its own `attempt` has the right to make the call, once. Found stored already,
    it was a save whose reply was lost.
    """
    if job.status is Status.SUBMITTING and job.attempt == attempt:
        return job
    _require(job, Status.WAITING)
    return job.evolve(
        now,
        status=Status.SUBMITTING,
        attempt=attempt,
        submitting_since=now,
        submit_after=None,
        reason=None,
    )


def put_back(job: Job, now: datetime, attempt: str, reason: str, submit_after: datetime) -> Job:
    """submitting → waiting: there is proof that this attempt created nothing."""
    if job.status is Status.WAITING and job.attempt == attempt:
        return job
    _require_attempt(job, attempt)
    return job.evolve(
        now, status=Status.WAITING, submitting_since=None, submit_after=submit_after, reason=reason
    )


def submission_failed(job: Job, now: datetime, attempt: str, error: JobError) -> Job:
    """submitting → failed: refused, or never to be known."""
    if job.status is Status.FAILED and job.attempt == attempt:
        return job
    _require_attempt(job, attempt)
    return failed(job, now, error)


def note_unknown_outcome(job: Job, now: datetime, attempt: str, reason: str) -> Job:
    """Say why the job stays `submitting`."""
    _require_attempt(job, attempt)
    return job.evolve(now, reason=reason)


def submitted(job: Job, now: datetime, backend_job: BackendJob, retention: timedelta) -> Job:
    """Keep the backend's id. No status refuses it: an id that is lost is a video that is lost."""
    if job.backend_job_id == backend_job.id:
        return job
    if job.backend_job_id is not None:
        raise TransitionRefused(f"{job.id} already has the backend job {job.backend_job_id}")
    created_at = backend_job.created_at or job.submitting_since or now
    known = job.evolve(
        now,
        backend_job_id=backend_job.id,
        backend_status=backend_job.status,
        backend_request_id=backend_job.request_id,
        submitted_at=now,
        expires_at=backend_job.expires_at or created_at + retention,
        reason=None,
    )
    if job.status in (Status.WAITING, Status.SUBMITTING):
        return replace(known, status=Status.QUEUED)
    return known


def failed(job: Job, now: datetime, error: JobError) -> Job:
    _refuse_terminal(job)
    return job.evolve(now, status=Status.FAILED, finished_at=now, error=error, reason=None)


# --- the polling ---------------------------------------------------------------------------------


def next_turn(job: Job, now: datetime, turn: int) -> Job:
    """The chain goes on with the message `turn`, which is already in the queue."""
    _refuse_terminal(job)
    if job.turn >= turn:
        raise TransitionRefused(f"{job.id} is at turn {job.turn} already")
    return job.evolve(now, turn=turn)


def looked(job: Job, now: datetime, backend_job: BackendJob) -> Job:
    """Apply what a look at the backend told, if the job is still the one that was looked at."""
    _require(job, Status.QUEUED, Status.RUNNING)
    if job.backend_job_id != backend_job.id:
        raise TransitionRefused(f"{job.id} is no longer the backend job {backend_job.id}")
    no_output_since = job.no_output_since or now
    job = job.evolve(
        now,
        backend_status=backend_job.status,
        backend_request_id=backend_job.request_id or job.backend_request_id,
        expires_at=backend_job.expires_at or job.expires_at,
        progress=_risen(job.progress, backend_job.progress),
        not_found_since=None,
        no_output_since=None,
        reason=None,
    )
    match backend_job.state:
        case BackendState.SUCCEEDED if backend_job.generation_ids:
            return _generated(job, now, backend_job.generation_ids)
        case BackendState.SUCCEEDED:
            return _without_output(job, now, no_output_since)
        case BackendState.FAILED:
            return failed(job, now, _generation_error(backend_job))
        case BackendState.CANCELLED:
            return job.evolve(now, status=Status.CANCELLED, finished_at=now)
    if job.expired_by(now):
        return _expired(job, now, "The video API did not finish it before its time was over.")
    if backend_job.state is BackendState.RUNNING:
        return replace(job, status=Status.RUNNING)
    return job


def look_failed(job: Job, now: datetime, reason: str) -> Job:
    """A look that told nothing of the job."""
    _require(job, Status.QUEUED, Status.RUNNING)
    if job.expired_by(now):
        return _expired(job, now, reason)
    return job.evolve(now, reason=reason)


def not_found(job: Job, now: datetime, listed: bool | None) -> Job:
    """The backend says that it does not know the job.

    `listed`: whether its own list disagrees; None where it was not asked, or could not tell.
    """
    _require(job, Status.QUEUED, Status.RUNNING)
    if job.expired_by(now):
        return _expired(job, now, "The video API has deleted the job.")
    if listed is False and is_missing_too_long(job, now):
        message = (
            f"The video API has not known its job {job.backend_job_id} for "
            f"{int(LOST_JOB_GRACE.total_seconds() // 60)} minutes. It may have restarted and forgotten it."
        )
        return failed(job, now, JobError(code="backend_lost_job", message=message))
    since = None if listed else job.not_found_since or now
    return job.evolve(now, not_found_since=since, reason="The video API does not know the job right now.")


def is_missing_too_long(job: Job, now: datetime) -> bool:
    """Whether the backend has not known the job for so long that its list is worth a call."""
    return job.not_found_since is not None and now - job.not_found_since >= LOST_JOB_GRACE


# --- the fetching --------------------------------------------------------------------------------


def output_stored(job: Job, now: datetime, which: Output, video: StoredVideo, thumbnail: str | None) -> Job:
    """One output lies in storage; with the last one the job ends.

    `which`, here and below, is the output as it was read: the transition is for it and for no other.
    """
    output = _open_output(job, which)
    kept = replace(output, stored=video, thumbnail=thumbnail, turn=output.turn + 1, due_at=None, problem=None)
    return _settle(_with_output(job, now, kept), now)


def output_delayed(
    job: Job,
    now: datetime,
    which: Output,
    problem: str,
    *,
    turn: int,
    due_at: datetime,
    suspect_sha256: str | None = None,
) -> Job:
    """One output could not be fetched; the message `turn`, visible from `due_at`, tries again."""
    output = _open_output(job, which)
    if output.turn >= turn:
        raise TransitionRefused(f"{job.id}/{output.index} is at turn {output.turn} already")
    delayed = replace(
        output,
        turn=turn,
        due_at=due_at,
        attempts=output.attempts + 1,
        problem=problem,
        suspect_sha256=suspect_sha256 or output.suspect_sha256,
    )
    return _with_output(job, now, delayed).evolve(now, status=Status.PENDING_DOWNLOAD, reason=problem)


def output_lost(job: Job, now: datetime, which: Output, problem: str) -> Job:
    """The backend's time for one output is over and it was not to be had."""
    output = _open_output(job, which)
    lost = replace(output, lost=True, turn=output.turn + 1, due_at=None, problem=problem)
    return _settle(_with_output(job, now, lost), now)


def fetch_again(job: Job, now: datetime, overdue_after: timedelta) -> Job:
    """Give each output whose fetch message seems lost a new turn, due now."""
    _require(job, Status.FETCHING, Status.PENDING_DOWNLOAD)

    def is_overdue(output: Output) -> bool:
        # The first message of all is the one that a crash may have kept from being sent.
        patience = UNSTARTED_OVERDUE if output.turn == 0 else overdue_after
        return not output.is_settled and (output.due_at is None or now - output.due_at >= patience)

    outputs = tuple(
        replace(output, turn=output.turn + 1, due_at=now) if is_overdue(output) else output
        for output in job.outputs
    )
    return job if outputs == job.outputs else job.evolve(now, outputs=outputs)


# --- the pieces ----------------------------------------------------------------------------------


def _require(job: Job, *statuses: Status) -> None:
    if job.status not in statuses:
        raise TransitionRefused(f"{job.id} is {job.status}, not {' or '.join(statuses)}")


def _require_attempt(job: Job, attempt: str) -> None:
    _require(job, Status.SUBMITTING)
    if job.attempt != attempt:
        raise TransitionRefused(f"{job.id} is in another attempt by now")


def _refuse_terminal(job: Job) -> None:
    if job.is_terminal:
        raise TransitionRefused(f"{job.id} is {job.status}, and that is final")


def _risen(before: int | None, now: int | None) -> int | None:
    """Progress never falls, whatever the backend says."""
    known = [value for value in (before, now) if value is not None]
    return min(max(known), 100) if known else None


def _generated(job: Job, now: datetime, generation_ids: tuple[str, ...]) -> Job:
    asked, given = job.request.variants, len(generation_ids)
    notice = f"The video API generated {given} of the {asked} videos asked for." if given < asked else None
    named = generation_ids[:MOST_OUTPUTS]
    outputs = tuple(Output(index, name, due_at=now) for index, name in enumerate(named))
    return job.evolve(now, status=Status.FETCHING, outputs=outputs, progress=100, notice=notice)


def _without_output(job: Job, now: datetime, since: datetime) -> Job:
    if job.expired_by(now):
        return _expired(job, now, "It said that it was done, and named no video until its time was over.")
    if now - since < NO_OUTPUT_GRACE:
        reason = "The video API says that it is done and names no video yet."
        return job.evolve(now, status=Status.RUNNING, no_output_since=since, reason=reason)
    message = "The video API says that it succeeded, but generated no video."
    return failed(job, now, JobError(code="no_output", message=message))


def _generation_error(backend_job: BackendJob) -> JobError:
    code, message = backend_job.failure_code or "", backend_job.failure_message
    moderated = is_moderation(code, message)
    words = "The video API refused the content" if moderated else "The video API failed to generate the video"
    return JobError(
        code="moderation_blocked" if moderated else "generation_failed",
        message=f"{words}: {message or code or 'it gave no reason'}",
        backend_code=code or None,
        backend_message=message,
        backend_request_id=backend_job.request_id,
    )


def is_moderation(code: str | None, message: str | None) -> bool:
    text = f"{code or ''} {message or ''}".lower()
    return any(word in text for word in _MODERATION_WORDS)


def _expired(job: Job, now: datetime, why: str) -> Job:
    error = JobError(code="expired", message=f"The video API keeps a job only for a while. {why}")
    return job.evolve(now, status=Status.EXPIRED, finished_at=now, error=error, reason=None)


def _open_output(job: Job, which: Output) -> Output:
    _require(job, Status.FETCHING, Status.PENDING_DOWNLOAD)
    output = job.output(which.index)
    if output is None or output.generation_id != which.generation_id:
        raise TransitionRefused(f"{job.id} has no output {which.index} named {which.generation_id}")
    if output.is_settled:
        raise TransitionRefused(f"{job.id}/{which.index} is settled")
    return output


def _with_output(job: Job, now: datetime, output: Output) -> Job:
    outputs = tuple(output if old.index == output.index else old for old in job.outputs)
    return job.evolve(now, outputs=outputs)


def _settle(job: Job, now: datetime) -> Job:
    """End the job if its last output is settled."""
    if not all(output.is_settled for output in job.outputs):
        return job
    lost = [output for output in job.outputs if output.lost]
    if lost:
        return _expired(job, now, f"Video {lost[0].index} could not be fetched in time: {lost[0].problem}")
    unverified = [o.index for o in job.outputs if o.stored is not None and not o.stored.verified]
    if unverified:
        message = (
            f"The video API delivered something complete that is no well-formed MP4, twice the same "
            f"(video {', '.join(map(str, unverified))}). It is stored all the same."
        )
        return failed(job, now, JobError(code="unverified_video", message=message))
    return job.evolve(now, status=Status.SUCCEEDED, finished_at=now, reason=None)
