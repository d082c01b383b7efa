"""Wires the app up, once a process: settings, storage, backends."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from video_jobs.backends.registry import Backends
from video_jobs.door_keys import DoorKeys
from video_jobs.errors import InvalidSettings
from video_jobs.job import DEFAULT_OWNER
from video_jobs.ports import (
    Blobs,
    Claims,
    Clock,
    Estimates,
    Gates,
    Hooks,
    JobStore,
    LiveJob,
    LiveJobs,
    Messages,
    WebhookSender,
)
from video_jobs.quota import OwnerLimits
from video_jobs.settings import Settings
from video_jobs.sign_in import SignIn
from video_jobs.storage.blobs import StorageBlobs, create_containers
from video_jobs.storage.claims import TableClaims
from video_jobs.storage.connection import blob_origin, connect
from video_jobs.storage.estimates import TableEstimates
from video_jobs.storage.gates import TableGates
from video_jobs.storage.hooks import TableHooks
from video_jobs.storage.live_jobs import TableLiveJobs
from video_jobs.storage.queues import StorageMessages, create_queues
from video_jobs.storage.signing import BlobSigner, UserDelegationKeys, account_key
from video_jobs.storage.tables import TableJobs, create_tables
from video_jobs.webhooks.sender import HttpWebhookSender
from video_jobs.webhooks.settings import WebhookSettings

log = logging.getLogger("reelkeep.settings")


@dataclass
class Sweep:
    """How far the sweeper came in the time that it has; the next one goes on from there. Lost with the process, which costs
    one more round."""

    stopped_at: LiveJob | None = None


@dataclass(frozen=True)
class Services:
    """All that a use case may touch."""

    clock: Clock
    jobs: JobStore
    live_jobs: LiveJobs
    claims: Claims
    gates: Gates
    estimates: Estimates
    messages: Messages
    blobs: Blobs
    backends: Backends
    hooks: Hooks
    webhook_sender: WebhookSender
    webhooks: WebhookSettings
    create_deadline: float  #: seconds
    fetch_deadline: float  #: seconds
    retention: timedelta | None = None  #: how long ended jobs are kept; None: for ever
    door_keys: DoorKeys = field(default_factory=DoorKeys)  #: of the OpenAI door
    sign_in: SignIn = field(default_factory=SignIn)
    owner_limits: OwnerLimits = field(default_factory=OwnerLimits)
    sweep: Sweep = field(default_factory=Sweep)

    @property
    def has_several_owners(self) -> bool:
        """Whether jobs may be others' than the one's who asks: then nobody may learn of what may be another's."""
        named = any(key.owner != DEFAULT_OWNER for key in self.door_keys.keys)
        return self.sign_in.is_trusted or named


def utc_now() -> datetime:
    return datetime.now(UTC)


_lock = threading.Lock()
_services: Services | None = None


def get_services() -> Services:
    """The process's services, built at the first call: an app whose settings are wrong must still start, to
    say so.

    Raises InvalidSettings or StorageUnavailable; the next call tries again.
    """
    global _services
    with _lock:
        if _services is None:
            _services = build(Settings.from_environment(os.environ))
        return _services


def storage_origin() -> str | None:
    """Where the browser finds what is stored, like `https://ACCOUNT.blob.core.windows.net`; asks nobody.

    None while the settings are not usable.
    """
    try:
        return blob_origin(Settings.from_environment(os.environ).storage)
    except InvalidSettings:
        return None


def build(settings: Settings, clock: Clock = utc_now) -> Services:
    """Creates tables, queues and containers where they are missing."""
    if settings.sign_in.problem is not None:
        log.error("%s", settings.sign_in.problem)
    storage = connect(settings.storage)
    create_tables(storage.tables)
    create_queues(storage.queues)
    create_containers(storage.blobs)
    keys = account_key(storage.account_key) if storage.account_key else UserDelegationKeys(storage.blobs)
    return Services(
        clock=clock,
        jobs=TableJobs(storage.tables),
        live_jobs=TableLiveJobs(storage.tables),
        claims=TableClaims(storage.tables),
        gates=TableGates(storage.tables),
        estimates=TableEstimates(storage.tables),
        messages=StorageMessages(storage.queues),
        blobs=StorageBlobs(storage.blobs, BlobSigner(storage.blobs, keys, clock, storage.account)),
        backends=Backends(settings),
        hooks=TableHooks(storage.tables),
        webhook_sender=HttpWebhookSender(allow_http_loopback=settings.webhooks.allow_http_loopback),
        webhooks=settings.webhooks,
        create_deadline=settings.create_deadline,
        fetch_deadline=settings.fetch_deadline,
        retention=settings.retention,
        door_keys=settings.door_keys,
        sign_in=settings.sign_in,
        owner_limits=settings.owner_limits,
    )
