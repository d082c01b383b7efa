"""Lists the models, and finds the backend that a `model` means."""

from __future__ import annotations

import re
from typing import Literal

from typing_extensions import TypedDict

from video_jobs.domain.errors import InvalidRequest
from video_jobs.ports import Backends

_MOST_NAMED = 40  # in one message
# The default models of tools, with or without a date.
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
    """Tools request this list to test a key, and to offer a choice of models."""
    names = dict.fromkeys(model for name in backends.names() for model in backends.models(name))
    models: list[Model] = [
        {"id": name, "object": "model", "created": 0, "owned_by": "reelkeep"} for name in names
    ]
    return {"object": "list", "data": models}


def chosen_by(
    backends: Backends, model: str | None, backend: str | None = None
) -> tuple[str | None, str | None]:
    """The names of a backend and of one of its models; None means the default.

    `model` names a backend or one of a backend's models, of `backend` if that is given. Raises InvalidRequest for any other
    name.
    """
    if model is None:
        return backend, None
    names = backends.names() if backend is None else [backend]
    if model in names:
        return model, None
    for name in names:
        if model == backends.default_ref(name).model:
            return name, None
    having = next((name for name in names if model in backends.models(name)), None)
    if having is not None:
        return having, model
    if _EVERYBODYS.fullmatch(model):
        return backend, None
    there = dict.fromkeys(word for name in names for word in (name, *backends.models(name)))
    words = ", ".join(list(there)[:_MOST_NAMED])
    more = "…: GET /v1/models lists them all" if len(there) > _MOST_NAMED else ""
    raise InvalidRequest.of(
        "model", f"there is no such model here; there are: {words}{more}", code="model_not_found"
    )
