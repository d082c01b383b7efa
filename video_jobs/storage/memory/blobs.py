"""The twin of `storage/blobs.py`."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from video_jobs.domain.errors import InputMissing
from video_jobs.domain.job import InputImage
from video_jobs.ports import BlobFacts, SignedUrl, VideoKey
from video_jobs.storage.blobs import input_name, is_input_of, missing_input, thumbnail_name, video_name
from video_jobs.storage.signing import good_until


@dataclass(frozen=True)
class MemoryBlob:
    content: bytes
    metadata: dict[str, str]


class MemoryBlobs:
    """See `ports.Blobs`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.videos: dict[str, MemoryBlob] = {}
        self.inputs: dict[str, bytes] = {}

    def put_video(
        self, key: VideoKey, chunks: Iterator[bytes], metadata: Callable[[], Mapping[str, str]]
    ) -> bool:
        blob = MemoryBlob(b"".join(chunks), dict(metadata()))
        with self._lock:
            return self.videos.setdefault(video_name(key), blob) is blob

    def find_video(self, key: VideoKey) -> BlobFacts | None:
        blob = self.videos.get(video_name(key))
        return BlobFacts(len(blob.content), dict(blob.metadata)) if blob else None

    def put_thumbnail(self, key: VideoKey, ending: str, content_type: str, content: bytes) -> None:
        self.videos[thumbnail_name(key, ending)] = MemoryBlob(content, {})

    def put_summary(self, owner: str, job_id: str, content: bytes) -> None:
        self.videos[f"{owner}/{job_id}/job.json"] = MemoryBlob(content, {})

    def put_input(self, owner: str, job_id: str, image: InputImage, content: bytes, number: int = 0) -> None:
        self.inputs[input_name(owner, job_id, number)] = content

    def get_input(self, owner: str, job_id: str, number: int = 0) -> BinaryIO:
        name = input_name(owner, job_id, number)
        if name not in self.inputs:
            raise InputMissing(missing_input(job_id))
        return io.BytesIO(self.inputs[name])

    def delete_input(self, owner: str, job_id: str) -> None:
        first = input_name(owner, job_id)
        for name in [name for name in self.inputs if is_input_of(name, first)]:
            self.inputs.pop(name, None)

    def delete_job(self, owner: str, job_id: str) -> None:
        with self._lock:
            for name in [name for name in self.videos if name.startswith(f"{owner}/{job_id}/")]:
                del self.videos[name]
        self.delete_input(owner, job_id)

    def sign_video(self, key: VideoKey) -> SignedUrl:
        return SignedUrl(f"memory:{video_name(key)}", good_until(self._clock()))

    def sign_download(self, key: VideoKey, file_name: str) -> SignedUrl:
        return SignedUrl(f"memory:{video_name(key)}?download", good_until(self._clock()))

    def sign_thumbnail(self, key: VideoKey, ending: str) -> SignedUrl:
        return SignedUrl(f"memory:{thumbnail_name(key, ending)}", good_until(self._clock()))

    def ping(self) -> None:
        pass
