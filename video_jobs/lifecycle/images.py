"""The images of a request: those that were sent, and those that are fetched from a client's address."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from video_jobs.domain.errors import InvalidRequest, NotFetched
from video_jobs.domain.job import InputImage
from video_jobs.media.images import LARGEST_IMAGE, described
from video_jobs.services import Services

FETCH_SECONDS = 15.0
"""For all images of a request: its client waits for them."""

_NOT_KNOWN = InputImage("", 0, "", 0, 0)


@dataclass(frozen=True)
class SentImage:
    """One image of a request: its bytes, or the https address where they are. `field` names it in messages."""

    field: str
    content: bytes | None = dataclasses.field(default=None, repr=False)
    address: str | None = dataclasses.field(default=None, repr=False)
    facts: InputImage = _NOT_KNOWN  #: without a size until the bytes are here

    @property
    def identity(self) -> str:
        """The text that distinguishes this image from another in a fingerprint."""
        return self.address if self.address is not None else self.facts.sha256

    def with_content(self, content: bytes) -> SentImage:
        """Raises InvalidRequest if it is not an image that the video APIs accept."""
        return replace(self, content=content, facts=described(content, self.field))


Images = Mapping[int, SentImage]
"""By the numbers that `VideoRequest.images` has."""


def refuse_too_many_bytes(images: Images) -> None:
    """Raises InvalidRequest if all together are larger than one image may be: they are in memory at the same time."""
    total = sum(len(each.content or b"") for each in images.values())
    if total > LARGEST_IMAGE:
        words = (
            f"makes {total} bytes with the other images; at most {LARGEST_IMAGE} (20 MiB) are taken together"
        )
        raise InvalidRequest.of(images[max(images)].field, words)


def fetched(services: Services, images: Images) -> Images:
    """The images with the bytes of all. Raises InvalidRequest if one can't be fetched or is not an image."""
    ends_at = time.monotonic() + FETCH_SECONDS
    left = LARGEST_IMAGE - sum(len(each.content or b"") for each in images.values())
    whole: dict[int, SentImage] = {}
    for number, sent in images.items():
        whole[number] = sent
        if sent.content is None and sent.address is not None:
            try:
                content = services.images.fetch(sent.address, left, max(ends_at - time.monotonic(), 0.001))
            except NotFetched as error:
                raise InvalidRequest.of(sent.field, f"could not be fetched: {error}") from None
            whole[number] = sent.with_content(content)
            left -= len(content)
    return whole
