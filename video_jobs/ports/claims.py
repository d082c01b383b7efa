"""Which job owns which backend job."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Claim(NamedTuple):
    """The owner of a backend job, whether submitted, adopted or imported. Ids belong to one address."""

    base_url: str
    backend_job_id: str
    owner: str
    job_id: str


class Claims(Protocol):
    def claim(self, claim: Claim) -> Claim:
        """Claim the backend job if nobody has. Gives the valid claim: this one, or that of the job that was first."""

    def find(self, base_url: str, backend_job_id: str) -> Claim | None: ...

    def of_job(self, job_id: str, base_url: str | None = None) -> list[Claim]:
        """The claims of this job at an address. They show an id even if a crash kept it out of the job's row.

        Without an address, its claims at all addresses; that reads the whole table.
        """

    def hand_over(self, claim: Claim, from_job_id: str) -> Claim:
        """Claim the backend job if nobody has, or take it over from another job of the same owner. Gives the valid claim."""

    def release(self, claim: Claim) -> None:
        """Delete the claim if it is this job's; no error if it is not."""
