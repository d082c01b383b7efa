"""What a client may send to take a job up, and how everything else is refused before anything is asked or written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_api.import_job import LARGEST_BODY, ImportRequest, read_import
from tests.unit.examples import moderately_many
from video_jobs.domain.errors import InvalidRequest, RequestTooLarge

EMOJI = "🎬"


def send(body: Any) -> ImportRequest:
    return read_import(json.dumps(body).encode())


def refused(body: Any) -> dict[str, str]:
    """The problems by field."""
    with pytest.raises(InvalidRequest) as error:
        send(body)
    assert error.value.code == "invalid_request"
    return {problem.field: problem.message for problem in error.value.problems}


# --- what is taken -------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["backend_job_id", "generation_id"])
def test_one_id_is_enough(field: str) -> None:
    request = send({field: "task_01"})
    assert request.model_dump(exclude_unset=True) == {field: "task_01"}
    assert (request.backend, request.metadata) == (None, None)


def test_everything_may_be_said() -> None:
    body = {"backend_job_id": "video_1", "backend": "own", "metadata": {"campaign": "spring"}}
    assert send(body).model_dump(exclude_unset=True) == body


@pytest.mark.parametrize(
    "named", ["video_+/8=", "video_1:upstream", "é", "...", "a?b#c", "%2e%2e", "../jobs", "v" * 1000]
)
def test_an_id_is_opaque(named: str) -> None:
    assert send({"backend_job_id": named}).backend_job_id == named


# --- what is not ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named", ["", " ", ".", "..", "a b", "a\n", "\ta", "a\0", "a\x7f", "\ud83d", "v" * 1001]
)
@pytest.mark.parametrize("field", ["backend_job_id", "generation_id"])
def test_what_can_be_no_id_is_refused(field: str, named: str) -> None:
    assert refused({field: named}) == {field: "must be the id that the video API gave, without spaces"}


@pytest.mark.parametrize("named", [7, 1.5, True, ["task_1"], {"id": "task_1"}])
@pytest.mark.parametrize("field", ["backend_job_id", "generation_id", "backend"])
def test_what_is_no_text_is_refused(field: str, named: Any) -> None:
    assert field in refused({field: named})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"backend_job_id": None},
        {"metadata": {"a": "b"}},
        {"backend_job_id": "task_1", "generation_id": "gen_1"},
    ],
)
def test_there_must_be_one_id_of_the_two(body: dict[str, Any]) -> None:
    assert refused(body) == {"body": "give either backend_job_id or, for Azure Sora, generation_id"}


@pytest.mark.parametrize("backend", ["", "b" * 41])
def test_a_backend_is_named_by_a_short_text(backend: str) -> None:
    assert refused({"backend_job_id": "task_1", "backend": backend}).keys() == {"backend"}


def test_an_unknown_field_is_refused_and_the_known_ones_are_named() -> None:
    problems = refused({"job_id": "task_1"})
    assert problems.keys() == {"job_id"}
    for field in ("backend_job_id", "generation_id", "backend", "metadata"):
        assert field in problems["job_id"]


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({str(n): "" for n in range(17)}, "metadata"),
        ({str(n): '"' * 512 for n in range(16)}, "metadata"),
        ({"": "a"}, "metadata."),
        ({"k" * 65: "a"}, "metadata." + "k" * 65),
        ({"a": "v" * 513}, "metadata.a"),
        ({"a": 1}, "metadata.a"),
        ({"a": None}, "metadata.a"),
        ({"a": {"b": "c"}}, "metadata.a"),
        ({"a": "\0"}, "metadata.a"),
        ({"a": "\x1b[31m"}, "metadata.a"),
        ({"a": "\ud83d"}, "metadata.a"),
        ({"\0": "a"}, "metadata.?"),
        ("a=b", "metadata"),
        (["a"], "metadata"),
    ],
)
def test_metadata_are_held_to_the_same_limits_as_at_submission(metadata: Any, field: str) -> None:
    assert refused({"backend_job_id": "task_1", "metadata": metadata}).keys() == {field}


@pytest.mark.parametrize(
    "metadata", [{}, {"k" * 64: "v" * 512}, {str(n): "" for n in range(16)}, {"a": EMOJI * 512}]
)
def test_metadata_are_up_to_16_short_texts(metadata: dict[str, str]) -> None:
    assert send({"backend_job_id": "task_1", "metadata": metadata}).metadata == metadata


def test_every_problem_is_told_at_once() -> None:
    problems = refused({"backend_job_id": "a b", "backend": "", "metadata": {"a": 1}, "x": 1})
    assert problems.keys() == {"backend_job_id", "backend", "metadata.a", "x"}


# --- the body ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"id=task_1",
        b'{"backend_job_id": "\xff"}',
        b"[" * 50_000,
        b"[]",
        b"null",
        b'"task_1"',
        b"7",
    ],
)
def test_broken_json_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as error:
        read_import(body)
    assert error.value.code == "invalid_json"
    assert [problem.field for problem in error.value.problems] == ["body"]
    assert len(str(error.value)) < 300


def test_a_body_beyond_the_limit_is_refused_unread() -> None:
    assert send({"backend_job_id": "a" * 1000}).backend_job_id
    with pytest.raises(RequestTooLarge) as error:
        read_import(b'{"backend_job_id": "a"}'.ljust(LARGEST_BODY + 1))
    assert error.value.code == "body_too_large"
    assert read_import(b'{"backend_job_id": "a"}'.ljust(LARGEST_BODY)).backend_job_id == "a"


@moderately_many
@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=50))
def test_an_id_is_taken_unchanged_or_refused_by_name(named: str) -> None:
    try:
        taken = send({"backend_job_id": named}).backend_job_id
    except InvalidRequest:
        assert refused({"backend_job_id": named}).keys() == {"backend_job_id"}
    else:
        assert taken == named
        assert taken.encode()
