"""The binding: a message of `video-fetch` causes one download."""

from __future__ import annotations

import azure.functions as func

from fetch_video.fetch import fetch_video
from video_jobs.domain.queue_messages import FETCH_QUEUE, decode_fetch
from video_jobs.domain.trace import following
from video_jobs.lifecycle.newer import skipping_newer
from video_jobs.lifecycle.repair import noting_last_error
from video_jobs.wiring import get_services

blueprint = func.Blueprint()


@blueprint.function_name("fetch_video")
@blueprint.queue_trigger(arg_name="message", queue_name=FETCH_QUEUE, connection="AzureWebJobsStorage")
def fetch_video_function(message: func.QueueMessage) -> None:
    """An error that is raised here returns the message to the queue: the host delivers it again, at last to the poison queue."""
    with skipping_newer():
        services, wanted = get_services(), decode_fetch(message.get_body())
        with following(wanted.traceparent), noting_last_error(services, wanted.owner, wanted.job_id):
            fetch_video(services, wanted, is_first_delivery=message.dequeue_count == 1)
