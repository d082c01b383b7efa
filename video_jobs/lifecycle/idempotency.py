"""The hashes under which idempotency keys are kept."""

from __future__ import annotations

import hashlib


def key_of(*parts: str) -> str:
    """The hash under which an idempotency key is kept.

    One part is a client's own key. Several parts are a key of the app, which no client can send, for a job that may be
    made only once.
    """
    return hashlib.sha256("\n".join(parts).encode("utf-8")).hexdigest()


def retry_key(job_id: str) -> str:
    """The hash for the one retry of this job."""
    return key_of("retry", job_id)


def import_key(base_url: str, backend_job_id: str) -> str:
    """The hash for the one import of this backend job."""
    return key_of("import", base_url, backend_job_id)
