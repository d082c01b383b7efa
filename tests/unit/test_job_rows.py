"""A job as a table row: nothing is lost, and everything fits."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from http_edge.submissions import LONGEST_PROMPT
from submit_job.request import read_submission
from tests.unit.examples import moderately_many
from tests.unit.jobs import DAY, LATER, NOW, REQUEST, VIDEO, a_job
from video_jobs.domain.chain import Chain
from video_jobs.domain.cost import Cost
from video_jobs.domain.errors import InvalidRequest, NewerVersion, UnreadableRow
from video_jobs.domain.estimate import Forecast
from video_jobs.domain.job import (
    EqualEntry,
    Event,
    InputImage,
    Job,
    JobError,
    ListSearch,
    Output,
    Status,
    Suspect,
    VideoRequest,
)
from video_jobs.domain.job_parts import Cancellation, Polls, Submission
from video_jobs.domain.webhook import Delivery, Webhook, WebhookStatus
from video_jobs.storage.job_rows import from_row, to_row
from video_jobs.storage.schema import SCHEMA

MOST_UNITS = 32 * 1024
"""UTF-16 units that a string property of Table Storage holds."""

EMOJI = "🎬"

texts = st.text(st.characters(exclude_categories=["Cs"]))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
events = st.builds(
    Event,
    at=moments,
    what=texts,
    detail=st.none() | texts,
    request_id=st.none() | texts,
    times=st.integers(1, 10**6),
    first_at=st.none() | moments,
)
chains = st.builds(
    Chain,
    turn=st.integers(0, 10**6),
    due_at=st.none() | moments,
    attempts=st.integers(0, 1000),
    repairs=st.integers(0, 10**6),
)
outputs = st.builds(
    Output,
    index=st.integers(0, 99),
    generation_id=texts,
    chain=chains,
    stored=st.none() | st.just(VIDEO) | st.just(replace(VIDEO, verified=False, width=None)),
    thumbnail=st.none() | st.sampled_from(["jpg", "webp"]),
    lost=st.booleans(),
    problem=st.none() | texts,
)
jobs = st.builds(
    Job,
    id=st.just(a_job().id),
    owner=st.just("default"),
    status=st.sampled_from(Status),
    created_at=moments,
    updated_at=moments,
    finished_at=st.none() | moments,
    request=st.builds(
        VideoRequest,
        prompt=texts,
        width=st.integers(1, 8192),
        height=st.integers(1, 8192),
        seconds=st.integers(1, 3600),
        variants=st.integers(1, 4),
        input_image=st.none() | st.just(InputImage("image/png", 100, "ab" * 32, 64, 48)),
    ),
    metadata=st.dictionaries(texts, texts, max_size=16),
    backend=st.just(a_job().backend),
    chain=chains,
    status_since=st.none() | moments,
    history=st.lists(events, max_size=4).map(tuple),
    deleted_at=st.none() | moments,
    backend_job_gone=st.booleans(),
    expires_at=st.none() | moments,
    told_expires_at=st.none() | moments,
    submission=st.builds(Submission, st.none() | texts, *[st.none() | moments] * 4),
    cancellation=st.builds(Cancellation, st.none() | moments, st.none() | texts),
    polls=st.builds(Polls, *[st.none() | moments] * 4),
    list_search=st.none() | st.builds(ListSearch, texts, st.integers(0, 10**6), st.none() | st.booleans()),
    cost=st.none() | st.builds(Cost, st.floats(0, 1e6), st.just("USD")),
    progress=st.none() | st.integers(0, 100),
    forecast=st.none() | st.just(Forecast((50.0, 60.5, 71.0))),
    outputs=st.lists(outputs, max_size=4).map(tuple),
    reason=st.none() | texts,
    error=st.none()
    | st.builds(
        JobError,
        code=texts,
        message=texts,
        backend_code=st.none() | texts,
        candidates=st.lists(texts, max_size=3).map(tuple),
    ),
)

#: With something in every field.
FULL = a_job(
    status=Status.FAILED,
    finished_at=LATER,
    request=replace(REQUEST, input_image=InputImage("image/webp", 100, "ab" * 32, 1280, 720)),
    metadata={"campaign": "spring", "": "empty", "prompt": "not the prompt"},
    chain=Chain(7, LATER, repairs=2),
    status_since=NOW,
    history=(
        Event(NOW, "submitted", "task_01", "req_1"),
        Event(LATER, "poll_failed", "It answered 503.", None, 3, NOW),
    ),
    counts_toward_quota=True,
    retry_of="job_1",
    retried_as="job_2",
    adopts="task_01",
    cancellation=Cancellation(NOW, "It will not."),
    deleted_at=LATER,
    backend_job_gone=True,
    alarm="An hour left.",
    last_error="KeyError",
    submission=Submission(
        "attempt-1", NOW, NOW + timedelta(microseconds=1), outcome_lost_at=NOW, refused_at=NOW
    ),
    backend_job_id="task_01",
    backend_status="failed",
    backend_request_id="req_1",
    list_unreadable_since=NOW,
    list_search=ListSearch("task_09", 50, True, True, True, ("task_02",), (EqualEntry("task_03", "m", 2.5),)),
    expires_at=NOW + DAY,
    told_expires_at=NOW + DAY,
    polls=Polls(last_polled_at=NOW, not_found_since=NOW, unknown_since=NOW, no_output_since=NOW),
    cost=Cost(1.6, "USD"),
    progress=99,
    expected_at=LATER,
    forecast=Forecast((50.0, 60.5, 71.0)),
    outputs=(
        Output(
            0,
            "gen_0",
            Chain(2, LATER, attempts=1),
            suspects=(Suspect("cd" * 32, 2),),
            problem="Cut.",
            missing_since=NOW,
            began_at=NOW,
        ),
        Output(1, "gen_1", stored=VIDEO, thumbnail="jpg"),
        Output(2, "gen_2", lost=True),
    ),
    reason="It is busy.",
    warning="One is missing.",
    error=JobError("generation_failed", "It failed.", "internal", "Sorry.", "req_2", ("task_02", "task_03")),
    webhook=Webhook(
        "https://hooks.example.test/?token=1",
        WebhookStatus.FAILED,
        Chain(12, LATER, attempts=10, repairs=1),
        manual=True,
        deliveries=(Delivery(NOW, 500, "It answered 500.", 0.25), Delivery(LATER, None, "It is away.", 20.0)),
    ),
)


def units(value: Any) -> int:
    return len(value.encode("utf-16-le")) // 2 if isinstance(value, str) else 0


def stored(job: Job) -> dict[str, Any]:
    """What the table gives back: the row, with a write id that is its own business."""
    return {**to_row(job), "write_id": "w1"}


def accepted(prompt: str, metadata: dict[str, str]) -> Job:
    """A job as it comes out of a request; InvalidRequest where it does not."""
    body = json.dumps({"prompt": prompt, "metadata": metadata}).encode()
    request = read_submission({"content-type": "application/json"}, body, lambda: ({}, {}))
    return a_job(request=replace(REQUEST, prompt=request.prompt), metadata=request.metadata)


# --- nothing is lost -----------------------------------------------------------------------------


def test_every_field_of_a_full_job_comes_back():
    values = {field.name: getattr(FULL, field.name) for field in fields(Job)}
    for part in (FULL.submission, FULL.cancellation, FULL.polls):
        values.update(part._asdict())
    assert [name for name, value in values.items() if value in (None, (), {}, 0, False)] == []
    assert from_row(stored(FULL)) == FULL


def test_a_job_that_was_just_accepted_comes_back():
    assert from_row(stored(a_job())) == a_job()


@moderately_many
@given(jobs)
def test_any_job_comes_back_as_it_was(job: Job):
    assert from_row(stored(job)) == job


def test_times_come_back_with_their_zone():
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    job = from_row(stored(a_job(created_at=east)))
    assert job.created_at == NOW
    assert job.created_at.utcoffset() is not None


# --- everything fits -----------------------------------------------------------------------------


@moderately_many
@given(
    prompt=st.text(st.sampled_from('aé"\\\n🎬漢'), min_size=1, max_size=9),
    times=st.sampled_from([1, 100, 3000, 8000, 32_000]),
    metadata=st.dictionaries(
        st.text(st.sampled_from('ab🎬"\\'), min_size=1, max_size=64),
        st.tuples(st.text(st.sampled_from('a"\\\n🎬'), max_size=4), st.integers(0, 512)).map(
            lambda part: (part[0] * part[1])[:512]
        ),
        max_size=16,
    ),
)
def test_what_a_client_may_send_fits_into_a_row_and_comes_back(
    prompt: str, times: int, metadata: dict[str, str]
):
    try:
        job = accepted(prompt * times, metadata)
    except InvalidRequest:
        assume(False)
    row = stored(job)
    assert max(units(value) for value in row.values()) <= MOST_UNITS
    assert from_row(row) == job


@pytest.mark.parametrize(
    "prompt", ["a" * LONGEST_PROMPT, EMOJI * (LONGEST_PROMPT // 2), '"' * LONGEST_PROMPT]
)
def test_the_longest_prompt_fits(prompt: str):
    row = stored(accepted(prompt, {}))
    assert units(row["prompt"]) == LONGEST_PROMPT
    assert max(units(value) for value in row.values()) <= MOST_UNITS


@pytest.mark.parametrize("letter", ["a", "é", EMOJI, '"', "\n"])
def test_the_largest_metadata_that_is_taken_fits(letter: str):
    taken = 0
    for count in range(17):
        try:
            row = stored(accepted("a boat", {f"{n:064}": letter * 512 for n in range(count)}))
        except InvalidRequest:
            break
        taken = count
        assert units(row["metadata"]) <= MOST_UNITS
    assert taken >= 10


def test_a_job_with_the_longest_errors_and_the_most_videos_fits():
    long = EMOJI * 2000
    output = replace(FULL.outputs[0], generation_id="g" * 1000, problem=long, stored=VIDEO)
    job = replace(
        FULL,
        outputs=tuple(replace(output, index=index) for index in range(4)),
        error=JobError("c", long, long, long, "r" * 100),
        reason=long,
    )
    row = stored(job)
    assert max(units(value) for value in row.values()) <= MOST_UNITS
    assert from_row(row) == job


@pytest.mark.parametrize("letter", ["a", "é", EMOJI, '"', "\\", "\n", "\0", "\x7f", "\u2028"])
@pytest.mark.parametrize("request_id", [None, "r" * 100])
def test_however_much_happens_to_a_job_its_history_fits(letter: str, request_id: str | None):
    job = a_job()
    for number in range(60):
        job = job.noting(NOW, "download_failed", f"{number} {letter * 300}", request_id)
        job = job.noting(LATER, "download_failed", f"{number} {letter * 300}", request_id)
    row = stored(job)
    assert len(job.history) >= 10
    assert units(row["history"]) <= MOST_UNITS
    assert from_row(row) == job


@moderately_many
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["waits", "poll_failed"]),
            st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
            st.sampled_from([1, 50]),
        ),
        max_size=60,
    )
)
def test_whatever_happens_to_a_job_its_history_fits(happened: list[tuple[str, str | None, int]]):
    job = a_job()
    for what, detail, times in happened:
        job = job.noting(NOW, what, detail and detail * times)
    assert units(stored(job).get("history")) <= MOST_UNITS


@moderately_many
@given(jobs)
def test_a_row_holds_only_what_a_table_can(job: Job):
    row = to_row(job)
    assert all(type(value) in (str, int, bool) for value in row.values())
    assert not set(row["PartitionKey"] + row["RowKey"]) & set("/\\#?\t\n\r")


def test_a_person_can_read_a_row():
    row = to_row(FULL)
    assert (row["PartitionKey"], row["RowKey"], row["schema"]) == ("default", FULL.id, SCHEMA)
    assert (row["status"], row["prompt"], row["progress"]) == ("failed", REQUEST.prompt, 99)
    assert json.loads(row["chain"]) == {
        "turn": 7,
        "due_at": "2026-11-05T12:01:00Z",
        "attempts": 0,
        "repairs": 2,
    }
    assert row["metadata"] == '{"campaign":"spring","":"empty","prompt":"not the prompt"}'
    assert "prompt" not in json.loads(row["request"])
    assert to_row(a_job(metadata={"a": "é"}))["metadata"] == '{"a":"é"}'


def test_each_field_of_a_part_of_a_job_has_a_column_of_its_own():
    now = "2026-11-05T12:00:00Z"
    columns = {
        "attempt": "attempt-1",
        "submitting_since": now,
        "submitted_at": "2026-11-05T12:00:00.000001Z",
        "outcome_lost_at": now,
        "refused_at": now,
        "cancel_requested_at": now,
        "cancel_refused": "It will not.",
        "last_polled_at": now,
        "not_found_since": now,
        "unknown_since": now,
        "no_output_since": now,
    }
    row = to_row(FULL)
    assert row == row | columns
    assert not {"submission", "cancellation", "polls"} & row.keys()
    assert not columns.keys() & to_row(a_job()).keys()


# --- other versions ------------------------------------------------------------------------------


def test_a_column_that_a_newer_version_added_is_left_aside():
    assert from_row({**stored(FULL), "colour": "red"}) == FULL


def test_a_row_that_a_newer_version_wrote_in_its_own_way_is_refused():
    with pytest.raises(NewerVersion, match=f"schema {SCHEMA + 1}"):
        from_row({**stored(FULL), "schema": SCHEMA + 1})


def test_a_field_that_an_older_version_did_not_write_has_its_default():
    row = stored(a_job())
    for name in ("chain", "metadata", "outputs"):
        del row[name]
    assert from_row(row) == a_job()


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "dreaming"},
        {"created_at": "yesterday"},
        {"request": "no json"},
        {"request": "{}"},
        {"outputs": '[{"index":"first"}]'},
        {"chain": '{"turn":"many"}'},
        pytest.param(
            {"request": "[]"},
        ),
    ],
)
def test_a_row_that_is_no_job_is_told_as_one(changes: dict[str, Any]):
    with pytest.raises(UnreadableRow, match="is no job"):
        from_row({**stored(FULL), **changes})


@pytest.mark.parametrize(
    "column",
    [
        "created_at",
        "updated_at",
        "backend",
        *(
            pytest.param(
                name,
            )
            for name in ("prompt", "request")
        ),
    ],
)
def test_a_row_without_a_column_that_every_job_has_is_told_as_none(column: str):
    row = stored(a_job(status=Status.RUNNING))
    del row[column]
    with pytest.raises(UnreadableRow, match="is no job"):
        from_row(row)
