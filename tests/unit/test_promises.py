"""The page on reliability and the tests that bear the invariants' names say the same."""

from __future__ import annotations

import re
from collections import defaultdict

from tests.documents import ROOT, text_of


def marked() -> dict[str, set[str]]:
    """By invariant, the test modules with evidence of it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for names in re.findall(r"^@pytest\.mark\.promise\((.+)\)$", path.read_text(), re.MULTILINE):
            for name in re.findall(r'"(I\d+)"', names):
                found[name].add(path.name)
    return found


def test_the_page_names_the_evidence_of_each_invariant_and_nothing_else() -> None:
    rows = re.findall(r"^\| (I\d+) \|.*\| ([^|]+) \|$", text_of("docs/reliability.md"), re.MULTILINE)
    named = {name: set(re.findall(r"`(test_\w+\.py)`", evidence)) for name, evidence in rows}
    assert sorted(named) == sorted(f"I{number}" for number in range(1, 12))
    assert named == marked()
