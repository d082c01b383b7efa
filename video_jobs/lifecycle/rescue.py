"""The last question before a job ends without its videos: does the backend hand them out all the same?

A backend that does not know a job any more, says a word that we don't know, or says nothing until the job's time is
over, may still serve its bytes. They were paid for.
"""

from __future__ import annotations

import logging

from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.errors import BackendError
from video_jobs.domain.job import Job
from video_jobs.domain.logs import log_event
from video_jobs.media.body_kind import SAMPLE, is_video
from video_jobs.ports import Backend

log = logging.getLogger("reelkeep.poll")

_DEADLINE = 20.0  # seconds


def rescued(client: Backend, job: Job, told: BackendJob | None) -> BackendJob | None:
    """The job as one that is done, where the bytes of an output can be had; None where nothing is to be had.

    `told`: what the backend told of it just now, if it told anything.
    """
    if job.backend_job_id is None:
        return None
    named = told.generation_ids if told is not None else ()
    for output in named or client.unnamed_outputs(job.backend_job_id):
        try:
            if serves_video(client, job.backend_job_id, output):
                log_event(log, logging.WARNING, "poll.video_rescued", job_id=job.id)
                outputs = named or (output,)
                return BackendJob(id=job.backend_job_id, state=BackendState.SUCCEEDED, generation_ids=outputs)
        except BackendError as error:
            log_event(log, logging.INFO, "poll.no_video_to_rescue", job_id=job.id, problem=error)
    return None


def serves_video(client: Backend, backend_job_id: str, output: str) -> bool:
    """Whether what is served under that id begins like a video. Raises BackendError where nothing is served."""
    with client.open_video(backend_job_id, output, _DEADLINE) as content:
        return is_video(next(content.chunks(SAMPLE), b""))
