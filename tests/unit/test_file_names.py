"""A saved video has a name that every file system and every header takes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.jobs import a_job
from video_jobs.views.file_names import file_name


@pytest.mark.parametrize(
    ("prompt", "begins"),
    [
        ("A paper boat!", "a-paper-boat-"),
        ("Füchse im Schnee", "fuchse-im-schnee-"),
        ("雪", "video-"),
        ("", "video-"),
    ],
)
def test_it_begins_with_the_words_of_the_prompt(prompt: str, begins: str) -> None:
    job = a_job()
    assert file_name(replace(job, request=replace(job.request, prompt=prompt)), 0).startswith(begins)


@given(st.text(max_size=400))
def test_it_is_short_and_plain_whatever_the_prompt_is(prompt: str) -> None:
    job = a_job()
    name = file_name(replace(job, request=replace(job.request, prompt=prompt)), 0)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.mp4", name)
    assert len(name) <= 80
