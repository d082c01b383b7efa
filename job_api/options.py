"""What may be asked for: the backends, what their models make, and how long that has taken so far."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from video_jobs.domain.capabilities import Limits
from video_jobs.domain.job import BackendRef
from video_jobs.services import Services

_documented = with_config(use_attribute_docstrings=True)

_MOST_ESTIMATES = 200  # where any size goes, there may be any number


@_documented
class SizeOption(TypedDict):
    """A size, and what goes with it."""

    size: str
    """WIDTHxHEIGHT in pixels."""
    seconds: list[int] | None
    """Null: the server decides."""
    variants: int
    """The most in one job."""


@_documented
class EstimateView(TypedDict):
    """How long earlier jobs took, from the video API's taking them to their end there."""

    size: str
    seconds: int
    typical_seconds: float
    """Half of them took no longer."""
    late_seconds: float
    """Nine in ten took no longer."""
    jobs: int
    """That it was learned from."""


@_documented
class BackendOptions(TypedDict):
    """A backend, and what its model makes."""

    name: str
    dialect: str
    model: str
    default_size: str
    default_seconds: int
    sizes: list[SizeOption] | None
    """Null: any; the server decides."""
    seconds: list[int] | None
    """At one size or another; null: the server decides."""
    estimates: list[EstimateView]


class OptionsView(TypedDict):
    """What may be asked for."""

    backends: list[BackendOptions]


def list_options(services: Services) -> list[BackendOptions]:
    """One for each backend, the default one first."""
    return [_options(services, name) for name in services.backends.names()]


def _options(services: Services, name: str) -> BackendOptions:
    backend, limits = services.backends.choose(name)
    return {
        "name": backend.name,
        "dialect": backend.dialect,
        "model": backend.model,
        "default_size": limits.default_size,
        "default_seconds": limits.default_seconds,
        "sizes": None if limits.sizes is None else [_size(limits, size) for size in limits.sizes],
        "seconds": None if limits.seconds is None else list(limits.seconds),
        "estimates": _estimates(services, backend),
    }


def _estimates(services: Services, backend: BackendRef) -> list[EstimateView]:
    """Of the model that the backend has now, by size and seconds; those of which enough is known."""
    found: list[EstimateView] = []
    for estimate in services.estimates.of_backend(backend.name, _MOST_ESTIMATES):
        forecast = estimate.forecast()
        if forecast is not None and estimate.kind.model == backend.model:
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
        "seconds": None if limits.seconds is None else [s for s in limits.seconds if s <= most],
        "variants": limits.most_variants(width, height),
    }
