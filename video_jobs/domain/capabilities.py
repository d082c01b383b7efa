"""What a model can do, and the check of a request against it, before anything is written or paid for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from video_jobs.domain.errors import FieldProblem, InvalidRequest
from video_jobs.domain.job import InputImage, VideoRequest

LARGEST_SIDE = 8192  # pixels; no model comes near


@dataclass(frozen=True)
class Limits:
    """None for `sizes` or `seconds` means: any, the server decides."""

    sizes: tuple[str, ...] | None
    default_size: str
    seconds: tuple[int, ...] | None
    default_seconds: int
    most_variants: Callable[[int, int], int]  #: of width and height
    most_seconds: Callable[[int, int], int]  #: of width and height
    image_has_the_videos_size: bool = False

    def complete(
        self,
        prompt: str,
        size: str | None,
        seconds: int | None,
        variants: int | None,
        image: InputImage | None,
    ) -> VideoRequest:
        """The request with this model's defaults. Raises InvalidRequest with every problem at once."""
        problems = []
        size = size or self.default_size
        if self.sizes is not None and size not in self.sizes:
            problems.append(
                FieldProblem("size", f"'{size}' is not among what this model makes: {', '.join(self.sizes)}")
            )
        width, height = (int(side) for side in size.split("x"))
        if max(width, height) > LARGEST_SIDE:
            problems.append(FieldProblem("size", f"no side may have more than {LARGEST_SIDE} pixels"))
        if seconds is None:
            seconds = self.default_seconds
        most_seconds = self.most_seconds(width, height)
        if self.seconds is not None and seconds not in self.seconds:
            allowed = _in_words(self.seconds)
            problems.append(
                FieldProblem("seconds", f"{seconds} is not among what this model makes: {allowed}")
            )
        elif seconds > most_seconds:
            problems.append(
                FieldProblem("seconds", f"at {size} this model makes at most {most_seconds} seconds")
            )
        variants = 1 if variants is None else variants
        most_variants = self.most_variants(width, height)
        if variants > most_variants:
            problems.append(
                FieldProblem("variants", f"at {size} this model makes at most {most_variants} in one job")
            )
        if image and self.image_has_the_videos_size and (image.width, image.height) != (width, height):
            problems.append(
                FieldProblem(
                    "input_image", f"is {image.width}x{image.height}; it must have the video's size, {size}"
                )
            )
        if problems:
            raise InvalidRequest(problems)
        return VideoRequest(prompt, width, height, seconds, variants, image)


def _in_words(seconds: tuple[int, ...]) -> str:
    if len(seconds) > 2 and seconds == tuple(range(seconds[0], seconds[-1] + 1)):
        return f"{seconds[0]} to {seconds[-1]}"
    return ", ".join(map(str, seconds))
