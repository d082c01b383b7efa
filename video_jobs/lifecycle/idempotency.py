"""The hashes under which idempotency keys are kept."""

from __future__ import annotations

import hashlib


def key_of(*parts: str) -> str:
    """The hash under which an idempotency key is kept.

    One part: a client's own key. More: ours, which no client can send, for what may be made only once.
    """
    return hashlib.sha256("\n".join(parts).encode("utf-8")).hexdigest()


def retry_key(job_id: str) -> str:
    """Of the one job that tries this one again."""
    return key_of("retry", job_id)
