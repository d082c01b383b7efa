"""What a request may ask for: the backends, what their models make, and how long earlier jobs took."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from job_api.states import StateView, backend_state
from video_jobs.domain.capabilities import Limits
from video_jobs.domain.estimate import Estimate
from video_jobs.services import Services

_documented = with_config(use_attribute_docstrings=True)

_MOST_ESTIMATES = 200  # a server that takes any size may have any number of them


@_documented
class SizeOption(TypedDict):
    """A size, and what it allows."""

    size: str
    """WIDTHxHEIGHT in pixels."""
    seconds: list[int] | None
    """Null: the server decides."""
    variants: int
    """The most in one job."""


@_documented
class EstimateView(TypedDict):
    """How long earlier jobs took at the video API, from its answer to the submission until they were generated."""

    size: str
    seconds: int
    typical_seconds: float
    """Seconds. Half of the jobs took no longer."""
    late_seconds: float
    """Seconds. Nine in ten jobs took no longer."""
    jobs: int
    """The number of jobs that this comes from."""


@_documented
class ModelOptions(TypedDict):
    """A model, and what it accepts."""

    model: str
    default_size: str
    default_seconds: int
    sizes: list[SizeOption] | None
    """Null: any size; the server decides."""
    seconds: list[int] | None
    """The lengths that some size allows; null: the server decides."""
    aspect_ratios: list[str] | None
    """Empty: the model takes no aspect ratio, but a size. Null: any; the server decides."""
    resolutions: list[str] | None
    """As for aspect ratios."""
    image: bool
    """Whether the video may begin with an image."""
    image_needed: bool
    """Whether a request needs an image."""
    last_image: bool
    reference_images: int
    """The largest number of reference images."""
    references_alone: bool
    """Whether reference images exclude a first and a last image."""
    audio: bool
    """Whether a request may turn sound on or off."""
    seed: bool
    negative_prompt: bool
    options: bool
    """Whether a request may have provider-specific `options`."""
    estimates: list[EstimateView]


@_documented
class BackendOptions(ModelOptions):
    """A backend, what its default model accepts, and all its models."""

    name: str
    dialect: str
    models: list[ModelOptions]
    """The default model comes first."""
    now: StateView


class OptionsView(TypedDict):
    """What a request may ask for."""

    backends: list[BackendOptions]


def list_options(services: Services, owner: str) -> list[BackendOptions]:
    """The options of each backend, the default backend first."""
    return [_options(services, owner, name) for name in services.backends.names()]


def _options(services: Services, owner: str, name: str) -> BackendOptions:
    backend = services.backends.default_ref(name)
    estimates = services.estimates.of_backend(name, _MOST_ESTIMATES)
    models = [_model(services, name, model, estimates) for model in services.backends.models(name)]
    return {
        **models[0],
        "name": name,
        "dialect": backend.dialect,
        "models": models,
        "now": backend_state(services, owner, name),
    }


def _model(services: Services, name: str, model: str, estimates: list[Estimate]) -> ModelOptions:
    _, limits = services.backends.choose(name, model)
    return {
        "model": model,
        "default_size": limits.default_size,
        "default_seconds": limits.default_seconds,
        "sizes": None if limits.takes.sizes is None else [_size(limits, size) for size in limits.takes.sizes],
        "seconds": None if limits.takes.seconds is None else list(limits.takes.seconds),
        "aspect_ratios": None if limits.takes.aspect_ratios is None else list(limits.takes.aspect_ratios),
        "resolutions": None if limits.takes.resolutions is None else list(limits.takes.resolutions),
        "image": limits.takes.image,
        "image_needed": limits.takes.image_needed,
        "last_image": limits.takes.last_image,
        "reference_images": limits.takes.reference_images,
        "references_alone": limits.takes.references_alone,
        "audio": limits.takes.audio,
        "seed": limits.takes.seed,
        "negative_prompt": limits.takes.negative_prompt,
        "options": limits.body_of is not None,
        "estimates": _estimates(estimates, model),
    }


def _estimates(estimates: list[Estimate], model: str) -> list[EstimateView]:
    """By size and seconds; only those with enough jobs."""
    found: list[EstimateView] = []
    for estimate in estimates:
        forecast = estimate.forecast()
        if forecast is not None and estimate.kind.model == model:
            found.append(
                {
                    "size": estimate.kind.size,
                    "seconds": estimate.kind.seconds,
                    "typical_seconds": forecast.typical,
                    "late_seconds": forecast.late,
                    "jobs": estimate.jobs,
                }
            )
    return sorted(found, key=lambda view: (view["size"], view["seconds"]))


def _size(limits: Limits, size: str) -> SizeOption:
    width, height = (int(side) for side in size.split("x"))
    most = limits.most_seconds(width, height)
    return {
        "size": size,
        "seconds": None if limits.takes.seconds is None else [s for s in limits.takes.seconds if s <= most],
        "variants": limits.most_variants(width, height),
    }
