"""Downloads one output from the video API into Blob Storage, and recognises the blob of an earlier download."""

from __future__ import annotations

import itertools
import logging
from functools import partial
from urllib.parse import quote

from video_jobs.domain import transitions
from video_jobs.domain.errors import (
    BackendError,
    ForeignBlob,
    Gone,
    ReelkeepError,
)
from video_jobs.domain.job import Job, Output, StoredVideo
from video_jobs.domain.logs import log_event
from video_jobs.lifecycle.update import update
from video_jobs.media.images import sniff
from video_jobs.media.verification import SuspectVideo, VerifiedStream
from video_jobs.ports import BlobFacts, VideoKey
from video_jobs.services import Services

log = logging.getLogger("reelkeep.fetch")

_THUMBNAIL_DEADLINE = 5.0  # seconds: a thumbnail is optional and must not delay a video
_LARGEST_THUMBNAIL = 5 << 20  # bytes
_ENDINGS = {"image/jpeg": "jpg", "image/webp": "webp", "image/png": "png"}


def download_video(services: Services, job: Job, output: Output, may_be_here: bool) -> StoredVideo:
    """Download the video, or find its blob. If it raises BackendError, SuspectVideo or ForeignBlob, no blob was committed."""
    key = VideoKey(job.owner, job.id, output.index)
    found = services.blobs.find_video(key) if may_be_here else None
    if found is None:
        try:
            video = _stream_into_blob(services, job, output, key)
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


def _stream_into_blob(services: Services, job: Job, output: Output, key: VideoKey) -> StoredVideo | None:
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


def _was_asked_after_expiry(job: Job, output: Output) -> bool:
    return output.began_at is not None and job.expired_by(output.began_at)


def download_thumbnail(services: Services, job: Job, output: Output) -> str | None:
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
