"""What a model can do, and the check of a request against it before anything is stored or paid for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from video_jobs.domain.errors import FieldProblem, InvalidRequest
from video_jobs.domain.job import InputImage, VideoRequest
from video_jobs.domain.provider_options import problem_of_options

LARGEST_SIDE = 8192  # pixels; far more than any model makes
MOST_REFERENCES = 10
"""Reference images of one request."""

_ANY_IMAGE = InputImage("image/png", 1, "", 1, 1)
_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21")
_RESOLUTIONS = ("360p", "480p", "720p", "1080p", "1440p", "4K")
_ABOUT = 0.03  # 832x480 and 864x496 are called 16:9 too
_NOT_FETCHED = 0  # the width of an image that is not fetched yet

BodyOf = Callable[[VideoRequest], Mapping[str, Any]]
"""Gives the JSON body for a request."""


class ModelTakes(NamedTuple):
    """What one model accepts, as far as known. None: the provider decides. Empty, 0 and False: nothing."""

    sizes: tuple[str, ...] | None = None  #: WIDTHxHEIGHT
    seconds: tuple[int, ...] | None = None
    aspect_ratios: tuple[str, ...] | None = ()
    resolutions: tuple[str, ...] | None = ()
    image: bool = True
    last_image: bool = False
    reference_images: int = 0  #: at most
    audio: bool = False  #: a request may say whether the video has sound
    seed: bool = False
    negative_prompt: bool = False
    only_sizes: bool = False  #: an aspect ratio with a resolution must match one of the sizes
    references_alone: bool = False  #: not together with a first or last image
    image_needed: bool = False  #: it makes no video from text alone


class Wishes(NamedTuple):
    """What a client may ask for beside prompt, size, seconds, variants and first image. None: the model's default."""

    aspect_ratio: str | None = None
    resolution: str | None = None
    audio: bool | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    options: str | None = None  #: a JSON object
    last_image: InputImage | None = None
    reference_images: tuple[InputImage, ...] = ()


NO_WISHES = Wishes()


class Limits(NamedTuple):
    """What a model accepts, and its defaults."""

    takes: ModelTakes
    default_size: str
    default_seconds: int
    most_variants: Callable[[int, int], int]  #: of width and height
    most_seconds: Callable[[int, int], int]  #: of width and height
    image_has_the_videos_size: bool = False
    body_of: BodyOf | None = None  #: to check that `options` set no field of the app; None: no options

    def complete(
        self,
        prompt: str,
        size: str | None,
        seconds: int | None,
        variants: int | None,
        image: InputImage | None,
        wishes: Wishes = NO_WISHES,
    ) -> VideoRequest:
        """The request with this model's defaults. Raises InvalidRequest with every problem at once.

        An image that is an address so far has no width: what depends on its size is checked once it is fetched.
        """
        problems = self._problems_of(wishes, image)
        shape, aspect_ratio, resolution = self._shape(size, wishes, problems)
        width, height = (int(side) for side in shape.split("x")) if shape else (0, 0)
        if max(width, height) > LARGEST_SIDE:
            problems.append(FieldProblem("size", f"no side may have more than {LARGEST_SIDE} pixels"))
        if seconds is None:
            seconds = self.default_seconds
        most_seconds = self.most_seconds(width, height)
        if self.takes.seconds is not None and seconds not in self.takes.seconds:
            allowed = _in_words(self.takes.seconds)
            problems.append(
                FieldProblem("seconds", f"{seconds} is not among what this model makes: {allowed}")
            )
        elif seconds > most_seconds:
            problems.append(
                FieldProblem("seconds", f"at {shape} this model makes at most {most_seconds} seconds")
            )
        variants = 1 if variants is None else variants
        most_variants = self.most_variants(width, height)
        if variants > most_variants:
            problems.append(
                FieldProblem("variants", f"at {shape} this model makes at most {most_variants} in one job")
            )
        if self._is_of_another_size(image, width, height):
            assert image is not None
            problems.append(
                FieldProblem(
                    "input_image", f"is {image.width}x{image.height}; it must have the video's size, {shape}"
                )
            )
        request = VideoRequest(
            prompt,
            width,
            height,
            seconds,
            variants,
            image,
            wishes.last_image,
            wishes.reference_images,
            None,
            aspect_ratio,
            resolution,
            wishes.audio,
            wishes.seed,
            wishes.negative_prompt,
            wishes.options,
        )
        if wishes.options is not None and not problems:
            problems += self._problems_of_options(request, wishes.options)
        if problems:
            raise InvalidRequest(problems)
        return request

    def _shape(
        self, size: str | None, wishes: Wishes, problems: list[FieldProblem]
    ) -> tuple[str | None, str | None, str | None]:
        """Size, aspect ratio and resolution as the model spells them. No size if the model chooses it."""
        ratio = self._spelt("aspect_ratio", wishes.aspect_ratio, self.takes.aspect_ratios, problems)
        resolution = self._spelt("resolution", wishes.resolution, self.takes.resolutions, problems)
        if wishes.aspect_ratio is None and wishes.resolution is None:
            return self._known_size(size or self.default_size, problems), None, None
        if size is not None:
            problems.append(
                FieldProblem(
                    "size", "already says the shape: send either size, or aspect_ratio and resolution"
                )
            )
            return size, None, None
        fitting = [each for each in self.takes.sizes or () if has_shape(each, ratio, resolution)]
        if self.takes.only_sizes and not fitting and not problems:
            known = ", ".join(self.takes.sizes or ())
            field = "resolution" if resolution is not None else "aspect_ratio"
            problems.append(FieldProblem(field, f"this model makes no such size; it makes {known}"))
        fits = self.default_size if self.default_size in fitting else next(iter(fitting), None)
        return fits if self.takes.only_sizes or (ratio and resolution) else None, ratio, resolution

    def _known_size(self, size: str, problems: list[FieldProblem]) -> str:
        if self.takes.sizes is not None and size not in self.takes.sizes:
            known = ", ".join(self.takes.sizes) or f"none; choose by aspect_ratio{self._words_of_shapes()}"
            problems.append(FieldProblem("size", f"'{size}' is not among what this model makes: {known}"))
        return size

    def _words_of_shapes(self) -> str:
        return f" ({', '.join(self.takes.aspect_ratios)})" if self.takes.aspect_ratios else ""

    def _spelt(
        self, field: str, asked: str | None, known: tuple[str, ...] | None, problems: list[FieldProblem]
    ) -> str | None:
        if asked is None or known is None:
            return asked
        found = next((each for each in known if each.lower() == asked.lower()), None)
        if found is None:
            says = (
                f"takes {', '.join(known)}" if known else f"takes none; choose a size{self._words_of_sizes()}"
            )
            problems.append(FieldProblem(field, f"'{asked}' is not taken: this model {says}"))
        return found

    def _words_of_sizes(self) -> str:
        return f": {', '.join(self.takes.sizes)}" if self.takes.sizes else ""

    def _problems_of(self, wishes: Wishes, image: InputImage | None) -> list[FieldProblem]:
        """The requested values that the model does not know."""
        asked = {
            "input_image": image is not None and not self.takes.image,
            "last_image": wishes.last_image is not None and not self.takes.last_image,
            "audio": wishes.audio is not None and not self.takes.audio,
            "seed": wishes.seed is not None and not self.takes.seed,
            "negative_prompt": wishes.negative_prompt is not None and not self.takes.negative_prompt,
            "options": wishes.options is not None and self.body_of is None,
        }
        unknown = [field for field, is_unknown in asked.items() if is_unknown]
        count = len(wishes.reference_images)
        if count and not self.takes.reference_images:
            unknown.append("reference_images")
        problems = [FieldProblem(field, f"is not taken: {self._what_it_takes()}") for field in unknown]
        if count > self.takes.reference_images > 0:
            words = f"are {count}; this model takes at most {self.takes.reference_images}"
            problems.append(FieldProblem("reference_images", words))
        if self.takes.references_alone and count and (image or wishes.last_image):
            words = "can't be sent together with a first or last image: this model takes either these or reference images"
            problems.append(FieldProblem("reference_images", words))
        if self.takes.image_needed and image is None:
            problems.append(
                FieldProblem("input_image", "is missing: this model makes videos from an image only")
            )
        return problems

    def _what_it_takes(self) -> str:
        taken = {
            "input_image": self.takes.image,
            "last_image": self.takes.last_image,
            "reference_images": self.takes.reference_images,
            "aspect_ratio": self.takes.aspect_ratios is None or self.takes.aspect_ratios,
            "resolution": self.takes.resolutions is None or self.takes.resolutions,
            "audio": self.takes.audio,
            "seed": self.takes.seed,
            "negative_prompt": self.takes.negative_prompt,
            "options": self.body_of,
        }
        names = [name for name, is_taken in taken.items() if is_taken]
        return f"besides prompt, size and seconds this model takes {', '.join(names) or 'nothing'}"

    def _problems_of_options(self, request: VideoRequest, options: str) -> list[FieldProblem]:
        """Check the options against the real body and against one with every field: no option may repeat a field."""
        assert self.body_of is not None
        filled = replace(
            request,
            aspect_ratio=request.aspect_ratio or "1:1",
            resolution=request.resolution or "720p",
            audio=True,
            seed=0,
            negative_prompt="x",
        )
        bodies = (
            request,
            replace(request, aspect_ratio=None, resolution=None),
            replace(filled, input_image=_ANY_IMAGE, last_image=_ANY_IMAGE, reference_images=()),
            replace(filled, input_image=None, last_image=None, reference_images=(_ANY_IMAGE,)),
        )
        words = problem_of_options(options, [self.body_of(each) for each in bodies])
        return [FieldProblem("options", words)] if words else []

    def _is_of_another_size(self, image: InputImage | None, width: int, height: int) -> bool:
        if not self.image_has_the_videos_size or image is None or image.width == _NOT_FETCHED:
            return False
        return (image.width, image.height) != (width, height)


def has_shape(size: str, aspect_ratio: str | None, resolution: str | None) -> bool:
    """Whether a size has that aspect ratio and that resolution, if they are given: 1280x720 is 16:9 and 720p."""
    width, height = (int(side) for side in size.split("x"))
    if resolution is not None and min(width, height) != short_side(resolution):
        return False
    across, _, down = (aspect_ratio or "").partition(":")
    try:
        wanted = float(across) / float(down)
    except (ValueError, ZeroDivisionError):
        return aspect_ratio is None
    return abs(width / height / wanted - 1) < _ABOUT


def only_sizes(sizes: tuple[str, ...], seconds: Iterable[int] | None, **more: Any) -> ModelTakes:
    """What a model accepts that makes these sizes, and their aspect ratios and resolutions, and no others."""
    return ModelTakes(
        sizes=sizes,
        seconds=None if seconds is None else tuple(seconds),
        aspect_ratios=tuple(each for each in _RATIOS if any(has_shape(size, each, None) for size in sizes)),
        resolutions=tuple(
            each for each in _RESOLUTIONS if any(has_shape(size, None, each) for size in sizes)
        ),
        only_sizes=True,
        **more,
    )


def any_shape(**more: Any) -> ModelTakes:
    """What a model accepts that takes an aspect ratio, a resolution and a seed, and knows best which ones."""
    return ModelTakes(aspect_ratios=None, resolutions=None, seed=True, **more)


def short_side(resolution: str) -> int | None:
    """Pixels, of `720p` or `4K`."""
    number = resolution[:-1]
    if not number.isdecimal():
        return None
    return int(number) * 540 if resolution[-1] in "kK" else int(number)


def _in_words(seconds: tuple[int, ...]) -> str:
    if len(seconds) > 2 and seconds == tuple(range(seconds[0], seconds[-1] + 1)):
        return f"{seconds[0]} to {seconds[-1]}"
    return ", ".join(map(str, seconds))
