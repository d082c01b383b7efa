"""A client's request, as it is kept in the job: plain immutable data."""

from __future__ import annotations

from dataclasses import dataclass

FIRST, LAST = 0, 1
"""The numbers of those two among a request's images."""


@dataclass(frozen=True)
class InputImage:
    """The image that the video starts from; its bytes are in the `inputs` container."""

    content_type: str  #: image/png, image/jpeg or image/webp, as sniffed
    length: int  #: bytes
    sha256: str
    width: int  #: pixels
    height: int  #: pixels


@dataclass(frozen=True)
class VideoRequest:
    """The client's request, with the backend's defaults filled in."""

    prompt: str
    width: int  #: pixels
    height: int  #: pixels
    seconds: int
    variants: int = 1
    input_image: InputImage | None = None
    last_image: InputImage | None = None
    reference_images: tuple[InputImage, ...] = ()
    model: str | None = None  #: None: the backend's own at the time of submission
    aspect_ratio: str | None = None  #: like 16:9; with it, `width` and `height` may be 0
    resolution: str | None = None  #: like 720p
    audio: bool | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    options: str | None = None  #: a JSON object that goes to the provider as it is

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def shape(self) -> str:
        """The size if it is known, else the aspect ratio and resolution."""
        return self.size if self.width else " ".join(filter(None, (self.aspect_ratio, self.resolution)))

    @property
    def images(self) -> dict[int, InputImage]:
        """All images by the number of the blob that has their bytes: FIRST, LAST, then the references."""
        named = [self.input_image, self.last_image, *self.reference_images]
        return {number: image for number, image in enumerate(named) if image is not None}

    @property
    def has_more_than_lists_tell(self) -> bool:
        """Whether the request has parts that a backend's list does not show: an equal entry may be another job's."""
        further = (
            self.aspect_ratio,
            self.resolution,
            self.audio,
            self.seed,
            self.negative_prompt,
            self.options,
        )
        return bool(self.images) or any(value is not None for value in further)
