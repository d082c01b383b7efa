"""Wires the app up, once a process: settings, storage, backends. The only module that knows every adapter."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from video_jobs.backends.registry import Backends
from video_jobs.domain.errors import InvalidSettings, ReelkeepError
from video_jobs.domain.logs import log_event
from video_jobs.net.public_fetch import PublicFetch
from video_jobs.ports import Clock
from video_jobs.ports.kept import Kept
from video_jobs.services import Services, Sweep
from video_jobs.settings.app import Settings
from video_jobs.storage.blobs import StorageBlobs, create_containers
from video_jobs.storage.claims import TableClaims
from video_jobs.storage.connection import blob_origin, connect
from video_jobs.storage.disabled_webhooks import TableHooks
from video_jobs.storage.estimates import TableEstimates
from video_jobs.storage.gates import TableGates
from video_jobs.storage.jobs import TableJobs, create_tables
from video_jobs.storage.live_jobs import TableLiveJobs
from video_jobs.storage.messages import StorageMessages, create_queues
from video_jobs.storage.occupant import claim_account
from video_jobs.storage.signing import BlobSigner, UserDelegationKeys, account_key
from video_jobs.webhooks.sender import HttpWebhookSender

log = logging.getLogger("reelkeep.settings")
_lock = threading.Lock()
_services: Services | None = None
_failed: tuple[float, ReelkeepError] | None = None  #: when the last try to build them ended, and how


def utc_now() -> datetime:
    return datetime.now(UTC)


def get_services() -> Services:
    """The process's services, built at the first call: an app whose settings are wrong must still start, to
    say so.

    Raises InvalidSettings or StorageUnavailable; the next call tries again. Calls that waited meanwhile get the same error: if
    each made a try of its own, while storage does not answer, the last would wait for minutes.
    """
    global _services, _failed
    asked_at = time.monotonic()
    with _lock:
        if _services is None:
            if _failed is not None and _failed[0] >= asked_at:
                raise _failed[1].with_traceback(None)
            try:
                _services = build(Settings.from_environment(os.environ))
            except ReelkeepError as error:
                _failed = time.monotonic(), error
                raise
        return _services


@contextlib.contextmanager
def use(services: Services | None) -> Iterator[None]:
    """Until the block ends, the process has these services; None: they are built again at the next call. For
    tests."""
    global _services
    with _lock:
        before, _services = _services, services
    try:
        yield
    finally:
        with _lock:
            _services = before


def storage_origin() -> str | None:
    """The origin from which browsers load stored files, like `https://ACCOUNT.blob.core.windows.net`; calls nothing.

    None while the settings are not usable.
    """
    try:
        return blob_origin(Settings.from_environment(os.environ).storage)
    except InvalidSettings:
        return None


def build(settings: Settings, clock: Clock | None = None) -> Services:
    """Creates missing tables, queues and containers. Raises InvalidSettings if they belong to another app.

    `clock`: in place of storage's.
    """
    _give_large_blocks_back()
    if settings.sign_in.problem is not None:
        log_event(log, logging.ERROR, "settings.sign_in_unusable", problem=settings.sign_in.problem)
    storage = connect(settings.storage)
    clock = clock or storage.clock
    create_tables(storage.tables)
    if settings.app_name is not None:
        claim_account(storage.tables, settings.app_name, storage.account)
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
        messages=StorageMessages(storage.queues, clock),
        blobs=StorageBlobs(storage.blobs, BlobSigner(storage.blobs, keys, clock, storage.account)),
        backends=Backends(settings),
        hooks=TableHooks(storage.tables),
        webhook_sender=HttpWebhookSender(allow_http_loopback=settings.webhooks.allow_http_loopback),
        webhooks=settings.webhooks,
        images=PublicFetch(),
        sweep=Sweep(),
        kept_jobs=Kept(),
        kept_gates=Kept(),
        kept_estimates=Kept(),
        create_deadline=settings.create_deadline,
        fetch_deadline=settings.fetch_deadline,
        retention=settings.retention,
        compat_api_keys=settings.compat_api_keys,
        sign_in=settings.sign_in,
        owner_limits=settings.owner_limits,
    )


def _give_large_blocks_back() -> None:
    """glibc keeps a large block that was freed, one for each thread. After this call, it returns blocks of a megabyte
    and more to the system at once: images, bodies, and the pieces of a video. With another C library this does
    nothing."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)


_M_MMAP_THRESHOLD = -3  # of malloc.h
