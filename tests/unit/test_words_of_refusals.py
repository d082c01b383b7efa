"""What is wrong with a request is said in plain words, with what was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from doctor.printer import hidden
from http_edge.fields import validated
from http_edge.submissions import read_fields
from job_api.import_job import ImportRequest
from submit_job.request import SubmitRequest
from video_jobs.domain.errors import InvalidRequest, UnsupportedContentType
from video_jobs.lifecycle.find import find_job


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"metadata": {"a": 1}}, 'metadata.a: must be text in double quotes, like "1"'),
        ({"duration": 5}, "Did you mean seconds?"),
        ({"n_variants": 5}, "Did you mean variants?"),
        ({"promt": "x"}, "Did you mean prompt?"),
        ({"metadata": "x"}, 'metadata: must be an object, like {"scene": "12"}'),
        ({"prompt": 7}, 'prompt: must be text in double quotes, like "1"'),
    ],
)
def test_a_wrong_field_is_told_with_an_example_or_with_what_was_meant(
    body: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        validated(SubmitRequest, {"prompt": "a boat", **body})
    assert words in str(refused.value)
    assert "Input should" not in str(refused.value)


def test_what_resembles_nothing_gets_no_guess() -> None:
    with pytest.raises(InvalidRequest) as refused:
        validated(ImportRequest, {"backend_job_id": "task_x", "zzz": 1})
    assert "Did you mean" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "words"), [("", "Content-Type: is missing"), ("text/plain", "Content-Type: is 'text/plain'")]
)
def test_a_content_type_that_is_not_there_is_missing(kind: str, words: str) -> None:
    headers = {"content-type": kind} if kind else {}
    with pytest.raises(UnsupportedContentType, match=words):
        read_fields(headers, b"x", lambda: ({}, {}))


@pytest.mark.parametrize(("given", "field"), [("gen_1", "generation_id"), ("task_1", "backend_job_id")])
def test_an_id_of_the_video_services_leads_to_import(given: str, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        find_job(None, "default", given)  # type: ignore[arg-type]  # nothing is read for it
    assert f'POST /api/jobs/import {{"{field}": "{given}"}}' in str(refused.value)


def test_only_what_is_long_enough_to_be_a_secret_is_taken_out_of_words() -> None:
    assert hidden("It exists.", ["xist"]) == "It exists."
    assert hidden("It is a-long-secret.", ["a-long-secret"]) == "It is [removed]."
