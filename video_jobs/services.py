"""What the use cases are given: ports and settings, and nothing that knows an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from video_jobs.domain.estimate import JobKind
from video_jobs.domain.job import DEFAULT_OWNER
from video_jobs.domain.quota import OwnerLimits
from video_jobs.ports import (
    Backends,
    Blobs,
    Claims,
    Clock,
    Estimates,
    Gates,
    Hooks,
    ImageSource,
    JobStore,
    LiveJob,
    LiveJobs,
    Messages,
    StoredEstimate,
    StoredGate,
    StoredJob,
    WebhookSender,
)
from video_jobs.ports.kept import Kept
from video_jobs.settings.api_keys import ApiKeys
from video_jobs.settings.sign_in import SignIn
from video_jobs.settings.webhooks import WebhookSettings


@dataclass
class Sweep:
    """Where the last sweep stopped when its time was over; the next one continues there. If the process ends, this is
    lost, and a sweep begins at the first job again."""

    stopped_at: LiveJob | None = None


class Timings(NamedTuple):
    """The pauses and times that the app sets itself; tests make them short."""

    save_again: tuple[float, ...] = (0, 1, 2, 4, 8, 16, 16)
    """Seconds between two tries to save the answer to a paid call; each try includes the SDK's own retries."""
    between_reads: float = 1.0  #: seconds between two reads of a job for a client that waits
    longest_sweep: float = 45.0  #: seconds; the next sweep begins after a minute


class Services(NamedTuple):
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
    images: ImageSource
    sweep: Sweep
    kept_jobs: Kept[str, StoredJob]  #: by id, of those that are polled
    kept_gates: Kept[str, StoredGate]  #: by backend
    kept_estimates: Kept[JobKind, StoredEstimate]
    create_deadline: float  #: seconds
    fetch_deadline: float  #: seconds
    retention: timedelta | None = None  #: how long ended jobs are kept; None: for ever
    compat_api_keys: ApiKeys = ApiKeys()  #: of the OpenAI-compatible API
    sign_in: SignIn = SignIn()
    owner_limits: OwnerLimits = OwnerLimits()
    timings: Timings = Timings()

    @property
    def is_multi_tenant(self) -> bool:
        """Whether the app may have several owners. Then nobody may learn of anything that may belong to another
        owner."""
        named = any(key.owner != DEFAULT_OWNER for key in self.compat_api_keys.keys)
        return self.sign_in.is_trusted or named
