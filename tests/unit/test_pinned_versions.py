"""What is installed is what was tested: each library has one exact version and the hashes of its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = ("requirements", "local/requirements", "local/node", "tests/requirements")


def entries(path: Path) -> list[str]:
    """Each requirement with its continuation lines; no comments, and no references to other lists."""
    joined = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith(("#", "-r "))]


def name(entry: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", entry)
    assert found, entry
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def pins(list_: str) -> dict[str, set[str]]:
    """The exact versions of each library; some have another one for another Python."""
    found: dict[str, set[str]] = {}
    for entry in entries(ROOT / f"{list_}.txt"):
        pinned = re.match(r"\S+==(\S+)", entry)
        assert pinned, f"{entry} has no exact version"
        found.setdefault(name(entry), set()).add(pinned[1])
    return found


@pytest.mark.parametrize("list_", LISTS)
def test_each_library_has_an_exact_version_and_hashes(list_: str) -> None:
    assert pins(list_)
    for entry in entries(ROOT / f"{list_}.txt"):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@pytest.mark.parametrize("list_", LISTS)
def test_each_library_that_is_asked_for_is_pinned(list_: str) -> None:
    asked_for = {name(entry) for entry in entries(ROOT / f"{list_}.in")}
    assert asked_for
    assert asked_for <= pins(list_).keys(), "make lock renews the list"


def test_the_tests_use_the_versions_that_are_deployed() -> None:
    tested = pins("tests/requirements")
    for list_ in ("requirements", "local/requirements"):
        for library, versions in pins(list_).items():
            assert versions == tested[library], library


def test_no_list_names_an_address() -> None:
    for list_ in LISTS:
        assert "://" not in (ROOT / f"{list_}.txt").read_text(encoding="utf-8")
