"""Cases of parametrized tests that only `make exhaustive` runs, as others of their kind tell nearly as much."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def further(*values: Any) -> Any:
    """One further case: its value, or the values of several parameters."""
    return pytest.param(*values, marks=pytest.mark.exhaustive)


EACH_DIALECT = ("openai-videos", further("azure-sora"))


def sample(cases: Iterable[Any], every: int) -> list[Any]:
    """All cases, of which `make test` runs the first and each `every`th after it."""
    return [case if number % every == 0 else further(case) for number, case in enumerate(cases)]
