"""What the use cases need of the outside world, as Protocols, and the values that cross the border.

Each port has one real adapter (`storage/`, `backends/`, `webhooks/sender.py`); those of storage have an in-memory
twin as well (`storage/memory/`), held to the same tests.
"""

from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.ports.backend import Backend, Backends, ContentStream, Image, ListedJobs
from video_jobs.ports.blobs import BlobFacts, Blobs, SignedUrl, VideoKey
from video_jobs.ports.claims import Claim, Claims
from video_jobs.ports.clock import Clock
from video_jobs.ports.estimates import Estimates, StoredEstimate
from video_jobs.ports.gates import Gates, StoredGate
from video_jobs.ports.images import ImageSource
from video_jobs.ports.jobs import Allowance, IdempotencyEntry, JobPage, JobStore, StoredJob, StoredQuota
from video_jobs.ports.live_jobs import LiveJob, LiveJobs
from video_jobs.ports.messages import Messages, PoisonMessage
from video_jobs.ports.webhooks import GivenUp, Hook, Hooks, WebhookSender

__all__ = [
    "Allowance",
    "Backend",
    "BackendJob",
    "BackendState",
    "Backends",
    "BlobFacts",
    "Blobs",
    "Claim",
    "Claims",
    "Clock",
    "ContentStream",
    "Estimates",
    "Gates",
    "GivenUp",
    "Hook",
    "Hooks",
    "IdempotencyEntry",
    "Image",
    "ImageSource",
    "JobPage",
    "JobStore",
    "ListedJobs",
    "LiveJob",
    "LiveJobs",
    "Messages",
    "PoisonMessage",
    "SignedUrl",
    "StoredEstimate",
    "StoredGate",
    "StoredJob",
    "StoredQuota",
    "VideoKey",
    "WebhookSender",
]
