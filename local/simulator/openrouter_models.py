"""The models of the simulated OpenRouter: what its list says about each, and what a create refuses."""

from collections.abc import Iterable

from . import intake
from .intake import Intake

VEO, WAN = "google/veo-3.1", "alibaba/wan-2.7"

_TOLD: dict[str, dict[str, object]] = {
    VEO: {
        "generate_audio": True,
        "seed": True,
        "supported_aspect_ratios": ["16:9", "9:16"],
        "supported_durations": [4, 6, 8],
        "supported_frame_images": ["first_frame", "last_frame"],
        "supported_resolutions": ["720p", "1080p"],
        "supported_sizes": ["1280x720", "720x1280", "1920x1080", "1080x1920"],
    },
    WAN: {
        "generate_audio": False,
        "seed": True,
        "supported_aspect_ratios": ["16:9", "9:16", "1:1", "4:3", "3:4"],
        "supported_durations": [2, 3, 4, 5, 10, 15],
        "supported_frame_images": ["first_frame"],
        "supported_resolutions": ["480p", "720p"],
        "supported_sizes": None,
    },
}
_OF_A_FIELD = {
    "size": "supported_sizes",
    "duration": "supported_durations",
    "aspect_ratio": "supported_aspect_ratios",
    "resolution": "supported_resolutions",
}


def listed(names: Iterable[str] | None) -> list[dict[str, object]]:
    """The models as in `GET /videos/models`; None: all of them."""
    return [_entry(name) for name in (names or _TOLD)]


def check(given: Intake, model: str, frames: Iterable[str]) -> None:
    """Raise ApiError for what the model does not make. A model without a description takes anything."""
    told = _TOLD.get(model, {})
    for field, name in _OF_A_FIELD.items():
        known, value = told.get(name), given.fields.get(field)
        if isinstance(known, list) and value is not None and value not in known:
            raise intake.invalid(field, f"one of {known}")
    known = told.get("supported_frame_images")
    if isinstance(known, list) and not set(frames) <= set(known):
        raise intake.invalid("frame_images", f"frames of {known}")
    if given.fields.get("generate_audio") is not None and told.get("generate_audio") is False:
        raise intake.invalid("generate_audio", "nothing: this model makes no sound")
    if given.fields.get("seed") is not None and told.get("seed") is False:
        raise intake.invalid("seed", "nothing: this model takes none")


def _entry(name: str) -> dict[str, object]:
    return {
        "id": name,
        "canonical_slug": name,
        "name": name,
        "created": 1_760_000_000,
        "allowed_passthrough_parameters": [],
        "creativity": None,
        "upscale_factor": None,
        **_TOLD.get(name, _TOLD[VEO]),
    }
