"""The in-memory twins of the storage adapters, for tests without a server; held to the same tests."""

from video_jobs.storage.memory.blobs import MemoryBlob, MemoryBlobs
from video_jobs.storage.memory.claims import MemoryClaims
from video_jobs.storage.memory.disabled_webhooks import MemoryHooks
from video_jobs.storage.memory.estimates import MemoryEstimates
from video_jobs.storage.memory.gates import MemoryGates
from video_jobs.storage.memory.jobs import MemoryJobs
from video_jobs.storage.memory.live_jobs import MemoryLiveJobs
from video_jobs.storage.memory.messages import MemoryMessages, QueuedMessage

__all__ = [
    "MemoryBlob",
    "MemoryBlobs",
    "MemoryClaims",
    "MemoryEstimates",
    "MemoryGates",
    "MemoryHooks",
    "MemoryJobs",
    "MemoryLiveJobs",
    "MemoryMessages",
    "QueuedMessage",
]
