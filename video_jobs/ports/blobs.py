"""Videos, their thumbnails and their images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, NamedTuple, Protocol

from video_jobs.domain.job import InputImage


@dataclass(frozen=True)
class VideoKey:
    """The blob of one output of a job: `{owner}/{job_id}/{index}.mp4`."""

    owner: str
    job_id: str
    index: int


class BlobFacts(NamedTuple):
    """The properties and metadata of a committed video blob."""

    length: int  #: bytes
    metadata: dict[str, str]


class SignedUrl(NamedTuple):
    """A read-only URL and when it ends. The URL is a secret: only an answer may have it."""

    url: str
    expires_at: datetime


class Blobs(Protocol):
    def put_video(
        self, key: VideoKey, chunks: Iterator[bytes], metadata: Callable[[], Mapping[str, str]]
    ) -> bool:
        """Stage the chunks and commit them under `metadata()`, unless there is a blob already: then False.

        Nothing is committed when `chunks` raises, and `metadata` is asked after the last chunk.
        """

    def find_video(self, key: VideoKey) -> BlobFacts | None: ...

    def put_thumbnail(self, key: VideoKey, ending: str, content_type: str, content: bytes) -> None: ...

    def put_summary(self, owner: str, job_id: str, content: bytes) -> None:
        """Write `job.json` beside the videos."""

    def put_input(self, owner: str, job_id: str, image: InputImage, content: bytes, number: int = 0) -> None:
        """`number`: as `VideoRequest.images` has it."""

    def get_input(self, owner: str, job_id: str, number: int = 0) -> BinaryIO:
        """A file on disk, at its beginning, for the caller to close. Raises InputMissing."""

    def delete_input(self, owner: str, job_id: str) -> None:
        """All images of a job. No error if there is none."""

    def delete_job(self, owner: str, job_id: str) -> None:
        """Everything that is stored of a job: videos, thumbnails, summary, images. May be repeated."""

    def sign_video(self, key: VideoKey) -> SignedUrl: ...

    def sign_download(self, key: VideoKey, file_name: str) -> SignedUrl:
        """Another URL of the video: a browser saves the file under `file_name` (plain letters), and plays it at the
        URL of `sign_video`."""

    def sign_thumbnail(self, key: VideoKey, ending: str) -> SignedUrl: ...

    def ping(self) -> None:
        """Raises StorageUnavailable if it can't be used."""
