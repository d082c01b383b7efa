"""Says in plain words what is wrong with a field and how to mend it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# What other video APIs, and people, call our fields.
_ALSO_CALLED = {
    "duration": "seconds",
    "duration_seconds": "seconds",
    "length": "seconds",
    "n_seconds": "seconds",
    "n": "variants",
    "n_variants": "variants",
    "count": "variants",
    "resolution": "size",
    "dimensions": "size",
    "text": "prompt",
    "description": "prompt",
    "image": "input_image",
    "input_reference": "input_image",
    "model": "backend",
    "callback_url": "webhook_url",
    "webhook": "webhook_url",
    "tags": "metadata",
    "job_id": "backend_job_id",
    "task_id": "backend_job_id",
    "id": "backend_job_id",
}
_PLAIN = {
    "string_type": 'must be text in double quotes, like "1"',
    "string_unicode": "holds half of a surrogate pair; send valid Unicode",
    "int_type": "must be a whole number, like 5",
    "int_parsing": "must be a whole number, like 5",
    "int_from_float": "must be a whole number, like 5",
    "bool_type": "must be true or false",
    "dict_type": 'must be an object, like {"scene": "12"}',
    "list_type": "must be a list",
    "none_required": "must be left out",
}


def unknown_field(name: str, known: Collection[str]) -> str:
    """The problem of an unknown field: it lists the known fields and the one that was probably meant."""
    from difflib import get_close_matches  # only here: most processes never refuse a field

    words = f"is not known; known are {', '.join(known)}"
    meant = _ALSO_CALLED.get(name.lower())
    near = [meant] if meant in known else get_close_matches(name.lower()[:40], known, n=1, cutoff=0.7)
    return f"{words}. Did you mean {near[0]}?" if near else words


def plain_words_for(error: Mapping[str, Any]) -> str:
    """The words for an error of pydantic's: ours if there are some, else pydantic's."""
    kind, context = error["type"], error.get("ctx") or {}
    match kind:
        case "string_too_short":
            return (
                "is empty"
                if context.get("min_length") == 1
                else f"must have at least {context['min_length']} characters"
            )
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "literal_error" | "enum":
            return f"must be {context['expected']}"
        case "too_long":
            return f"has too many entries; at most {context['max_length']} are taken"
        case _:
            return _PLAIN.get(kind) or str(error["msg"]).removeprefix("Value error, ")
