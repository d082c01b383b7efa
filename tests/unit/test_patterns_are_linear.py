"""No text that comes from outside can make a pattern slow: a slow one holds every thread of the process.

Each pattern of the app's modules, compiled or a text, is tried on texts of two sizes; four times the text may take four times as
long, give or take, and not sixteen times.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import http_edge
import openai_api
import submit_job
import video_jobs
from tests.cases import sample

SMALL, LARGE = 6_000, 24_000  # above the bounds of the repeats, which are 4,000 at most
MOST = 9.0  # times as long for four times the text: between linear, which is 4, and quadratic, which is 16
SHORT_ENOUGH = 0.02  # seconds for the large text: a quadratic pattern would take some
LONG_ENOUGH = 0.1  # seconds for the large text: then one try is as good as three

#: What makes patterns go back: repeats of what they look for, and of what stands between.
SEEDS = (
    "a",
    " ",
    "key ",
    "key:",
    "token:",
    "bearer ",
    "key provided ",
    "sk-a",
    "<title",
    "<html>",
    "violate the ",
    "content ",
    "text flagged",
    "insufficient a ",
    "no a ",
    "balance ",
    "policy-",
    "%41",
    "\\u0041",
    "&#65;",
    "A1",
    "aB",
    "1x",
    "/a",
    "http://a",
    "a@",
    ":",
    "[",
    '{"a":',
    "\\",
    '"',
    '"a',
    "\r\n",
    "--",
)


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    for package in (video_jobs, http_edge, openai_api, submit_job):
        for module_info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module_info.name.endswith("__main__"):
                continue
            module = importlib.import_module(module_info.name)
            used_as_text = re.findall(r"\bre\.\w+\((_[A-Z_]+)\b", Path(module.__file__ or "").read_text())
            for name, value in vars(module).items():
                if isinstance(value, re.Pattern):
                    yield f"{module_info.name}.{name}", value
                elif name in used_as_text:
                    yield f"{module_info.name}.{name}", re.compile(value)


PATTERNS = dict(patterns())


def seconds(pattern: re.Pattern[Any], text: str, tries: int = 3) -> float:
    """For a search and a match of the whole; the best of the tries, in the processor's time. Patterns of bytes are only matched at
    a place."""
    best = 1e9
    content = text.encode()
    for _ in range(tries):
        began = time.process_time()
        if isinstance(pattern.pattern, bytes):
            pattern.match(content)
        else:
            pattern.search(text)
            pattern.fullmatch(text)
            pattern.sub("", text)
        best = min(best, time.process_time() - began)
    return best


def test_there_are_patterns_to_try() -> None:
    assert "video_jobs.backends.answers._SECRET" in PATTERNS
    assert "video_jobs.domain.refusal_kinds._MODERATION" in PATTERNS


@pytest.mark.slow
@pytest.mark.parametrize("name", sample(PATTERNS, every=3))
def test_a_pattern_takes_as_long_as_the_text_is(name: str) -> None:
    pattern = PATTERNS[name]
    for seed in SEEDS:
        for tail in ("", "!", "1"):
            large = (seed * LARGE)[:LARGE] + tail
            took = seconds(pattern, large, tries=1)
            if took < SHORT_ENOUGH:
                continue
            tries = 1 if took > LONG_ENOUGH else 3
            took = min(took, seconds(pattern, large, tries - 1))
            small = seconds(pattern, (seed * SMALL)[:SMALL] + tail, tries)
            assert took <= MOST * small, (name, seed, tail, small, took)


@pytest.mark.slow
def test_a_pattern_that_goes_back_and_back_would_be_found() -> None:
    slow = re.compile(r"[a-z]+[a-z]+key\b")  # 64 times as long for four times the text
    took, before = seconds(slow, "a" * 800), seconds(slow, "a" * 200)
    assert took > SHORT_ENOUGH
    assert took > MOST * before
