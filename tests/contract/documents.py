"""The published OpenAPI descriptions of both dialects, where they lie beside this checkout."""

from pathlib import Path
from typing import Any

import pytest
import yaml

CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"


def contract(name: str) -> dict[str, Any]:
    path = CONTRACTS / name
    if not path.exists():
        pytest.skip(f"the OpenAPI extract {name} is not beside this checkout")
    return closed(yaml.safe_load(path.read_text("utf-8")))


def closed(node: Any) -> Any:
    """The same description with no room for fields that it does not name: a typo is no extra."""
    if isinstance(node, list):
        return [closed(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    copy = {name: closed(entry) for name, entry in node.items()}
    return {**copy, "additionalProperties": False} if isinstance(node.get("properties"), dict) else copy
