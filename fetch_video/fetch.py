"""Copy one output of a job into Blob Storage.

The blob is written first, then the row. A crash between the two leaves a blob whose metadata says which output it is, so
the next delivery of the message does not need the backend. The first delivery does not look for such a blob, which saves a
call. If one exists all the same, the commit is refused, and a failed download looks for it before anything else follows.
"""

from __future__ import annotations

import itertools
import logging
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import quote

from video_jobs.domain import transitions
from video_jobs.domain.errors import (
    BackendError,
    ForeignBlob,
    Gone,
    JobNotFound,
    NotFound,
    ReelkeepError,
    TransitionRefused,
    VideoTooLarge,
)
from video_jobs.domain.job import LOST_JOB_GRACE, MISSING_PAST_GUESS, Job, Output, Status, StoredVideo
from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import FetchMessage
from video_jobs.domain.schedule import fetch_delay, suspect_delay, too_large_delay
from video_jobs.lifecycle.adoption import is_listed
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.poll_chain import going_on_once_sent, kept_row, send_on
from video_jobs.lifecycle.update import update
from video_jobs.media.images import sniff
from video_jobs.media.verification import SuspectVideo, VerifiedStream
from video_jobs.ports import BlobFacts, StoredJob, VideoKey
from video_jobs.services import Services

log = logging.getLogger("reelkeep.fetch")

_THUMBNAIL_DEADLINE = 5.0  # seconds: a thumbnail is optional and must not delay a video
_KEPT_FOR = 30.0  # seconds; short, since a deletion waits only a little longer than the longest download
_MARGIN = timedelta(minutes=1)
_LARGEST_THUMBNAIL = 5 << 20  # bytes
_ENDINGS = {"image/jpeg": "jpg", "image/webp": "webp", "image/png": "png"}


def fetch_video(services: Services, message: FetchMessage, *, is_first_delivery: bool = False) -> None:
    first = is_first_delivery and not message.turn
    kept = kept_row(services, message.owner, message.job_id, _KEPT_FOR) if first else None
    try:
        stored = kept or services.jobs.get(message.owner, message.job_id)
    except JobNotFound:
        log_event(log, logging.WARNING, "fetch.job_missing", job_id=message.job_id)
        return
    job = stored.job
    if job.deleted_at is not None:
        log_event(log, logging.INFO, "fetch.job_deleted", job_id=job.id)
        return
    output = job.output(message.index)
    if output is None:
        log_event(log, logging.WARNING, "fetch.video_missing", job_id=job.id, video=message.index)
        return
    if job.is_terminal:
        finish(services, job)  # again: a crash may have interrupted the first time
        return
    if output.chain.is_stale(message.turn) or output.is_settled:
        log_event(
            log, logging.INFO, "fetch.stale_message", job_id=job.id, video=output.index, turn=message.turn
        )
        return
    with going_on_once_sent(f"{job.id}/{output.index}"):
        try:
            may_be_here = not is_first_delivery or not _is_first_message(job, output)
            saved = _fetch(services, message, stored, output, may_be_here).job
        except TransitionRefused as refused:
            log_event(
                log, logging.INFO, "fetch.job_changed", job_id=job.id, video=output.index, problem=refused
            )
            return
        if saved.is_terminal:
            finish(services, saved)


def _is_first_message(job: Job, output: Output) -> bool:
    """Whether no other download of the output can be under way: its only message is the one that the poll sent."""
    return (
        job.status is Status.FETCHING
        and output.chain.attempts == 0
        and output.chain.due_at == job.status_since
    )


def _fetch(
    services: Services, message: FetchMessage, stored: StoredJob, output: Output, may_be_here: bool
) -> StoredJob:
    job, began_at = stored.job, services.clock()
    try:
        video = _copy(services, job, output, may_be_here)
    except (SuspectVideo, ForeignBlob, BackendError) as error:
        return _try_again(services, message, stored, output, error, began_at)
    thumbnail = _copy_thumbnail(services, job, output)
    log_event(
        log,
        logging.INFO,
        "fetch.stored",
        job_id=job.id,
        video=output.index,
        bytes=video.length,
        sha256=video.sha256,
    )
    change = partial(
        transitions.output_stored, now=services.clock(), which=output, video=video, thumbnail=thumbnail
    )
    return update(services.jobs, stored, change)


def _copy(services: Services, job: Job, output: Output, may_be_here: bool) -> StoredVideo:
    """Download the video, or find its blob. If it raises BackendError, SuspectVideo or ForeignBlob, no blob was committed."""
    key = VideoKey(job.owner, job.id, output.index)
    found = services.blobs.find_video(key) if may_be_here else None
    if found is None:
        try:
            video = _download(services, job, output, key)
        except (BackendError, SuspectVideo):
            if may_be_here or (found := services.blobs.find_video(key)) is None:
                raise
        else:
            if video is not None:
                return video
            found = services.blobs.find_video(key)  # another delivery of this message was faster
    video = _recognise(job, output, found)
    if video is None:
        raise ForeignBlob(
            f"A blob that is not this video is at {key.owner}/{key.job_id}/{key.index}.mp4 in the "
            f"container 'videos'. Move it away; then the app fetches the video."
        )
    return video


def _download(services: Services, job: Job, output: Output, key: VideoKey) -> StoredVideo | None:
    """None if there is a blob already. Raises BackendError and SuspectVideo."""
    if job.backend_job_gone:
        raise Gone("The video API has deleted the video, as it was asked to.")
    if _was_asked_after_expiry(job, output):
        # Now only a blob of another download can help.
        raise Gone("The video API has deleted the video.")
    client = services.backends.client(job.backend)
    with client.open_video(
        job.backend_job_id or "", output.generation_id, services.fetch_deadline, output.chain.attempts
    ) as content:
        stream = VerifiedStream(content, output.suspects, _Progress(services, job, output))
        if services.blobs.put_video(key, iter(stream), lambda: _metadata(job, output, stream)):
            assert stream.video is not None
            return stream.video
    return None


class _Progress:
    """Notes in the job, once a minute, that bytes arrive, so that the download does not count as lost.

    A download of less than a minute writes nothing.
    """

    def __init__(self, services: Services, job: Job, output: Output) -> None:
        self._services, self._job, self._output = services, job, output
        self._noted_at = services.clock()

    def __call__(self) -> None:
        now = self._services.clock()
        if now - self._noted_at < transitions.PROGRESS_EVERY:
            return
        self._noted_at = now
        jobs, note = self._services.jobs, partial(transitions.output_progressed, now=now, which=self._output)
        try:
            update(jobs, jobs.get(self._job.owner, self._job.id), note)
        except ReelkeepError as error:  # the download itself goes on
            log_event(
                log,
                logging.INFO,
                "fetch.progress_not_noted",
                job_id=self._job.id,
                video=self._output.index,
                problem=error,
            )


def _metadata(job: Job, output: Output, stream: VerifiedStream) -> dict[str, str]:
    """The blob's metadata: enough to write the row from it. ASCII only, as in all headers."""
    assert stream.video is not None
    video = stream.video
    known = {
        "width": video.width,
        "height": video.height,
        "duration_ms": video.duration_ms,
        "trailing_bytes": video.trailing_bytes or None,
    }
    return {
        "job_id": job.id,
        "generation_id": quote(output.generation_id, safe=""),
        "sha256": video.sha256,
        "length": str(video.length),
        "verified": str(video.verified).lower(),
        **{name: str(value) for name, value in known.items() if value is not None},
    }


def _recognise(job: Job, output: Output, found: BlobFacts | None) -> StoredVideo | None:
    """The video as the blob's metadata describes it; None if it is another output or incomplete, or if the metadata were changed."""
    if found is None:
        return None
    said = found.metadata
    ours = (job.id, quote(output.generation_id, safe=""), str(found.length))
    if (said.get("job_id"), said.get("generation_id"), said.get("length")) != ours:
        return None
    try:
        width, height, duration_ms = (
            int(said[name]) if name in said else None for name in ("width", "height", "duration_ms")
        )
        verified, trailing = said.get("verified") == "true", int(said.get("trailing_bytes", 0))
        return StoredVideo(found.length, said["sha256"], verified, width, height, duration_ms, trailing)
    except (KeyError, ValueError):
        return None


def _copy_thumbnail(services: Services, job: Job, output: Output) -> str | None:
    """Store the thumbnail and give its file ending. None if there is none: an error here does not stop the video."""
    try:
        client = services.backends.client(job.backend)
        with client.open_thumbnail(
            job.backend_job_id or "", output.generation_id, _THUMBNAIL_DEADLINE
        ) as content:
            pieces = list(itertools.islice(content.chunks(_LARGEST_THUMBNAIL), 2))
    except BackendError as error:
        log_event(log, logging.INFO, "fetch.no_thumbnail", job_id=job.id, video=output.index, problem=error)
        return None
    kind = sniff(pieces[0]) if len(pieces) == 1 else None  # more than one: too large
    if kind is None:
        log_event(
            log,
            logging.INFO,
            "fetch.no_thumbnail",
            job_id=job.id,
            video=output.index,
            problem="The video API sent something that is not an image.",
        )
        return None
    key = VideoKey(job.owner, job.id, output.index)
    services.blobs.put_thumbnail(key, _ENDINGS[kind], kind, pieces[0])
    return _ENDINGS[kind]


def _grace(services: Services) -> timedelta:
    """How long after the expiry a download that began before it may still run."""
    return timedelta(seconds=services.fetch_deadline) + _MARGIN


def _is_lost(services: Services, job: Job, output: Output, error: Exception) -> bool:
    """Whether the video is lost: it can't be fetched any more, and one request since then has shown it.

    An expiry time from the backend is proof. After an expiry that we guessed, a 410 is proof; so is a lasting 404 if the
    backend's list lacks the job, or if the 404 lasts another day. Before the expiry, a 404 or 410 may pass.
    """
    now = services.clock()
    if job.backend_job_gone or job.expired_by(now - _grace(services)):
        return True
    if output.missing_since is None or not job.is_past_guess(now):
        return False
    if isinstance(error, NotFound) and now - output.missing_since >= LOST_JOB_GRACE:
        return job.is_past_guess(now, by=MISSING_PAST_GUESS) or is_listed(services, job)[0] is False
    return isinstance(error, Gone)


def _was_asked_after_expiry(job: Job, output: Output) -> bool:
    return output.began_at is not None and job.expired_by(output.began_at)


def _try_again(
    services: Services,
    message: FetchMessage,
    stored: StoredJob,
    output: Output,
    error: SuspectVideo | ForeignBlob | BackendError,
    began_at: datetime,
) -> StoredJob:
    """Repeat the download until the backend deletes the video. Send the next message first, then save the row with its turn."""
    job, now, problem = stored.job, services.clock(), str(error)
    log_event(log, logging.WARNING, "fetch.failed", job_id=job.id, video=output.index, problem=problem)
    if job.expired_by(now) or job.backend_job_gone:
        # Keep the problem from before the deletion: it says why there is no video.
        problem = output.problem or problem
    if _is_lost(services, job, output, error):
        lost = partial(transitions.output_lost, now=now, which=output, problem=problem)
        return update(services.jobs, stored, lost)
    if message.turn is None:
        return stored
    delay = _until_next(services, job, output, error)
    turn = send_on(services.messages.send_fetch, message, delay)
    delayed = partial(
        transitions.output_delayed,
        now=now,
        which=output,
        problem=problem,
        turn=turn,
        due_at=now + delay,
        began_at=None if isinstance(error, ForeignBlob) else began_at,
        suspect_sha256=error.sha256 if isinstance(error, SuspectVideo) else None,
        request_id=error.request_id if isinstance(error, BackendError) else None,
        missing=isinstance(error, NotFound | Gone),
    )
    return update(services.jobs, stored, delayed)


def _until_next(
    services: Services, job: Job, output: Output, error: SuspectVideo | ForeignBlob | BackendError
) -> timedelta:
    now = services.clock()
    if isinstance(error, SuspectVideo) and not output.suspects:
        return suspect_delay(job, now)
    if job.expired_by(now):
        # Another download that began before the expiry may end soon and store the video.
        return _grace(services)
    if isinstance(error, VideoTooLarge):
        return too_large_delay(job, now)
    hint = error.retry_after if isinstance(error, BackendError) else None
    return fetch_delay(job, output.chain.attempts + 1, hint, now)
