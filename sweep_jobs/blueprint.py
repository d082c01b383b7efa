"""The bindings: two timers, and the poison queues."""

from __future__ import annotations

import azure.functions as func

from sweep_jobs.poison import note_malformed, note_poison, note_poisoned_notice
from sweep_jobs.sweep import apply_retention, sweep_jobs
from video_jobs.errors import MalformedMessage
from video_jobs.messages import (
    FETCH_QUEUE,
    NOTIFY_QUEUE,
    POLL_QUEUE,
    decode_fetch,
    decode_notify,
    decode_poll,
)
from video_jobs.services import get_services

blueprint = func.Blueprint()

_MOST_ENDED = 200  # jobs that one run of the retention ends


@blueprint.function_name("sweep_jobs")
@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def sweep_jobs_function(timer: func.TimerRequest) -> None:
    sweep_jobs(get_services())


@blueprint.function_name("apply_retention")
@blueprint.timer_trigger(arg_name="timer", schedule="0 7 * * * *")
def apply_retention_function(timer: func.TimerRequest) -> None:
    apply_retention(get_services(), _MOST_ENDED)


@blueprint.function_name("note_poisoned_poll")
@blueprint.queue_trigger(
    arg_name="message", queue_name=f"{POLL_QUEUE}-poison", connection="AzureWebJobsStorage"
)
def note_poisoned_poll_function(message: func.QueueMessage) -> None:
    try:
        note_poison(get_services(), decode_poll(message.get_body()))
    except MalformedMessage as error:
        note_malformed(error)


@blueprint.function_name("note_poisoned_fetch")
@blueprint.queue_trigger(
    arg_name="message", queue_name=f"{FETCH_QUEUE}-poison", connection="AzureWebJobsStorage"
)
def note_poisoned_fetch_function(message: func.QueueMessage) -> None:
    try:
        note_poison(get_services(), decode_fetch(message.get_body()))
    except MalformedMessage as error:
        note_malformed(error)


@blueprint.function_name("note_poisoned_notify")
@blueprint.queue_trigger(
    arg_name="message", queue_name=f"{NOTIFY_QUEUE}-poison", connection="AzureWebJobsStorage"
)
def note_poisoned_notify_function(message: func.QueueMessage) -> None:
    try:
        note_poisoned_notice(get_services(), decode_notify(message.get_body()))
    except MalformedMessage as error:
        note_malformed(error)
