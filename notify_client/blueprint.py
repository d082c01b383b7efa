"""The binding: a message of `video-notify` causes one delivery."""

from __future__ import annotations

import azure.functions as func

from notify_client.notify import notify_client
from video_jobs.domain.queue_messages import NOTIFY_QUEUE, decode_notify
from video_jobs.domain.trace import following
from video_jobs.lifecycle.newer import skipping_newer
from video_jobs.wiring import get_services

blueprint = func.Blueprint()


@blueprint.function_name("notify_client")
@blueprint.queue_trigger(arg_name="message", queue_name=NOTIFY_QUEUE, connection="AzureWebJobsStorage")
def notify_client_function(message: func.QueueMessage) -> None:
    """An error that is raised here returns the message to the queue: the host delivers it again, at last to the poison queue."""
    with skipping_newer():
        wanted = decode_notify(message.get_body())
        with following(wanted.traceparent):
            notify_client(get_services(), wanted)
