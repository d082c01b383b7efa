"""Which backend a `model` means."""

from __future__ import annotations

import re

from video_jobs.backends.registry import Backends
from video_jobs.errors import InvalidRequest

# What tools send unless told otherwise, with or without a date.
_EVERYBODYS = re.compile(r"sora-2(-pro)?(-\d{4}-\d{2}-\d{2})?")


def backend_of(backends: Backends, model: str | None) -> str | None:
    """The name of a backend, or of the first that has this model; None for the default one.

    Raises InvalidRequest for what is neither.
    """
    if model is None:
        return None
    there = [backends.choose(name)[0] for name in backends.names()]
    for known in ((ref.name, ref.name) for ref in there), ((ref.model, ref.name) for ref in there):
        for word, name in known:
            if word == model:
                return name
    if _EVERYBODYS.fullmatch(model):
        return None
    words = ", ".join(dict.fromkeys(word for ref in there for word in (ref.name, ref.model)))
    raise InvalidRequest.of(
        "model", f"there is no such model here; there are: {words}", code="model_not_found"
    )
