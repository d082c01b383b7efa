"""Cases of parametrized tests that only `make exhaustive` runs, as others of their kind tell nearly as much."""

from __future__ import annotations

from typing import Any

import pytest


def further(*values: Any) -> Any:
    """One further case: its value, or the values of several parameters."""
    return pytest.param(*values, marks=pytest.mark.exhaustive)


EACH_DIALECT = ("openai-videos", further("azure-sora"))
