"""JSON objects in which each name stands once: of two values under one name, nobody knows which was meant."""

from __future__ import annotations

from collections import Counter
from typing import Any

_LONGEST_SHOWN = 60  # characters


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An `object_pairs_hook`. Raises ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice, _ = counts.most_common(1)[0]
        shown = "".join(c if c.isprintable() else "?" for c in twice[:_LONGEST_SHOWN])
        raise ValueError(f"the name '{shown}' stands twice in one object; leave one of the two out")
    return found
