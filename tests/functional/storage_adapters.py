"""The storage adapters side by side: the real ones on Azurite, and their in-memory twin."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient

from local.azurite_process import Azurite
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import BackendRef, Job, VideoRequest
from video_jobs.ports import Blobs, Claims, Estimates, Gates, Hooks, JobStore, LiveJobs, Messages, StoredJob
from video_jobs.settings.app import Settings
from video_jobs.storage.memory import (
    MemoryBlobs,
    MemoryClaims,
    MemoryEstimates,
    MemoryGates,
    MemoryHooks,
    MemoryJobs,
    MemoryLiveJobs,
    MemoryMessages,
)
from video_jobs.wiring import build, utc_now


@dataclass
class Storage:
    jobs: JobStore
    live_jobs: LiveJobs
    claims: Claims
    gates: Gates
    estimates: Estimates
    messages: Messages
    blobs: Blobs
    hooks: Hooks


def in_memory() -> Storage:
    return Storage(
        MemoryJobs(),
        MemoryLiveJobs(),
        MemoryClaims(),
        MemoryGates(),
        MemoryEstimates(),
        MemoryMessages(utc_now),
        MemoryBlobs(utc_now),
        MemoryHooks(),
    )


def on_azurite(azurite: Azurite) -> Storage:
    services = build(settings_for(azurite))
    return Storage(
        services.jobs,
        services.live_jobs,
        services.claims,
        services.gates,
        services.estimates,
        services.messages,
        services.blobs,
        services.hooks,
    )


def settings_for(azurite: Azurite) -> Settings:
    return Settings.from_environment(
        {
            "AzureWebJobsStorage": azurite.connection_string,
            "AZURE_OPENAI_ENDPOINT": "https://nowhere.invalid",
            "AZURE_OPENAI_DEPLOYMENT": "sora",
            "AZURE_OPENAI_API_KEY": "k",
        }
    )


def a_name(kind: str) -> str:
    """One that no other test has: everything but the names is shared."""
    return f"{kind}-{secrets.token_hex(6)}"


def a_job(owner: str, backend: str = "default", **changes: Any) -> Job:
    now = changes.pop("created_at", datetime.now(UTC))
    return Job(
        id=new_job_id(now),
        owner=owner,
        created_at=now,
        updated_at=now,
        request=VideoRequest("a paper boat", 480, 480, 5),
        backend=BackendRef(backend, "azure-sora", "https://x.invalid", "sora"),
        **changes,
    )


def inserted(storage: Storage, job: Job) -> StoredJob:
    stored = storage.jobs.insert(job, None)
    assert isinstance(stored, StoredJob)
    return stored


class ForgetfulTransport(RequestsTransport):
    """Sends, and loses the next reply to a write when told so: nothing comes, or a 503 in its place; or the service
    had closed the connection, and nothing gets there."""

    lose = False
    unavailable = False
    closed = False

    def send(self, request: Any, **kwargs: Any) -> Any:
        if self.closed and request.method != "GET":
            self.closed = False
            raise ServiceResponseError("('Connection aborted.', RemoteDisconnected())")
        response = super().send(request, **kwargs)
        if request.method == "GET":
            return response
        if self.lose:
            self.lose = False
            raise ServiceResponseError("the reply was lost")
        if self.unavailable:
            self.unavailable = False
            response.status_code = 503
        return response


@dataclass
class Forgetful:
    """Tables whose replies get lost when a test wants it."""

    tables: TableServiceClient
    transport: ForgetfulTransport

    def lose_the_next_reply(self, how: str = "lose") -> None:
        setattr(self.transport, how, True)

    @property
    def lost(self) -> bool:
        return not (self.transport.lose or self.transport.unavailable or self.transport.closed)


def forgetful_tables(azurite: Azurite) -> Forgetful:
    build(settings_for(azurite))
    transport = ForgetfulTransport()
    tables = TableServiceClient.from_connection_string(
        azurite.connection_string, transport=transport, retry_backoff_factor=0
    )
    return Forgetful(tables, transport)
