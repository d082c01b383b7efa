"""Videos, thumbnails, summaries and input images in Blob Storage."""

from __future__ import annotations

import base64
import contextlib
import itertools
import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, cast

from azure.core.exceptions import (
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobClient, BlobServiceClient, ContentSettings

from video_jobs.domain.errors import InputMissing
from video_jobs.domain.job import InputImage
from video_jobs.ports import BlobFacts, SignedUrl, VideoKey
from video_jobs.storage.connection import ONCE, error_code, translated, unless_there
from video_jobs.storage.signing import BlobSigner

VIDEOS = "videos"
INPUTS = "inputs"

_THERE_ALREADY = ("BlobAlreadyExists", "ConditionNotMet", "InvalidBlockList")
"""Another transfer committed first, which may have removed our staged blocks."""

_MAY_NOT_CHANGE = ("BlobImmutableDueToPolicy", "LeaseIdMissing", "BlobArchived")
"""The blob is there, and the operator keeps it as it is: by a policy of the container, a lease or the archive tier."""

_RANGE = 4 << 20  # bytes; an image is read in pieces of this size
_UPLOADS_AT_ONCE = 3  # with the one being read, four chunks of a transfer are in memory


class StorageBlobs:
    """See `ports.Blobs`."""

    def __init__(self, service: BlobServiceClient, signer: BlobSigner) -> None:
        self._videos = service.get_container_client(VIDEOS)
        self._inputs = service.get_container_client(INPUTS)
        self._signer = signer

    def put_video(
        self, key: VideoKey, chunks: Iterator[bytes], metadata: Callable[[], Mapping[str, str]]
    ) -> bool:
        blob = self._videos.get_blob_client(video_name(key))
        begun = list(itertools.islice(chunks, 2))
        whole = begun[0] if len(begun) == 1 else None
        blocks = [] if whole is not None else _stage(blob, _resumed(begun, chunks))
        options: dict[str, Any] = {
            "content_settings": ContentSettings(content_type="video/mp4"),
            "metadata": dict(metadata()),
        }
        with translated(f"committing {video_name(key)}"):
            try:
                if whole is not None:  # one call instead of two
                    blob.upload_blob(whole, overwrite=False, validate_content=True, **options)
                else:
                    blob.commit_block_list(blocks, if_none_match="*", **options)
            except HttpResponseError as error:
                if error_code(error) not in _THERE_ALREADY:
                    raise
                return False
        return True

    def find_video(self, key: VideoKey) -> BlobFacts | None:
        with translated(f"looking for {video_name(key)}"):
            try:
                found = self._videos.get_blob_client(video_name(key)).get_blob_properties()
            except ResourceNotFoundError as error:
                if error_code(error) == "ContainerNotFound":  # which says nothing about a blob
                    raise
                return None
        return BlobFacts(found.size, dict(found.metadata))

    def put_thumbnail(self, key: VideoKey, ending: str, content_type: str, content: bytes) -> None:
        with translated(f"storing {thumbnail_name(key, ending)}"), _as_it_is_if_kept():
            self._videos.upload_blob(
                thumbnail_name(key, ending),
                content,
                overwrite=True,
                content_settings=ContentSettings(content_type=content_type),
            )

    def put_summary(self, owner: str, job_id: str, content: bytes) -> None:
        with translated(f"storing the summary of {job_id}"), _as_it_is_if_kept():
            self._videos.upload_blob(
                f"{owner}/{job_id}/job.json",
                content,
                overwrite=True,
                content_settings=ContentSettings(content_type="application/json"),
            )

    def put_input(self, owner: str, job_id: str, image: InputImage, content: bytes, number: int = 0) -> None:
        with translated(f"storing an input image of {job_id}"):
            self._inputs.upload_blob(
                input_name(owner, job_id, number),
                content,
                overwrite=True,
                content_settings=ContentSettings(content_type=image.content_type),
            )

    def get_input(self, owner: str, job_id: str, number: int = 0) -> BinaryIO:
        """Read the image in ranges: the SDK holds each piece that it reads three times in memory."""
        blob = self._inputs.get_blob_client(input_name(owner, job_id, number))
        with contextlib.ExitStack() as on_error:
            file = on_error.enter_context(cast(BinaryIO, tempfile.TemporaryFile()))  # noqa: SIM115 - closed by the caller
            while piece := _range_of(blob, file.tell(), job_id):
                file.write(piece)
                if len(piece) < _RANGE:
                    break
            file.seek(0)
            on_error.pop_all()
        return file

    def delete_input(self, owner: str, job_id: str) -> None:
        with translated(f"deleting the input images of {job_id}"):
            first = input_name(owner, job_id)
            for name in self._inputs.list_blob_names(name_starts_with=first):
                with contextlib.suppress(ResourceNotFoundError):
                    if is_input_of(name, first):
                        self._inputs.delete_blob(name, delete_snapshots="include")

    def delete_job(self, owner: str, job_id: str) -> None:
        with translated(f"deleting the blobs of {job_id}"):
            for name in self._videos.list_blob_names(name_starts_with=f"{owner}/{job_id}/"):
                with contextlib.suppress(ResourceNotFoundError):
                    # A blob with snapshots can only be deleted together with them.
                    self._videos.delete_blob(name, delete_snapshots="include")
        self.delete_input(owner, job_id)

    def sign_video(self, key: VideoKey) -> SignedUrl:
        return self._signer.sign(VIDEOS, video_name(key), _disposition("inline", key, "mp4"))

    def sign_download(self, key: VideoKey, file_name: str) -> SignedUrl:
        return self._signer.sign(VIDEOS, video_name(key), f'attachment; filename="{file_name}"')

    def sign_thumbnail(self, key: VideoKey, ending: str) -> SignedUrl:
        return self._signer.sign(VIDEOS, thumbnail_name(key, ending), _disposition("inline", key, ending))

    def ping(self) -> None:
        for container in (self._videos, self._inputs):
            with translated(f"reading the container {container.container_name}"):
                container.get_container_properties(**ONCE)


@contextlib.contextmanager
def _as_it_is_if_kept() -> Iterator[None]:
    """For what is written again after a crash: the earlier writing will do if it may not be replaced."""
    try:
        yield
    except HttpResponseError as error:
        if error_code(error) not in _MAY_NOT_CHANGE:
            raise


def create_containers(service: BlobServiceClient) -> None:
    with translated("creating the containers"):
        for name in (VIDEOS, INPUTS):
            with unless_there("ContainerAlreadyExists"):
                service.create_container(name)


def video_name(key: VideoKey) -> str:
    return f"{key.owner}/{key.job_id}/{key.index}.mp4"


def thumbnail_name(key: VideoKey, ending: str) -> str:
    return f"{key.owner}/{key.job_id}/{key.index}.{ending}"


def missing_input(job_id: str) -> str:
    return f"The input image of {job_id} is no longer in the container '{INPUTS}'. Submit the job again."


def input_name(owner: str, job_id: str, number: int = 0) -> str:
    """The name of an image's blob: the first image has the job's name, the others have a number after it."""
    return f"{owner}/{job_id}.{number}" if number else f"{owner}/{job_id}"


def is_input_of(name: str, first: str) -> bool:
    """Whether the name is that of an image of the job whose first image has the other one."""
    return name == first or name.startswith(f"{first}.")


def _disposition(kind: str, key: VideoKey, ending: str) -> str:
    """Saved under a name that says which job it is."""
    return f'{kind}; filename="{key.job_id}-{key.index}.{ending}"'


def _range_of(blob: BlobClient, offset: int, job_id: str) -> bytes:
    """Empty after the end. Raises InputMissing."""
    with translated(f"reading an input image of {job_id}"):
        try:
            return blob.download_blob(offset=offset, length=_RANGE).readall()
        except HttpResponseError as error:
            if error_code(error) == "BlobNotFound":
                raise InputMissing(missing_input(job_id)) from None
            if error_code(error) != "InvalidRange":
                raise
            return b""


def _resumed(begun: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    """Give all chunks, and keep none after it was given."""
    while begun:
        yield begun.pop(0)
    yield from rest


def _stage(blob: BlobClient, chunks: Iterator[bytes]) -> list[BlobBlock]:
    """Upload the chunks as uncommitted blocks while the next ones are read.

    Block ids are random, so that two transfers of one output don't mix. Errors of `chunks` are not translated.
    """
    blocks: list[BlobBlock] = []
    running: deque[Future[None]] = deque()

    def stage(block_id: str, chunk: bytes) -> None:
        with translated(f"storing {blob.blob_name}"):
            # One repeat, so that a download at its deadline still ends before the function's own time is over.
            # With an MD5, storage refuses a damaged block. It also saves Azurite from making its own checksum in
            # JavaScript, which takes longer than the rest of a transfer.
            blob.stage_block(block_id, chunk, length=len(chunk), validate_content=True, retry_total=1)

    with ThreadPoolExecutor(_UPLOADS_AT_ONCE, thread_name_prefix="stage-block") as pool:
        for chunk in chunks:
            block_id = base64.b64encode(secrets.token_bytes(15)).decode("ascii")
            blocks.append(BlobBlock(block_id))
            if len(running) == _UPLOADS_AT_ONCE:
                running.popleft().result()
            running.append(pool.submit(stage, block_id, chunk))
        for upload in running:
            upload.result()
    return blocks
