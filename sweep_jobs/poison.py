"""Poison messages: the Functions host has given them up. Each is noted in its job, and the job's chain is repaired.

The sweeper reads the poison queues itself. A queue trigger could not: the host never hands a function text that is not
base64 or bytes that are not UTF-8, and a message that fails there returns every ten minutes for a week.
"""

from __future__ import annotations

import logging
from functools import partial

from video_jobs.domain import transitions
from video_jobs.domain.errors import (
    JobNotFound,
    MalformedMessage,
    NewerVersion,
    StorageUnavailable,
    TransitionRefused,
)
from video_jobs.domain.job import Status
from video_jobs.domain.logs import in_brief, log_event
from video_jobs.domain.queue_messages import (
    FETCH_QUEUE,
    POLL_QUEUE,
    FetchMessage,
    NotifyMessage,
    PollMessage,
    decode_fetch,
    decode_notify,
    decode_poll,
)
from video_jobs.lifecycle.repair import expedite
from video_jobs.lifecycle.update import update
from video_jobs.ports import LiveJob, PoisonMessage
from video_jobs.services import Services

log = logging.getLogger("reelkeep.sweep")

MOST_AT_ONCE = 32  # of each queue
_MOST_TRIES = 5  # to note a message, before it is dropped
_LONGEST_SAID = 300  # characters


def sweep_poison(services: Services) -> None:
    """Note each poison message in its job. One that can't be noted now returns in two minutes. Raises StorageUnavailable."""
    for message in services.messages.take_poison(MOST_AT_ONCE):
        try:
            _note(services, message)
        except NewerVersion as newer:
            log_event(
                log, logging.WARNING, "sweep.poison_of_newer_version", problem=newer, queue=message.queue
            )
        except StorageUnavailable:
            raise
        except MalformedMessage as error:
            _drop(services, message, "message.malformed", str(error))
        except Exception as error:  # noqa: BLE001 - whatever the error is, the others are noted
            said = in_brief(error)
            if message.tries < _MOST_TRIES:
                log_event(log, logging.ERROR, "sweep.poison_not_noted", queue=message.queue, problem=said)
            else:
                _drop(services, message, "message.dropped", said)
        else:
            services.messages.drop_poison(message)


def _note(services: Services, message: PoisonMessage) -> None:
    if message.body is None:
        raise MalformedMessage(
            "Its text is not base64. docs/reference/queue-messages.md says how messages are encoded."
        )
    if message.queue == POLL_QUEUE:
        note_poison(services, decode_poll(message.body))
    elif message.queue == FETCH_QUEUE:
        note_poison(services, decode_fetch(message.body))
    else:
        note_poisoned_delivery(services, decode_notify(message.body))


def note_poison(services: Services, message: PollMessage | FetchMessage) -> None:
    """The message is gone after this; the sweeper sends another, later each time."""
    kind = "download" if isinstance(message, FetchMessage) else "poll"
    try:
        stored = services.jobs.get(message.owner, message.job_id)
        why = stored.job.last_error or "the function's log says why"
        problem = f"A {kind} of the job failed several times ({why}). The app tries it again."
        stored = update(
            services.jobs, stored, partial(transitions.poisoned, now=services.clock(), problem=problem)
        )
        if isinstance(message, FetchMessage):
            expedite(services, stored)
        elif stored.job.status is Status.WAITING:
            services.live_jobs.add(LiveJob.of(stored.job))  # the sweeper reads no job that is in line
    except JobNotFound:
        log_event(log, logging.ERROR, "sweep.poison_without_job", job_id=message.job_id)
    except TransitionRefused as refused:
        log_event(log, logging.INFO, "sweep.poison_of_ended_job", job_id=message.job_id, problem=refused)


def note_poisoned_delivery(services: Services, message: NotifyMessage) -> None:
    """The message is gone after this; the sweeper sends another, later each time."""
    problem = (
        "A delivery to the job's webhook failed several times: the function's log says why. The app sends it "
        "again."
    )
    try:
        stored = services.jobs.get(message.owner, message.job_id)
        note = partial(transitions.delivery_poisoned, now=services.clock(), problem=problem)
        update(services.jobs, stored, note)
    except JobNotFound:
        log_event(log, logging.ERROR, "sweep.poison_without_job", job_id=message.job_id)
    except TransitionRefused as refused:
        log_event(log, logging.INFO, "sweep.poison_of_ended_delivery", job_id=message.job_id, problem=refused)


def _drop(services: Services, message: PoisonMessage, event: str, problem: str) -> None:
    log_event(log, logging.ERROR, event, queue=message.queue, problem=problem[:_LONGEST_SAID])
    services.messages.drop_poison(message)
