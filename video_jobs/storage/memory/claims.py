"""The twin of `storage/claims.py`."""

from __future__ import annotations

import threading

from video_jobs.domain.backend_job import unpacked_id
from video_jobs.ports import Claim


class MemoryClaims:
    """See `ports.Claims`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.claims: dict[tuple[str, str], Claim] = {}

    def claim(self, claim: Claim) -> Claim:
        with self._lock:
            return self.claims.setdefault(_key(claim.base_url, claim.backend_job_id), claim)

    def find(self, base_url: str, backend_job_id: str) -> Claim | None:
        with self._lock:
            return self.claims.get(_key(base_url, backend_job_id))

    def of_job(self, job_id: str, base_url: str | None = None) -> list[Claim]:
        with self._lock:
            held = [claim for claim in self.claims.values() if claim.job_id == job_id]
        return [claim for claim in held if base_url is None or claim.base_url == base_url]

    def hand_over(self, claim: Claim, from_job_id: str) -> Claim:
        key = _key(claim.base_url, claim.backend_job_id)
        with self._lock:
            holder = self.claims.get(key)
            if holder is None or (holder.job_id, holder.owner) == (from_job_id, claim.owner):
                self.claims[key] = claim
            return self.claims[key]

    def release(self, claim: Claim) -> None:
        key = _key(claim.base_url, claim.backend_job_id)
        with self._lock:
            if key in self.claims and self.claims[key].job_id == claim.job_id:
                del self.claims[key]


def _key(base_url: str, backend_job_id: str) -> tuple[str, str]:
    return base_url, unpacked_id(backend_job_id)
