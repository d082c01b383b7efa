"""The models that there are, and which backend a `model` means."""

from __future__ import annotations

import re
from typing import Literal

from typing_extensions import TypedDict

from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import BackendRef
from video_jobs.ports import Backends

# What tools send unless told otherwise, with or without a date.
_EVERYBODYS = re.compile(r"sora-2(-pro)?(-\d{4}-\d{2}-\d{2})?")


class Model(TypedDict):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(TypedDict):
    object: Literal["list"]
    data: list[Model]


def list_models(backends: Backends) -> ModelList:
    """What tools ask for to try a key, and to offer a choice."""
    names = dict.fromkeys(ref.model for ref in _there(backends))
    models: list[Model] = [
        {"id": name, "object": "model", "created": 0, "owned_by": "reelkeep"} for name in names
    ]
    return {"object": "list", "data": models}


def backend_of(backends: Backends, model: str | None) -> str | None:
    """The name of a backend, or of the first that has this model; None for the default one.

    Raises InvalidRequest for what is neither.
    """
    if model is None:
        return None
    there = _there(backends)
    named = next((ref for ref in there if ref.name == model), None)
    having = next((ref for ref in there if ref.model == model), None)
    found = named or having
    if found is not None:
        return found.name
    if _EVERYBODYS.fullmatch(model):
        return None
    words = ", ".join(dict.fromkeys(word for ref in there for word in (ref.name, ref.model)))
    raise InvalidRequest.of(
        "model", f"there is no such model here; there are: {words}", code="model_not_found"
    )


def _there(backends: Backends) -> list[BackendRef]:
    return [backends.choose(name)[0] for name in backends.names()]
