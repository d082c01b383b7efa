"""The binding: a message of `video-poll` causes one poll."""

from __future__ import annotations

import azure.functions as func

from poll_job.poll import poll_job
from video_jobs.domain.queue_messages import POLL_QUEUE, decode_poll
from video_jobs.domain.trace import following
from video_jobs.lifecycle.newer import skipping_newer
from video_jobs.lifecycle.repair import noting_last_error
from video_jobs.wiring import get_services

blueprint = func.Blueprint()


@blueprint.function_name("poll_job")
@blueprint.queue_trigger(arg_name="message", queue_name=POLL_QUEUE, connection="AzureWebJobsStorage")
def poll_job_function(message: func.QueueMessage) -> None:
    """An error that is raised here returns the message to the queue: the host delivers it again, at last to the poison queue."""
    with skipping_newer():
        services, wanted = get_services(), decode_poll(message.get_body())
        with following(wanted.traceparent), noting_last_error(services, wanted.owner, wanted.job_id):
            poll_job(services, wanted)
