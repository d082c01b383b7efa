"""The file name of a saved video: the words of its prompt, and enough of its id to be unique."""

from __future__ import annotations

import re
import unicodedata

from video_jobs.domain.job import Job

_LONGEST = 60  # characters of the prompt


def file_name(job: Job, index: int) -> str:
    """Letters a to z, digits and hyphens: every file system and every header takes these."""
    plain = unicodedata.normalize("NFKD", job.request.prompt[:500]).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) > _LONGEST:
        words = words[: _LONGEST + 1].rpartition("-")[0] or words[:_LONGEST]
    number = f"-{index + 1}" if len(job.outputs) > 1 else ""
    return f"{words or 'video'}-{job.id[-6:]}{number}.mp4"
