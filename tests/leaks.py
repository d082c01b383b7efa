"""A watch over the whole run: no key, token or SAS in a log, a row, a message, a blob or an answer.

A SAS may stand in an answer's URL fields and in its Location, and nowhere else.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import azure.functions as func
from azure.core.exceptions import ResourceNotFoundError

from tests.pipeline import API_KEY, MemoryApp
from tests.receiver import SECRET
from tests.strange_api import KEY
from video_jobs.domain.logs import quieten_libraries
from video_jobs.settings.app import Settings
from video_jobs.storage.connection import StorageServices, connect

_MOST_PIPELINES = 8  # some tests build thousands
_URL_FIELDS = ("url", "download_url", "thumbnail_url")
_SIGNATURE = re.compile(r"\bsig=[\w%+/=.~-]{6,}")

_EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SECRETS = {
    API_KEY: "the video API's key",
    KEY: "the strange video API's key",
    _EMULATOR_KEY: "the storage account's key",
    SECRET.removeprefix("whsec_"): "the webhooks' secret",
}


def secrets_in(text: str, *, signatures_too: bool = True) -> list[str]:
    """Which secrets stand in a text, in words."""
    found = [name for secret, name in SECRETS.items() if secret in text]
    return [*found, "a SAS"] if signatures_too and _SIGNATURE.search(text) else found


class Leaks(logging.Handler):
    """From `begin` to `end`, notes each secret that gets out."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []
        self._pipelines: list[MemoryApp] = []
        self._stack = ExitStack()

    def begin(self) -> None:
        root = logging.getLogger()
        quieten_libraries()  # as the app does
        self._stack.callback(root.setLevel, root.level)
        self._stack.callback(root.removeHandler, self)
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        build, answer = MemoryApp.__init__, func.HttpResponse.__init__

        def build_and_note(pipeline: MemoryApp, *args: Any, **kwargs: Any) -> None:
            build(pipeline, *args, **kwargs)
            self._pipelines.append(pipeline)
            if len(self._pipelines) > _MOST_PIPELINES:
                self._look_into(self._pipelines.pop(0))

        def answer_and_look(response: func.HttpResponse, *args: Any, **kwargs: Any) -> None:
            answer(response, *args, **kwargs)
            self.look_at_answer(response)

        self._stack.enter_context(patch.object(MemoryApp, "__init__", build_and_note))
        self._stack.enter_context(patch.object(func.HttpResponse, "__init__", answer_and_look))

    def end(self) -> None:
        self._stack.close()

    def refuse(self) -> None:
        """Fails when something got out since the last time."""
        while self._pipelines:
            self._look_into(self._pipelines.pop())
        found, self.found = self.found, []
        assert not found, "\n".join(found)

    # --- logs ---

    def emit(self, record: logging.LogRecord) -> None:
        # With its traceback, where it has one, as it would be written.
        text = self.format(record) if record.exc_info else record.getMessage()
        self.look_at(f"a log line of {record.name}", text)

    # --- storage ---

    def _look_into(self, pipeline: MemoryApp) -> None:
        rows = [pipeline.jobs.everything(), pipeline.live_jobs.rows, pipeline.claims.claims]
        self.look_at("a row", repr([*rows, pipeline.gates.gates, pipeline.hooks.off]))
        self.look_at("a message", repr(pipeline.messages.queued))
        for name, blob in pipeline.blobs.videos.items():
            content = blob.content.decode("latin-1") if name.endswith(".json") else ""
            self.look_at(f"the blob {name}", f"{name} {blob.metadata} {content}")

    def look_into_storage(self, connection_string: str) -> None:
        """Everything that lies there, but the videos' own bytes."""
        for place, text in _stored(_connect(connection_string)):
            self.look_at(place, text)

    # --- answers ---

    def look_at_answer(self, response: func.HttpResponse) -> None:
        body = response.get_body() or b""
        headers = {name: value for name, value in response.headers.items() if name.lower() != "location"}
        self.look_at("an answer's headers", repr(headers))
        if any(sign in body for sign in (b"sig=", *(secret.encode() for secret in SECRETS))):
            self.look_at("an answer", "\n".join(_fit_for_no_url(body)))
            self.look_at("an answer", body.decode("latin-1"), signatures_too=False)

    def look_at(self, place: str, text: str, *, signatures_too: bool = True) -> None:
        for secret in secrets_in(text, signatures_too=signatures_too):
            self.found.append(f"{secret} stands in {place}: {_around(text)}")


def _fit_for_no_url(body: bytes) -> Iterator[str]:
    """All texts in an answer, but those in fields that are there for a URL."""
    try:
        yield from _texts(json.loads(body))
    except ValueError:
        yield body.decode("latin-1")


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for entry in value:
                yield from _texts(entry)
        case dict():
            for name, entry in value.items():
                if not (name in _URL_FIELDS and isinstance(entry, str)):
                    yield from _texts(entry)


def _around(text: str) -> str:
    for secret in SECRETS:
        text = text.replace(secret, f">>>{secret[:4]}...")
    text = _SIGNATURE.sub(">>>sig=...", text)
    at = max(text.find(">>>"), 0)
    return text[max(at - 200, 0) : at + 200]


def _connect(connection_string: str) -> StorageServices:
    environment: Mapping[str, str] = {
        "AzureWebJobsStorage": connection_string,
        "AZURE_OPENAI_ENDPOINT": "https://nowhere.invalid",
        "AZURE_OPENAI_DEPLOYMENT": "sora",
    }
    return connect(Settings.from_environment(environment).storage)


def _stored(storage: StorageServices) -> Iterator[tuple[str, str]]:
    for table in storage.tables.list_tables():
        rows = list(storage.tables.get_table_client(table.name).list_entities())
        yield f"a row of {table.name}", repr(rows)
    for queue in storage.queues.list_queues():
        messages = storage.queues.get_queue_client(queue.name).peek_messages(max_messages=32)
        yield f"a message of {queue.name}", repr([message.content for message in messages])
    for container in storage.blobs.list_containers():
        client = storage.blobs.get_container_client(container.name)
        for blob in client.list_blobs(include=["metadata"]):
            text = f"{blob.name} {blob.metadata}"
            if blob.name.endswith(".json"):
                try:
                    text += client.download_blob(blob.name).readall().decode("latin-1")
                except ResourceNotFoundError:
                    continue
            yield f"the blob {blob.name}", text
