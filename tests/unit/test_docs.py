"""What the pages name is there: links, targets, modules, files, requests. tests/functional/test_pages.py runs what they
tell people to type."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest

from contract_api.openapi import openapi
from function_app import blueprints
from tests.documents import NAMES, ROOT, anchors, blocks, code_spans, links, text_of
from tests.sources import APP

pages = pytest.mark.parametrize("name", NAMES)


@pages
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for link in links(name):
        if re.match(r"https?://", link):
            assert link.startswith("https://") or "localhost" in link, link
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_found_from_the_index() -> None:
    found = {ROOT / "docs" / "README.md"}
    for index in ("docs/README.md", "docs/decisions/README.md"):
        found |= {((ROOT / index).parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {str(page) for page in (ROOT / "docs").rglob("*.md") if page not in found} == set()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pages
def test_commands_name_what_is_there(name: str) -> None:
    said = [line for text in [*blocks(name), *code_spans(name)] for line in text.splitlines()]
    for line in said:
        if found := re.match(r"\s*make ([a-z][a-z-]*)", line):
            assert found[1] in targets(), line
        if found := re.match(r"\s*python3? -m ([a-z_.]+)", line):
            assert importlib.util.find_spec(found[1]), line
        for option in re.findall(r"make [a-z-]+.*?\b([A-Z_]{4,})=", line):
            assert option in (ROOT / "Makefile").read_text(), line


@functools.cache
def files() -> str:
    """All that git has or would take, one a line."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pages
def test_files_that_are_named_exist(name: str) -> None:
    for span in code_spans(name):
        if re.fullmatch(r"[\w*./-]+\.(py|bicep|toml|yaml|yml|js|css|ts|html)", span):
            assert re.search(
                rf"(^|/){re.escape(span).replace(re.escape('*'), '.*')}$", files(), re.MULTILINE
            ), span


@pages
def test_blocks_of_code_can_be_read(name: str) -> None:
    for block in blocks(name, "python"):
        compile(block, name, "exec")
    for block in blocks(name, "json"):
        json.loads(re.sub(r",…\}", "}", block))
    if shell := "\n".join(blocks(name, "sh")):
        subprocess.run(["bash", "-n", "-c", shell], check=True, timeout=30)


def requests_named(name: str) -> set[tuple[str, str]]:
    text = "\n".join([*blocks(name), *code_spans(name)])
    return set(re.findall(r"\b(GET|POST|DELETE) +(/[^\s`\"?,;)…]*)", text))


NOT_THE_APPS = r"/(admin|hooks|_simulator|video|openai)\b|/videos(/|$)"


@functools.cache
def requests_known() -> set[tuple[str, str]]:
    return {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path).removeprefix("/api"))
        for path, methods in openapi(blueprints)["paths"].items()
        for method in methods
    }


@pages
def test_requests_that_are_named_exist(name: str) -> None:
    for method, path in requests_named(name):
        if re.match(NOT_THE_APPS, path):
            continue
        plain = re.sub(r"/(\{[^/]*\}|gen_[^/]*)", "/{}", path.removeprefix("/api")).rstrip("/")
        assert (method, plain) in requests_known(), f"{method} {path}"


def test_pages_that_the_code_names_exist() -> None:
    for folder in APP:
        for source in (ROOT / folder).rglob("*.py"):
            for page in re.findall(r"\bdocs/[\w/.-]+\.md", source.read_text()):
                assert Path(ROOT / page).exists(), f"{source}: {page}"


def test_the_diagram_of_the_statuses_knows_each() -> None:
    from video_jobs.domain.job import Status

    [diagram] = blocks("docs/reference/statuses.md", "mermaid")
    edges = set(re.findall(r"(\S+) --> (\w+|\[\*\])", diagram))
    assert {one for edge in edges for one in edge} == {"[*]", *(status.value for status in Status)}
    assert {before for before, after in edges if after == "[*]"} == {s.value for s in Status if s.is_terminal}
    assert set(re.findall(r"^\| `(\w+)`", text_of("docs/reference/statuses.md"), re.MULTILINE)) == set(Status)
