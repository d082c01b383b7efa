"""From generated to stored: each output on its own, and the job when the last one is settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.job import Job, JobError, Output, Status, StoredVideo, Suspect
from video_jobs.domain.transitions.shared import ended, expired, require

MOST_OUTPUTS = 10
"""Videos of one job that are fetched; more than any model makes, and few enough for one row."""

_MOST_SUSPECTS = 4  # kinds of bytes, between which a server may alternate
_SURELY_OTHER = 14
"""How often a picture must come before a job ends without that output: for forty minutes, in which it may be in a video's place."""

_LONGEST_PROBLEM = 500  # characters; with all outputs it has to fit into one property

DOWNLOAD_OVERDUE = timedelta(minutes=2)
"""How long an output's fetch message may be due before a byte arrives. Then another one is sent: if the host died,
the first one may be hidden for ten minutes."""

PROGRESS_EVERY = timedelta(minutes=1)
"""How often a long download saves that bytes still arrive."""


def output_stored(job: Job, now: datetime, which: Output, video: StoredVideo, thumbnail: str | None) -> Job:
    """One output is in storage; with the last output the job ends.

    `which`, here and below, is the output as it was read: the transition is for it and for no other.
    """
    output = _open_output(job, which)
    kept = replace(output, stored=video, thumbnail=thumbnail, chain=output.chain.over(), problem=None)
    job = _with_output(job, now, kept).noting(now, "stored", f"video {output.index}, {video.length} bytes")
    return _settle(job, now)


def output_delayed(
    job: Job,
    now: datetime,
    which: Output,
    problem: str,
    *,
    turn: int,
    due_at: datetime,
    began_at: datetime | None = None,
    suspect_sha256: str | None = None,
    is_other: bool = False,
    request_id: str | None = None,
    missing: bool = False,
) -> Job:
    """One output could not be fetched; the message `turn`, visible from `due_at`, tries again.

    Args:
        began_at: when the backend was asked for it; None if it was not.
        is_other: those bytes are plainly a picture, or sound.
        missing: the backend answered 404 or 410.
    """
    output = _open_output(job, which)
    delayed = replace(
        output,
        chain=output.chain.next(turn, due_at, attempts=output.chain.attempts + 1),
        problem=problem[:_LONGEST_PROBLEM],
        suspects=_counted(output.suspects, suspect_sha256, is_other),
        began_at=began_at or output.began_at,
        missing_since=(output.missing_since or now) if missing else None,
    )
    job = _with_output(job, now, delayed).evolve(now, status=Status.PENDING_DOWNLOAD, reason=problem)
    return _settle(job.noting(now, "download_failed", f"video {output.index}: {problem}", request_id), now)


def _counted(suspects: tuple[Suspect, ...], sha256: str | None, is_other: bool) -> tuple[Suspect, ...]:
    if sha256 is None:
        return suspects
    times = next((known.times for known in suspects if known.sha256 == sha256), 0)
    others = tuple(known for known in suspects if known.sha256 != sha256)
    return (*others, Suspect(sha256, times + 1, is_other))[-_MOST_SUSPECTS:]


def output_lost(job: Job, now: datetime, which: Output, problem: str) -> Job:
    """One output is lost: its time at the backend is over, and it could not be fetched."""
    output = _open_output(job, which)
    lost = replace(output, lost=True, chain=output.chain.over(), problem=problem[:_LONGEST_PROBLEM])
    job = _with_output(job, now, lost).noting(now, "lost", f"video {output.index}: {problem}")
    return _settle(job, now)


def output_progressed(job: Job, now: datetime, which: Output) -> Job:
    """Bytes of one output arrive."""
    return _with_output(job, now, replace(_open_output(job, which), progress_at=now))


def overdue_from(output: Output) -> datetime | None:
    """When an open output's download counts as lost unless bytes come until then; None: now."""
    due_at = output.chain.due_at
    return max(due_at, output.progress_at or due_at) + DOWNLOAD_OVERDUE if due_at else None


def fetch_again(job: Job, now: datetime, *, all_open: bool = False) -> Job:
    """Make each output whose download seems lost, or each that is not settled, due now: its message is sent again.

    The turn stays the same. An overloaded host may still take the first message: if that were stale then, each message
    would be dropped for the next one, and no download would ever begin.
    """
    require(job, Status.FETCHING, Status.PENDING_DOWNLOAD)

    def again(output: Output) -> Output:
        overdue = overdue_from(output)
        is_wanted = not output.is_settled and (all_open or overdue is None or now >= overdue)
        return replace(output, chain=replace(output.chain, due_at=now)) if is_wanted else output

    outputs = tuple(map(again, job.outputs))
    return job if outputs == job.outputs else job.evolve(now, outputs=outputs).noting(now, "fetch_again")


def _open_output(job: Job, which: Output) -> Output:
    require(job, Status.FETCHING, Status.PENDING_DOWNLOAD)
    if job.deleted_at is not None:
        raise TransitionRefused(f"{job.id} is being deleted")
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
    """End the job if its last output is settled. What is plainly no video beside a video holds it up no longer."""
    others = _beside_a_video(job)
    if not all(output.is_settled or output in others for output in job.outputs):
        return job
    if others:
        numbers = ", ".join(str(output.index) for output in others)
        job = _warned(job, now, f"The video API names as videos what are pictures or sound ({numbers}).")
        wanted = (output for output in job.outputs if output.stored is not None or output not in others)
        job = job.evolve(now, outputs=tuple(wanted))
    lost = [output for output in job.outputs if output.lost]
    if lost and job.backend_job_gone:
        return ended(job, now, Status.CANCELLED)  # at a client's request
    if lost:
        return expired(job, now, f"Video {lost[0].index} could not be fetched in time: {lost[0].problem}")
    unverified = [o.index for o in job.outputs if o.stored and not o.stored.verified and o not in others]
    if unverified:
        message = (
            f"Every download gave the same bytes, and they are not a well-formed MP4 "
            f"(video {', '.join(map(str, unverified))}). They are stored."
        )
        return ended(job, now, Status.FAILED, JobError(code="unverified_video", message=message))
    tails = [o for o in job.outputs if o.stored is not None and o.stored.trailing_bytes]
    if tails:
        said = ", ".join(f"video {o.index}: {o.stored.trailing_bytes}" for o in tails if o.stored)
        warning = f"There are bytes after the end of the MP4, which players ignore ({said})."
        job = _warned(job, now, warning)
    return ended(job, now, Status.SUCCEEDED)


def _beside_a_video(job: Job) -> list[Output]:
    """The outputs that are plainly no video, if another one is stored."""
    videos = [output for output in job.outputs if output.stored is not None and output.stored.verified]
    return [
        output
        for output in job.outputs
        if videos and output not in videos
        for known in output.suspects[-1:]
        if known.is_other and (output.stored is not None or known.times >= _SURELY_OTHER)
    ]


def _warned(job: Job, now: datetime, warning: str) -> Job:
    return job.evolve(now, warning=f"{job.warning} {warning}" if job.warning else warning)
