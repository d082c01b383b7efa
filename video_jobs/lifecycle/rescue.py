"""The last check before a job ends without its videos: whether the backend still serves the bytes.

A backend may still serve the bytes, which were paid for, even if it does not know the job any more, reports an unknown
status, or reports nothing until the job has expired.
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
    """The backend job as done, if the bytes of an output can be fetched; None if not.

    `told`: the backend's latest answer about the job, if any.
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
    """Whether the bytes under that id begin like a video. Raises BackendError if there are none."""
    with client.open_video(backend_job_id, output, _DEADLINE) as content:
        return is_video(next(content.chunks(SAMPLE), b""))
