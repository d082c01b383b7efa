"""Read a backend's list back to a moment: each poll reads a part, so the list may be of any length.

Only a list that was read whole, back to that moment, proves that a job is not in it. Most servers list the newest
first, as the app asks for; the list of any other server is read to its end.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import BackendError, Gone, NotFound, Rejected
from video_jobs.domain.job import ListSearch
from video_jobs.domain.transitions.shared import by_our_clock
from video_jobs.ports import Backend, ListedJobs

_MOST_PAGES = 20  # at one poll
_LONGEST = 45.0  # seconds at one poll
_FARTHEST_ZONE, _ZONES_APART = timedelta(hours=15), timedelta(minutes=30)
_MOST_READ = 200_000  # entries; a list that goes on beyond that is not read to its end
_MOST_EMPTY = 3  # pages in a row; such pages may come without end


class ListUnavailable(Exception):
    """The list can't be read right now, or not from where the last poll stopped."""

    def __init__(self, message: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates  #: ids from the part that was read


class NoList(Exception):
    """The backend's answer says that it has no list.

    `is_certain`: the answer says that there is no such call. A 404 is not certain: a gateway may have sent it.
    """

    def __init__(self, error: BackendError) -> None:
        super().__init__(str(error))
        self.is_certain = error.status in (405, 501)


class Entry(NamedTuple):
    """A job in the list and its time of creation: as listed, and corrected by the error of the backend's clock."""

    job: BackendJob
    moments: tuple[datetime, ...]  #: empty if the list gives no time; two if the clocks differ
    is_clock_told: bool  #: by the backend

    def is_within(self, begin: datetime, end: datetime) -> bool:
        return any(begin <= moment <= end for moment in self.moments)

    def is_within_elsewhere(self, begin: datetime, end: datetime) -> bool:
        """The same if its time is of another zone: some servers give local time without saying so."""
        apart = [moment - begin for moment in self.moments]
        return any(abs(each) <= _FARTHEST_ZONE and each % _ZONES_APART <= end - begin for each in apart)

    def is_before(self, moment: datetime) -> bool:
        return bool(self.moments) and max(self.moments) < moment

    @classmethod
    def read(cls, job: BackendJob, told_at: datetime | None, now: datetime) -> Entry:
        told = job.created_at
        moments = () if told is None else tuple({told, by_our_clock(told, told_at, now)})
        return cls(job, moments, told_at is not None)


class Reading(NamedTuple):
    """The part of the list that one poll read."""

    entries: tuple[Entry, ...]
    read: int  #: entries of all polls
    rest: ListSearch | None = None  #: where to go on
    problem: str | None = None  #: why it can't be read to its end

    @property
    def is_whole(self) -> bool:
        """Whether the list was read, by this poll and those before, back to the moment."""
        return self.rest is None and self.problem is None


def read_back(client: Backend, to: datetime | None, now: datetime, before: ListSearch | None) -> Reading:
    """The list's entries from where the poll before stopped, back to `to` (None: all of them).

    Raises ListUnavailable or NoList if nothing could be read.
    """
    began = time.monotonic()
    state = before or ListSearch(after=None, read=0)
    entries: list[Entry] = []
    empty = 0
    for number in range(_MOST_PAGES):
        if number and not empty and time.monotonic() - began > _LONGEST:
            break  # not between empty pages: the next poll would count them anew
        try:
            page = _page(client, state.after)
        except ListUnavailable as error:
            if not entries:
                raise
            return Reading(tuple(entries), state.read, problem=str(error))
        if page.next_after is not None and page.next_after == state.after:
            # The backend ignores `after` and sends the same page again: its whole list, or one full page.
            cut = page.says_more or page.is_full
            return _at_the_end(entries, state, "it can't be read beyond its first page" if cut else None)
        found = [Entry.read(job, page.told_at, now) for job in page.jobs]
        entries += found
        state = replace(
            state,
            read=state.read + len(found),
            is_newest_first=_is_newest_first(entries, state.is_newest_first),
            has_unreadable=state.has_unreadable or page.passed_over > 0,
        )
        if page.next_after is None:
            ended_early = not found and state.more_was_said
            problem = "it ended although it had announced another page" if ended_early else None
            return _at_the_end(entries, state, problem)
        empty = 0 if found else empty + 1
        if empty == _MOST_EMPTY:
            return _at_the_end(entries, state, f"it names another page after {empty} without jobs")
        if to is not None and state.is_newest_first and found and found[-1].is_before(to):
            return _at_the_end(entries, state, None)
        if state.read > _MOST_READ:
            return _at_the_end(entries, state, "its pages come to no end")
        state = replace(state, after=page.next_after, more_was_said=page.says_more)
    return Reading(tuple(entries), state.read, rest=state)


def _page(client: Backend, after: str | None) -> ListedJobs:
    try:
        return client.list_jobs(after)
    except BackendError as error:
        if after is not None and isinstance(error, NotFound | Gone | Rejected):
            raise ListUnavailable(f"it can't be read on: {error}") from error
        if after is None and (isinstance(error, NotFound | Gone) or error.status in (405, 501)):
            raise NoList(error) from error
        raise ListUnavailable(str(error)) from error


def _at_the_end(entries: list[Entry], state: ListSearch, problem: str | None) -> Reading:
    if problem is None and state.has_unreadable:
        problem = "it has entries that can't be read as jobs"
    return Reading(tuple(entries), state.read, problem=problem)


def _is_newest_first(entries: list[Entry], before: bool | None) -> bool | None:
    """None until two entries differ in age; always False after an entry that is newer than the one before it."""
    if before is False:
        return False
    moments = [entry.job.created_at for entry in entries if entry.job.created_at is not None]
    pairs = list(itertools.pairwise(moments))
    if any(later > earlier for earlier, later in pairs):
        return False
    return True if before or any(later < earlier for earlier, later in pairs) else None
