"""Leave rows and messages of a newer version alone: during a rolling deployment, two versions run side by side."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from video_jobs.domain.errors import NewerVersion
from video_jobs.domain.logs import log_event

log = logging.getLogger("reelkeep.newer")


@contextlib.contextmanager
def skipping_newer() -> Iterator[None]:
    """Drop a newer version's message with one line in the log, so that it does not become poison.

    The newer version's sweeper sends the job's next message.
    """
    try:
        yield
    except NewerVersion as newer:
        log_event(log, logging.WARNING, "newer.message_skipped", problem=newer)
