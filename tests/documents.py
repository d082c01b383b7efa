"""The project's pages, taken apart: links, code blocks, prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^([ ]*)```([a-z]*)\n(.*?)^[ ]*```", re.DOTALL | re.MULTILINE)


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(name: str, language: str | None = None) -> list[str]:
    """The fenced blocks of a page, without the indentation that a list gives them; of one language, or of all."""
    found = []
    for indent, said, body in _FENCE.findall(text_of(name)):
        if language is None or said == language:
            found.append("".join(line.removeprefix(indent) for line in body.splitlines(keepends=True)))
    return found


def without_blocks(name: str) -> str:
    return _FENCE.sub("", text_of(name))


def code_spans(name: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", without_blocks(name))


def prose(name: str) -> str:
    """A page without code and addresses: what people read as sentences."""
    text = re.sub(r"`[^`\n]*`", "", without_blocks(name))
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", text)


def links(name: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", without_blocks(name))


def anchors(page: Path) -> Iterator[str]:
    """As GitHub makes them of a page's headings."""
    for heading in re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
