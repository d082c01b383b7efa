"""One word, one meaning: what the glossary says is not used is not used, in the pages and in what people are told."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import NAMES, ROOT, prose, text_of
from tests.sources import APP

ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]*) ?\|$", text_of("docs/glossary.md"), re.MULTILINE)
ENTRIES = [(word.strip(), meaning, old.strip()) for word, meaning, old in ROWS if word.strip() != "word"]
OLD = [old.strip() for _, _, olds in ENTRIES for old in olds.split(",") if old.strip()]
FORBIDDEN = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, OLD))})(?![\w-])", re.IGNORECASE)


def test_the_glossary_defines_each_word_once() -> None:
    words = [word for word, _, _ in ENTRIES]
    assert len(words) > 50
    assert sorted(words) == sorted(set(words))
    assert not set(words) & set(OLD)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "docs/glossary.md"])
def test_pages_use_the_words_of_the_glossary(name: str) -> None:
    plain = re.sub(r"\s+", " ", prose(name))
    assert [plain[max(0, m.start() - 40) : m.end() + 40] for m in FORBIDDEN.finditer(plain)] == []


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """The sentences in a module that are no docstrings: what is logged, answered or printed."""
    tree = ast.parse(path.read_text())
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


def test_messages_use_the_words_of_the_glossary() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for folder in APP
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in messages(path)
        if " " in text and FORBIDDEN.search(text)
    ]
    assert found == []


def shown(path: Path) -> list[str]:
    """What a file of the page has people read: its texts, and in scripts the sentences in quotes."""
    if path.suffix == ".html":
        return re.findall(r">([^<]+)<", path.read_text())
    return re.findall(r'"([^"\n]* [^"\n]*)"', re.sub(r"//.*", "", path.read_text()))


def test_the_page_uses_the_words_of_the_glossary() -> None:
    files = [*(ROOT / "web" / "static").glob("*.js"), *(ROOT / "web" / "static").glob("*.html")]
    assert [f"{path.name}: {text}" for path in files for text in shown(path) if FORBIDDEN.search(text)] == []
