"""Fields of a job that belong together. In the job's row, each is a column of its own."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Submission(NamedTuple):
    """How far the latest attempt at the paid call has come."""

    attempt: str | None = None  #: its random name
    submitting_since: datetime | None = None
    submitted_at: datetime | None = None
    outcome_lost_at: datetime | None = None  #: when it was saved that no answer shows the paid call's outcome
    refused_at: datetime | None = None  #: when the backend last refused it for the key or the deployment


class Cancellation(NamedTuple):
    """A client's request to cancel the job, and what became of it."""

    requested_at: datetime | None = None
    refused: str | None = None  #: why the backend continues in spite of the request

    @property
    def is_wanted(self) -> bool:
        """Whether the backend is still to be asked."""
        return self.requested_at is not None and self.refused is None


class Polls(NamedTuple):
    """What the polls have told of the backend job, and since when they tell too little."""

    last_polled_at: datetime | None = None  #: when the video API last gave its state
    not_found_since: datetime | None = None
    unknown_since: datetime | None = None  #: since when its status is a word that the app does not know
    no_output_since: datetime | None = None
