"""The data that hosts of one app share in Blob Storage: which host runs a timer, and when it ran last.

The names are the real host's: container `azure-webjobs-hosts`, `locks/HOST/…` and `timers/HOST/…`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from datetime import datetime
from typing import Protocol

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobLeaseClient, BlobServiceClient, ContainerClient

from local.function_host.leases import brief

log = logging.getLogger(__name__)

CONTAINER = "azure-webjobs-hosts"
LEASE_SECONDS = 60  # of a blob, the longest that is not for ever
RENEW_SECONDS = 30.0


class TimerStore(Protocol):
    """The lock of one timer."""

    def acquire(self) -> bool:
        """Whether this host runs the timer: until `release`, or until `held` is false."""

    @property
    def held(self) -> bool: ...

    def release(self) -> None: ...

    def last_run(self) -> datetime | None: ...

    def note_run(self, at: datetime) -> None: ...


class OwnTimer:
    """For an app without storage: there is no other host, and nothing is known of earlier ones."""

    held = True

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return

    def last_run(self) -> datetime | None:
        return None

    def note_run(self, at: datetime) -> None:
        return


class SharedTimer:
    """Held with a blob lease, which a thread renews. If the holder is killed, other hosts wait for up to a minute."""

    def __init__(
        self,
        service: BlobServiceClient,
        host_id: str,
        function: str,
        lease_seconds: int = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._container: ContainerClient = service.get_container_client(CONTAINER)
        self._lock = self._container.get_blob_client(f"locks/{host_id}/Host.Functions.{function}.Listener")
        self._status = self._container.get_blob_client(f"timers/{host_id}/Host.Functions.{function}/status")
        self._name = function
        self._lease_seconds = lease_seconds
        self._renew_seconds = renew_seconds
        self._lease: BlobLeaseClient | None = None
        self._released = threading.Event()

    @property
    def held(self) -> bool:
        return self._lease is not None

    def acquire(self) -> bool:
        if self._lease is not None:
            return True
        try:
            with contextlib.suppress(ResourceExistsError):
                self._container.create_container()
            with contextlib.suppress(ResourceExistsError):
                self._lock.upload_blob(b"", overwrite=False)
            self._lease = self._lock.acquire_lease(lease_duration=self._lease_seconds)
        except AzureError as error:  # usually another host has it
            log.debug("Timer %s: its lock is not to be had: %s", self._name, brief(error))
            return False
        self._released.clear()
        threading.Thread(target=self._keep, args=(self._lease,), name="timer-lock", daemon=True).start()
        return True

    def release(self) -> None:
        lease, self._lease = self._lease, None
        self._released.set()
        if lease is not None:
            with contextlib.suppress(AzureError):
                lease.release()

    def last_run(self) -> datetime | None:
        try:
            document = json.loads(self._status.download_blob().readall())
            return datetime.fromisoformat(document["Last"])
        except (ResourceNotFoundError, ValueError, KeyError, TypeError):
            return None

    def note_run(self, at: datetime) -> None:
        try:
            self._status.upload_blob(json.dumps({"Last": at.isoformat()}).encode(), overwrite=True)
        except AzureError as error:
            log.warning("Timer %s: its last run could not be noted: %s", self._name, brief(error))

    def _keep(self, lease: BlobLeaseClient) -> None:
        while not self._released.wait(self._renew_seconds):
            try:
                lease.renew()
            except AzureError as error:
                log.warning("Timer %s: its lock is lost: %s", self._name, brief(error))
                self._lease = None
                return
