"""What a newer version of the app stored or sent is left alone: while a deployment rolls, the two run side by side."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from video_jobs.domain.errors import NewerVersion
from video_jobs.domain.logs import log_event

log = logging.getLogger("reelkeep.newer")


@contextlib.contextmanager
def skipping_newer() -> Iterator[None]:
    """For a queue function: the message is over, with one line in the log, and never becomes poison.

    The newer version's sweeper sends the job's next message.
    """
    try:
        yield
    except NewerVersion as newer:
        log_event(log, logging.WARNING, "newer.message_skipped", problem=newer)
