"""What the queues promise: those on Azurite, and for what the app reads of them their in-memory twin alike."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from datetime import timedelta

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from local.azurite_process import Azurite
from tests.functional.storage_adapters import a_job, settings_for
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.queue_messages import (
    FETCH_QUEUE,
    NOTIFY_QUEUE,
    POLL_QUEUE,
    FetchMessage,
    NotifyMessage,
    PollMessage,
)
from video_jobs.ports import Messages
from video_jobs.ports.messages import QueueState
from video_jobs.storage import messages as queues
from video_jobs.storage.connection import StorageServices
from video_jobs.storage.memory import MemoryMessages
from video_jobs.storage.memory import messages as memory_queues
from video_jobs.wiring import build, utc_now


def test_a_queue_has_a_backlog_while_a_message_waits_to_be_taken(
    azurite: Azurite, real_services: StorageServices, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_azurite = build(settings_for(azurite)).messages  # which makes the queues
    for name in (FETCH_QUEUE, NOTIFY_QUEUE):
        real_services.queues.get_queue_client(name).clear_messages()
    later = timedelta(minutes=1)
    in_memory = MemoryMessages(lambda: utc_now() + later * memory_is_later)
    memory_is_later = False
    for messages in (in_memory, on_azurite):
        messages.send_fetch(FetchMessage(owner=owner, job_id=new_job_id(utc_now()), index=1), timedelta())
        messages.send_notify(NotifyMessage(owner=owner, job_id=new_job_id(utc_now())), timedelta(hours=1))
        assert not messages.has_backlog(FETCH_QUEUE)
    memory_is_later = True
    monkeypatch.setattr(queues, "BACKLOG_AGE", timedelta())
    for messages in (in_memory, on_azurite):
        assert messages.has_backlog(FETCH_QUEUE)
        assert not messages.has_backlog(NOTIFY_QUEUE)  # which no host may take yet


def test_a_queue_tells_how_much_lies_in_it_and_how_long_the_oldest_has_been_visible(
    azurite: Azurite, real_services: StorageServices, owner: str
) -> None:
    in_memory, on_azurite = MemoryMessages(utc_now), build(settings_for(azurite)).messages
    for name in (FETCH_QUEUE, NOTIFY_QUEUE):
        real_services.queues.get_queue_client(name).clear_messages()
    message = FetchMessage(owner=owner, job_id=new_job_id(utc_now()), index=1)
    in_memory.send_fetch(message, -timedelta(minutes=7))
    was_due = message.encode(due=utc_now() - timedelta(minutes=7))
    real_services.queues.get_queue_client(FETCH_QUEUE).send_message(
        base64.b64encode(was_due.encode()).decode()
    )
    for messages in (in_memory, on_azurite):
        messages.send_fetch(message, timedelta(hours=1))
        assert messages.state(NOTIFY_QUEUE) == QueueState(0, timedelta())
        state = messages.state(FETCH_QUEUE)
        assert state.depth == 2
        assert timedelta(minutes=7) <= state.oldest < timedelta(minutes=17)


@pytest.mark.parametrize("text", ["e30=", "eyJkdWUiOiJsYXRlciJ9", "eyJkdWUiOjFlOTl9", "no base64", "W10="])
def test_a_message_that_does_not_say_when_it_became_due_is_as_old_as_it_is_there(
    azurite: Azurite, real_services: StorageServices, text: str
) -> None:
    messages = build(settings_for(azurite)).messages
    queue = real_services.queues.get_queue_client(FETCH_QUEUE)
    queue.clear_messages()
    queue.send_message(text)
    assert timedelta() <= messages.state(FETCH_QUEUE).oldest < timedelta(hours=1)
    queue.clear_messages()


@pytest.mark.parametrize("where", ["memory", "azurite"])
def test_what_the_host_gave_up_is_taken_as_it_is_and_stays_until_it_is_dropped(
    azurite: Azurite, real_services: StorageServices, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {POLL_QUEUE: "eyJ2IjoxfQ==", FETCH_QUEUE: "{no base64}", NOTIFY_QUEUE: "/w=="}
    bodies = {POLL_QUEUE: b'{"v":1}', FETCH_QUEUE: None, NOTIFY_QUEUE: b"\xff"}
    messages: Messages
    if where == "memory":
        memory = MemoryMessages(utc_now)
        monkeypatch.setattr(memory_queues, "_POISON_HIDDEN", timedelta())
        messages = memory
    else:
        monkeypatch.setattr(queues, "_POISON_HIDDEN", 1)
        messages = build(settings_for(azurite)).messages
        for name in sent:
            with contextlib.suppress(ResourceNotFoundError):
                real_services.queues.delete_queue(f"{name}-poison")
    assert messages.take_poison(32) == []
    assert [messages.count_poison(name) for name in sent] == [0, 0, 0]
    for name, text in sent.items():
        if where == "memory":
            memory.poison(name, bodies[name])
        else:
            with contextlib.suppress(ResourceExistsError):
                real_services.queues.create_queue(f"{name}-poison")
            real_services.queues.get_queue_client(f"{name}-poison").send_message(text)
    taken = messages.take_poison(32)
    assert {each.queue: each.body for each in taken} == bodies
    assert {each.tries for each in taken} == {1}
    assert [messages.count_poison(name) for name in sent] == [1, 1, 1]
    while not (again := messages.take_poison(32)):
        time.sleep(0.1)
    for each in again:
        assert each.tries == 2
        messages.drop_poison(each)
        messages.drop_poison(each)  # it is gone already


def test_messages_are_base64_json_with_ids_only_delayed_and_without_an_end(
    real_services: StorageServices, azurite: Azurite, owner: str
) -> None:
    services = build(settings_for(azurite))
    job = a_job(owner)
    for name in (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE):
        real_services.queues.get_queue_client(name).clear_messages()
    services.messages.send_poll(PollMessage(owner=owner, job_id=job.id, turn=2), timedelta(hours=1))
    services.messages.send_fetch(FetchMessage(owner=owner, job_id=job.id, index=1, turn=0), timedelta())
    assert not list(real_services.queues.get_queue_client(POLL_QUEUE).receive_messages())
    [message] = real_services.queues.get_queue_client(FETCH_QUEUE).receive_messages()
    said = json.loads(base64.b64decode(message.content))
    assert abs(said.pop("due") - time.time()) < 600
    assert said == {"v": 1, "owner": owner, "job_id": job.id, "turn": 0, "index": 1}
    assert message.expires_on.year == 9999
    services.messages.send_notify(NotifyMessage(owner=owner, job_id=job.id, turn=3), timedelta())
    [message] = real_services.queues.get_queue_client(NOTIFY_QUEUE).receive_messages()
    said = json.loads(base64.b64decode(message.content))
    assert abs(said.pop("due") - time.time()) < 600
    assert said == {"v": 1, "owner": owner, "job_id": job.id, "turn": 3}
    for name in (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE):
        real_services.queues.get_queue_client(name).clear_messages()
