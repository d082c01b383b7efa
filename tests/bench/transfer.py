"""One video from the video API into Blob Storage, by the code that `fetch_video` runs for each output."""

from __future__ import annotations

import secrets

from video_jobs.domain.job import StoredVideo
from video_jobs.media.verification import VerifiedStream
from video_jobs.ports import VideoKey
from video_jobs.services import Services

_DEADLINE = 300.0  # seconds


def transfer(services: Services, video_id: str) -> StoredVideo:
    """Stores it as an output of a job of its own."""
    backend, _ = services.backends.choose(None)
    place = VideoKey("bench", f"job_{secrets.token_hex(8)}", 0)
    with services.backends.client(backend).open_video(video_id, video_id, _DEADLINE) as content:
        stream = VerifiedStream(content)
        if not services.blobs.put_video(place, iter(stream), lambda: _metadata(stream)):
            raise RuntimeError("There was a blob of that name already.")
    return _known(stream)


def _metadata(stream: VerifiedStream) -> dict[str, str]:
    return {"sha256": _known(stream).sha256}


def _known(stream: VerifiedStream) -> StoredVideo:
    assert stream.video is not None
    return stream.video
