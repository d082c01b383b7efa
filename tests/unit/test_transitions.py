"""How a job moves on, and what no order of events can make of it."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from tests.unit.jobs import (
    ATTEMPT,
    BACKEND_JOB_ID,
    DAY,
    LATER,
    NOW,
    REQUEST,
    VIDEO,
    a_job,
    a_job_in,
    a_look,
)
from video_jobs import transitions
from video_jobs.errors import TransitionRefused
from video_jobs.job import Job, JobError, Output, Status
from video_jobs.ports import BackendState

ALL = frozenset(Status)
TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})
ALIVE = ALL - TERMINAL
LOOKED_AT = frozenset({Status.QUEUED, Status.RUNNING})
FETCHED = frozenset({Status.FETCHING, Status.PENDING_DOWNLOAD})

ERROR = JobError("submission_unconfirmed", "Nobody knows.")
SECOND = timedelta(seconds=1)
DONE = a_look(BackendState.SUCCEEDED, generation_ids=("gen_0", "gen_1"))

Transition = Callable[[Job], Job]


def _undated(job: Job) -> Job:
    """The job as if nobody knew when its fetches were due."""
    return replace(job, outputs=tuple(replace(output, due_at=None) for output in job.outputs))


#: Every transition, called as the app calls it, and the statuses that take it.
TAKEN_IN: dict[str, tuple[frozenset[Status], Transition]] = {
    "begin_submit": (
        frozenset({Status.WAITING}),
        lambda job: transitions.begin_submit(job, LATER, "attempt-2"),
    ),
    "put_back": (
        frozenset({Status.SUBMITTING}),
        lambda job: transitions.put_back(job, LATER, ATTEMPT, "It is busy.", LATER + SECOND),
    ),
    "submitted": (
        ALL,
        lambda job: transitions.submitted(
            replace(job, backend_job_id=None), LATER, a_look(BackendState.QUEUED), DAY
        ),
    ),
    "note_unknown_outcome": (
        frozenset({Status.SUBMITTING}),
        lambda job: transitions.note_unknown_outcome(job, LATER, ATTEMPT, "The answer was cut off."),
    ),
    "submission_failed": (
        frozenset({Status.SUBMITTING}),
        lambda job: transitions.submission_failed(job, LATER, ATTEMPT, ERROR),
    ),
    "failed": (ALIVE, lambda job: transitions.failed(job, LATER, ERROR)),
    "next_turn": (ALIVE, lambda job: transitions.next_turn(job, LATER, job.turn + 1)),
    "looked": (LOOKED_AT, lambda job: transitions.looked(job, LATER, a_look(BackendState.RUNNING))),
    "look_failed": (LOOKED_AT, lambda job: transitions.look_failed(job, LATER, "It answered 503.")),
    "not_found": (LOOKED_AT, lambda job: transitions.not_found(job, LATER, listed=False)),
    "output_stored": (
        FETCHED,
        lambda job: transitions.output_stored(job, LATER, Output(0, "gen_0"), VIDEO, None),
    ),
    "output_delayed": (
        FETCHED,
        lambda job: transitions.output_delayed(
            job, LATER, Output(0, "gen_0"), "It answered 403.", turn=job.outputs[0].turn + 1, due_at=LATER
        ),
    ),
    "output_lost": (
        FETCHED,
        lambda job: transitions.output_lost(job, LATER, Output(0, "gen_0"), "It is gone."),
    ),
    "fetch_again": (FETCHED, lambda job: transitions.fetch_again(_undated(job), LATER, timedelta())),
}


def _cells() -> list[object]:
    return [pytest.param(name, status, id=f"{name}-{status}") for name in TAKEN_IN for status in Status]


def test_the_table_has_every_transition():
    # The others ask a question and give no job.
    functions = {
        name
        for name, function in inspect.getmembers(transitions, inspect.isfunction)
        if function.__module__ == transitions.__name__ and not name.startswith("_")
    }
    assert functions - {"is_missing_too_long", "is_moderation"} == TAKEN_IN.keys()


def test_terminal_means_succeeded_failed_cancelled_and_expired():
    assert {status for status in Status if status.is_terminal} == TERMINAL


@pytest.mark.parametrize(("name", "status"), _cells())
def test_a_transition_is_taken_in_its_statuses_and_refused_in_all_others(name: str, status: Status):
    statuses, transition = TAKEN_IN[name]
    job = a_job_in(status)
    if status in statuses:
        changed = transition(job)
        assert changed != job
        assert changed.updated_at == LATER
    else:
        with pytest.raises(TransitionRefused):
            transition(job)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_terminal_job_refuses_every_transition_but_keeping_a_late_backend_id(status: Status):
    job = a_job_in(status, backend_job_id=None)
    kept = transitions.submitted(job, LATER, a_look(BackendState.QUEUED), DAY)
    assert kept.backend_job_id == BACKEND_JOB_ID
    assert (kept.status, kept.finished_at, kept.error, kept.outputs) == (
        status,
        job.finished_at,
        job.error,
        job.outputs,
    )
    assert [name for name, (taken, _) in TAKEN_IN.items() if status in taken] == ["submitted"]


@moderately_many
@given(names=st.lists(st.sampled_from(sorted(TAKEN_IN)), max_size=25), start=st.sampled_from(sorted(ALIVE)))
def test_whatever_comes_in_whatever_order_an_end_stays_the_end(names: list[str], start: Status):
    job, ended = a_job_in(start), None
    for name in names:
        try:
            job = TAKEN_IN[name][1](job)
        except TransitionRefused:
            continue
        if ended is not None:
            assert (job.status, job.finished_at, job.error, job.outputs) == ended
        elif job.is_terminal:
            assert job.finished_at == LATER
            ended = (job.status, job.finished_at, job.error, job.outputs)


# --- the submission ------------------------------------------------------------------------------


def test_submitting_remembers_since_when_and_forgets_why_it_waited():
    job = transitions.begin_submit(a_job(reason="It is busy.", submit_after=NOW), LATER, ATTEMPT)
    assert (job.status, job.submitting_since) == (Status.SUBMITTING, LATER)
    assert (job.reason, job.submit_after) == (None, None)


def test_a_job_that_is_put_back_waits_until_its_time_and_says_why():
    job = transitions.put_back(a_job_in(Status.SUBMITTING), LATER, ATTEMPT, "It is busy.", LATER + SECOND)
    assert (job.status, job.submitting_since) == (Status.WAITING, None)
    assert (job.reason, job.submit_after) == ("It is busy.", LATER + SECOND)


@pytest.mark.parametrize("status", sorted(ALL))
def test_another_backend_id_never_replaces_the_one_that_is_known(status: Status):
    with pytest.raises(TransitionRefused):
        transitions.submitted(a_job_in(status), LATER, a_look(BackendState.QUEUED, id="task_02"), DAY)


@pytest.mark.parametrize("status", sorted(ALL))
def test_the_backend_id_moves_a_job_to_queued_and_never_back(status: Status):
    job = transitions.submitted(
        a_job_in(status, backend_job_id=None), LATER, a_look(BackendState.QUEUED, request_id="req_1"), DAY
    )
    before_the_answer = status in (Status.WAITING, Status.SUBMITTING)
    assert job.status is (Status.QUEUED if before_the_answer else status)
    assert (job.submitted_at, job.backend_request_id) == (LATER, "req_1")


def test_what_the_backend_says_of_its_deletion_counts_before_our_reckoning():
    said = a_look(BackendState.QUEUED, created_at=NOW, expires_at=NOW + SECOND)
    assert transitions.submitted(a_job(), LATER, said, DAY).expires_at == NOW + SECOND


def test_deletion_is_reckoned_from_the_creation_at_the_backend():
    said = a_look(BackendState.QUEUED, created_at=NOW - SECOND)
    assert transitions.submitted(a_job(), LATER, said, DAY).expires_at == NOW - SECOND + DAY


def test_deletion_is_reckoned_from_the_call_where_the_backend_says_nothing():
    job = a_job_in(Status.SUBMITTING, backend_job_id=None, submitting_since=NOW + SECOND)
    said = a_look(BackendState.QUEUED)
    assert transitions.submitted(job, LATER, said, DAY).expires_at == NOW + SECOND + DAY
    assert transitions.submitted(a_job(), LATER, said, DAY).expires_at == LATER + DAY


def test_an_unknown_outcome_keeps_the_job_submitting_and_says_why():
    job = transitions.note_unknown_outcome(
        a_job_in(Status.SUBMITTING), LATER, ATTEMPT, "The answer was cut off."
    )
    assert (job.status, job.reason, job.submitting_since) == (
        Status.SUBMITTING,
        "The answer was cut off.",
        NOW,
    )


def test_what_one_attempt_has_to_say_is_not_said_of_another():
    job = a_job_in(Status.SUBMITTING)
    for told in (
        lambda: transitions.put_back(job, LATER, "attempt-0", "It is busy.", LATER),
        lambda: transitions.note_unknown_outcome(job, LATER, "attempt-0", "Cut."),
        lambda: transitions.submission_failed(job, LATER, "attempt-0", ERROR),
        lambda: transitions.begin_submit(job, LATER, "attempt-2"),
    ):
        with pytest.raises(TransitionRefused):
            told()


def test_an_attempts_own_writes_are_recognised_when_they_are_found_again():
    waiting, job = a_job(), a_job_in(Status.SUBMITTING)
    begun = transitions.begin_submit(waiting, NOW, ATTEMPT)
    assert transitions.begin_submit(begun, LATER, ATTEMPT) is begun
    back = transitions.put_back(job, NOW, ATTEMPT, "It is busy.", LATER)
    assert transitions.put_back(back, LATER, ATTEMPT, "It is busy.", LATER + SECOND) is back
    ended = transitions.submission_failed(job, NOW, ATTEMPT, ERROR)
    assert transitions.submission_failed(ended, LATER, ATTEMPT, ERROR) is ended


@pytest.mark.parametrize("status", sorted(ALL))
def test_a_backend_id_that_is_known_already_changes_nothing(status: Status):
    job = a_job_in(status)
    assert transitions.submitted(job, LATER, a_look(BackendState.QUEUED), DAY) is job


def test_a_missing_job_is_not_given_up_while_the_list_can_not_tell():
    missing = a_job_in(Status.RUNNING, not_found_since=NOW)
    over = NOW + 2 * transitions.LOST_JOB_GRACE
    assert transitions.not_found(missing, over, listed=None).status is Status.RUNNING
    assert transitions.not_found(missing, over, listed=False).status is Status.FAILED


def test_a_first_fetch_message_is_missed_after_two_minutes():
    job = a_job_in(Status.FETCHING)
    patience = timedelta(minutes=9)
    assert transitions.fetch_again(job, NOW + timedelta(seconds=119), patience) is job
    again = transitions.fetch_again(job, NOW + timedelta(seconds=120), patience)
    assert [output.turn for output in again.outputs] == [1, 1]


def test_a_failure_ends_the_job_with_its_error():
    job = transitions.failed(a_job_in(Status.SUBMITTING, reason="Wait."), LATER, ERROR)
    assert (job.status, job.finished_at, job.error, job.reason) == (Status.FAILED, LATER, ERROR, None)


# --- the polling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0, 6, 7])
def test_a_turn_that_is_over_is_refused_so_that_two_chains_become_one(turn: int):
    with pytest.raises(TransitionRefused):
        transitions.next_turn(a_job_in(Status.RUNNING, turn=7), LATER, turn)


def test_the_turn_goes_up():
    assert transitions.next_turn(a_job_in(Status.RUNNING, turn=7), LATER, 8).turn == 8


@moderately_many
@given(st.lists(st.none() | st.integers(-50, 500)))
def test_progress_never_falls(told: list[int | None]):
    job, shown = a_job_in(Status.QUEUED), [0]
    for progress in told:
        job = transitions.looked(job, LATER, a_look(BackendState.RUNNING, progress=progress))
        if job.progress is not None:
            shown.append(max(job.progress, 0))
            assert job.progress <= 100
    assert shown == sorted(shown)
    assert (job.progress is None) == all(progress is None for progress in told)


def test_what_was_told_of_another_backend_job_is_refused():
    with pytest.raises(TransitionRefused):
        transitions.looked(a_job_in(Status.RUNNING), LATER, a_look(BackendState.FAILED, id="task_02"))


@pytest.mark.parametrize(
    ("before", "told", "after"),
    [
        (Status.QUEUED, BackendState.QUEUED, Status.QUEUED),
        (Status.QUEUED, BackendState.RUNNING, Status.RUNNING),
        (Status.QUEUED, BackendState.UNKNOWN, Status.QUEUED),
        (Status.RUNNING, BackendState.RUNNING, Status.RUNNING),
        (Status.RUNNING, BackendState.QUEUED, Status.RUNNING),
        (Status.RUNNING, BackendState.UNKNOWN, Status.RUNNING),
        (Status.QUEUED, BackendState.FAILED, Status.FAILED),
        (Status.RUNNING, BackendState.FAILED, Status.FAILED),
        (Status.QUEUED, BackendState.CANCELLED, Status.CANCELLED),
        (Status.RUNNING, BackendState.CANCELLED, Status.CANCELLED),
    ],
)
def test_a_look_moves_a_job_forward_and_never_back(before: Status, told: BackendState, after: Status):
    job = transitions.looked(a_job_in(before), LATER, a_look(told))
    assert job.status is after
    assert job.finished_at == (LATER if after.is_terminal else None)
    assert job.backend_status == told.value


def test_a_look_clears_what_was_wrong_before_and_keeps_what_the_backend_left_out():
    before = a_job_in(Status.RUNNING, reason="Not known.", not_found_since=NOW, backend_request_id="req_1")
    job = transitions.looked(before, LATER, a_look(BackendState.RUNNING))
    assert (job.reason, job.not_found_since) == (None, None)
    assert (job.backend_request_id, job.expires_at) == ("req_1", before.expires_at)


@pytest.mark.parametrize("before", sorted(LOOKED_AT))
def test_generated_means_one_open_output_for_each_generation_due_now(before: Status):
    job = transitions.looked(a_job_in(before, outputs=()), LATER, DONE)
    assert (job.status, job.progress, job.notice) == (Status.FETCHING, 100, None)
    assert job.outputs == (Output(0, "gen_0", due_at=LATER), Output(1, "gen_1", due_at=LATER))


def test_fewer_videos_than_asked_for_are_fetched_and_the_client_is_told():
    told = a_look(BackendState.SUCCEEDED, generation_ids=("gen_0",))
    job = transitions.looked(a_job_in(Status.RUNNING), LATER, told)
    assert (job.status, len(job.outputs)) == (Status.FETCHING, 1)
    assert job.notice == "The video API generated 1 of the 2 videos asked for."


def test_more_videos_than_asked_for_are_all_fetched():
    told = a_look(BackendState.SUCCEEDED, generation_ids=("gen_0", "gen_1", "gen_2"))
    job = transitions.looked(a_job_in(Status.RUNNING), LATER, told)
    assert [output.generation_id for output in job.outputs] == ["gen_0", "gen_1", "gen_2"]
    assert job.notice is None


def test_success_without_a_video_is_believed_after_the_grace_and_not_before():
    told = a_look(BackendState.SUCCEEDED)
    job = transitions.looked(a_job_in(Status.RUNNING), NOW, told)
    assert (job.status, job.no_output_since) == (Status.RUNNING, NOW)
    job = transitions.looked(job, NOW + transitions.NO_OUTPUT_GRACE - SECOND, told)
    assert job.status is Status.RUNNING
    job = transitions.looked(job, NOW + transitions.NO_OUTPUT_GRACE, told)
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "no_output")


def test_a_video_that_is_named_late_is_fetched():
    job = transitions.looked(a_job_in(Status.RUNNING), NOW, a_look(BackendState.SUCCEEDED))
    assert transitions.looked(job, NOW + 2 * transitions.NO_OUTPUT_GRACE, DONE).status is Status.FETCHING


def test_the_grace_without_a_video_begins_anew_when_the_backend_goes_back_to_running():
    job = transitions.looked(a_job_in(Status.RUNNING), NOW, a_look(BackendState.SUCCEEDED))
    job = transitions.looked(job, NOW + SECOND, a_look(BackendState.RUNNING))
    job = transitions.looked(job, NOW + 2 * transitions.NO_OUTPUT_GRACE, a_look(BackendState.SUCCEEDED))
    assert job.status is Status.RUNNING


def test_success_without_a_video_is_not_polled_past_what_the_backend_keeps():
    job = transitions.looked(a_job_in(Status.RUNNING), NOW + DAY, a_look(BackendState.SUCCEEDED))
    assert job.is_terminal


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("moderation_blocked", "Blocked by our moderation system."),
        ("input_moderation", None),
        ("output_moderation", None),
        ("ResponsibleAIPolicyViolation", None),
        ("content_policy_violation", None),
        (None, "It did not pass the content_filter."),
    ],
)
def test_refused_content_is_told_apart_from_a_failed_generation(code: str | None, message: str | None):
    told = a_look(BackendState.FAILED, failure_code=code, failure_message=message, request_id="req_1")
    error = transitions.looked(a_job_in(Status.RUNNING), LATER, told).error
    assert error is not None
    assert error.code == "moderation_blocked"
    assert (error.backend_code, error.backend_message, error.backend_request_id) == (code, message, "req_1")
    assert str(message or code) in error.message


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        ("internal_error", None, "internal_error"),
        ("internal_error", "The model crashed.", "The model crashed."),
        (None, None, "it gave no reason"),
    ],
)
def test_a_failed_generation_says_what_the_backend_said(code: str | None, message: str | None, words: str):
    told = a_look(BackendState.FAILED, failure_code=code, failure_message=message)
    error = transitions.looked(a_job_in(Status.RUNNING), LATER, told).error
    assert error is not None
    assert error.code == "generation_failed"
    assert error.message.endswith(words)


@pytest.mark.parametrize("told", [BackendState.QUEUED, BackendState.RUNNING, BackendState.UNKNOWN])
def test_nothing_is_polled_past_what_the_backend_keeps_and_nothing_given_up_before(told: BackendState):
    job = a_job_in(Status.RUNNING)
    assert job.expires_at is not None
    assert transitions.looked(job, job.expires_at - SECOND, a_look(told)).status is Status.RUNNING
    ended = transitions.looked(job, job.expires_at, a_look(told))
    assert (ended.status, ended.error and ended.error.code) == (Status.EXPIRED, "expired")


def test_a_video_that_is_there_is_fetched_though_its_time_is_over():
    job = a_job_in(Status.RUNNING)
    assert transitions.looked(job, NOW + 2 * DAY, DONE).status is Status.FETCHING


def test_a_later_deletion_that_the_backend_tells_prolongs_the_job():
    told = a_look(BackendState.RUNNING, expires_at=NOW + 3 * DAY)
    job = transitions.looked(a_job_in(Status.RUNNING), NOW + 2 * DAY, told)
    assert (job.status, job.expires_at) == (Status.RUNNING, NOW + 3 * DAY)


def test_failed_looks_change_nothing_but_the_reason_until_the_expiry():
    job = a_job_in(Status.QUEUED)
    waiting = transitions.look_failed(job, NOW + DAY - SECOND, "It answered 503.")
    assert (waiting.status, waiting.reason) == (Status.QUEUED, "It answered 503.")
    ended = transitions.look_failed(job, NOW + DAY, "It answered 503.")
    assert ended.status is Status.EXPIRED
    assert ended.error is not None
    assert "It answered 503." in ended.error.message


def test_a_job_that_the_backend_does_not_know_is_given_up_after_the_grace_and_not_before():
    job = transitions.not_found(a_job_in(Status.RUNNING), NOW, listed=False)
    assert (job.status, job.not_found_since) == (Status.RUNNING, NOW)
    almost = NOW + transitions.LOST_JOB_GRACE - SECOND
    assert not transitions.is_missing_too_long(job, almost)
    job = transitions.not_found(job, almost, listed=False)
    assert (job.status, job.not_found_since) == (Status.RUNNING, NOW)
    over = NOW + transitions.LOST_JOB_GRACE
    assert transitions.is_missing_too_long(job, over)
    job = transitions.not_found(job, over, listed=False)
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "backend_lost_job")


def test_a_job_that_is_still_listed_is_not_given_up():
    missing = a_job_in(Status.RUNNING, not_found_since=NOW)
    job = transitions.not_found(missing, NOW + 2 * transitions.LOST_JOB_GRACE, listed=True)
    assert (job.status, job.not_found_since) == (Status.RUNNING, None)


def test_a_job_that_was_seen_is_not_missing():
    assert not transitions.is_missing_too_long(a_job_in(Status.RUNNING), NOW + DAY)


def test_a_job_that_the_backend_does_not_know_after_its_time_has_expired():
    job = transitions.not_found(a_job_in(Status.RUNNING), NOW + DAY, listed=False)
    assert job.status is Status.EXPIRED


# --- the fetching --------------------------------------------------------------------------------


def test_a_job_succeeds_with_its_last_output_and_not_before():
    job = transitions.output_stored(a_job_in(Status.FETCHING), NOW, Output(1, "gen_1"), VIDEO, "jpg")
    assert (job.status, job.finished_at) == (Status.FETCHING, None)
    assert job.outputs[1] == Output(1, "gen_1", turn=1, stored=VIDEO, thumbnail="jpg")
    job = transitions.output_stored(job, LATER, Output(0, "gen_0"), VIDEO, None)
    assert (job.status, job.finished_at, job.reason, job.error) == (Status.SUCCEEDED, LATER, None, None)
    assert all(output.stored == VIDEO for output in job.outputs)


def test_a_pending_download_that_comes_after_all_makes_the_job_succeed():
    job = a_job_in(Status.FETCHING, outputs=(Output(0, "gen_0"),))
    job = transitions.output_delayed(job, NOW, Output(0, "gen_0"), "It answered 403.", turn=1, due_at=LATER)
    assert (job.status, job.reason) == (Status.PENDING_DOWNLOAD, "It answered 403.")
    job = transitions.output_stored(job, LATER, Output(0, "gen_0"), VIDEO, None)
    assert (job.status, job.reason, job.outputs[0].problem) == (Status.SUCCEEDED, None, None)


def test_a_delay_counts_the_attempt_and_remembers_the_next_message():
    job = transitions.output_delayed(
        a_job_in(Status.FETCHING), NOW, Output(1, "gen_1"), "Cut.", turn=4, due_at=LATER, suspect_sha256="aa"
    )
    assert job.outputs == (
        Output(0, "gen_0", due_at=NOW),
        Output(1, "gen_1", turn=4, attempts=1, due_at=LATER, suspect_sha256="aa", problem="Cut."),
    )


def test_a_suspect_hash_outlives_a_failure_of_another_kind():
    job = a_job_in(Status.FETCHING, outputs=(Output(0, "gen_0", suspect_sha256="aa"),))
    job = transitions.output_delayed(job, NOW, Output(0, "gen_0"), "It answered 503.", turn=1, due_at=LATER)
    assert job.outputs[0].suspect_sha256 == "aa"


@pytest.mark.parametrize("turn", [0, 2, 3])
def test_a_fetch_turn_that_is_over_is_refused(turn: int):
    job = a_job_in(Status.FETCHING, outputs=(Output(0, "gen_0", turn=3),))
    with pytest.raises(TransitionRefused):
        transitions.output_delayed(job, NOW, Output(0, "gen_0"), "Cut.", turn=turn, due_at=LATER)


@pytest.mark.parametrize(
    ("index", "generation_id"), [(0, "gen_1"), (0, "gen_9"), (2, "gen_2"), (-1, "gen_1")]
)
@pytest.mark.parametrize("name", ["output_stored", "output_delayed", "output_lost"])
def test_an_output_that_the_job_does_not_have_is_refused(name: str, index: int, generation_id: str):
    with pytest.raises(TransitionRefused):
        _settle_one(name, a_job_in(Status.FETCHING), index, generation_id)


@pytest.mark.parametrize("settled", [Output(0, "gen_0", stored=VIDEO), Output(0, "gen_0", lost=True)])
@pytest.mark.parametrize("name", ["output_stored", "output_delayed", "output_lost"])
def test_a_settled_output_refuses_to_be_settled_again(name: str, settled: Output):
    job = a_job_in(Status.FETCHING, outputs=(settled, Output(1, "gen_1")))
    with pytest.raises(TransitionRefused):
        _settle_one(name, job, 0, "gen_0")


def _settle_one(name: str, job: Job, index: int, generation_id: str) -> Job:
    match name:
        case "output_stored":
            return transitions.output_stored(job, LATER, Output(index, generation_id), VIDEO, None)
        case "output_delayed":
            return transitions.output_delayed(
                job, LATER, Output(index, generation_id), "Cut.", turn=9, due_at=LATER
            )
    return transitions.output_lost(job, LATER, Output(index, generation_id), "It is gone.")


@pytest.mark.parametrize("lost_first", [True, False])
def test_a_lost_output_ends_the_job_as_expired_and_keeps_what_is_stored(lost_first: bool):
    job = a_job_in(Status.PENDING_DOWNLOAD)
    steps: list[Transition] = [
        lambda job: transitions.output_lost(job, LATER, Output(0, "gen_0"), "It answered 403."),
        lambda job: transitions.output_stored(job, LATER, Output(1, "gen_1"), VIDEO, None),
    ]
    for step in steps if lost_first else reversed(steps):
        assert not job.is_terminal
        job = step(job)
    assert (job.status, job.finished_at) == (Status.EXPIRED, LATER)
    assert job.error is not None
    assert "It answered 403." in job.error.message
    assert job.outputs[1].stored == VIDEO


def test_an_unverified_video_is_kept_and_the_job_fails_saying_so():
    job = a_job_in(Status.FETCHING, outputs=(Output(0, "gen_0"),))
    unverified = replace(VIDEO, verified=False)
    job = transitions.output_stored(job, LATER, Output(0, "gen_0"), unverified, None)
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "unverified_video")
    assert job.outputs[0].stored == unverified


def test_only_overdue_fetches_are_asked_for_again():
    overdue, patient = timedelta(minutes=9), NOW + timedelta(minutes=9)
    outputs = (
        Output(0, "gen_0", turn=5, due_at=NOW),
        Output(1, "gen_1", turn=5, due_at=NOW + SECOND),
        Output(2, "gen_2", turn=5, due_at=None),
        Output(3, "gen_3", turn=5, stored=VIDEO),
        Output(4, "gen_4", turn=5, lost=True),
    )
    job = transitions.fetch_again(a_job_in(Status.FETCHING, outputs=outputs), patient, overdue)
    assert [output.turn for output in job.outputs] == [6, 5, 6, 5, 5]
    assert [output.due_at for output in job.outputs] == [patient, NOW + SECOND, patient, None, None]


def test_where_no_fetch_is_overdue_the_job_stays_as_it_is():
    job = a_job_in(Status.FETCHING)
    assert transitions.fetch_again(job, NOW + SECOND, timedelta(minutes=9)) is job


@moderately_many
@given(names=st.lists(st.sampled_from(sorted(TAKEN_IN)), max_size=25), start=st.sampled_from(sorted(ALL)))
def test_no_turn_ever_falls(names: list[str], start: Status):
    job = a_job_in(start)
    for name in names:
        before = job
        try:
            job = TAKEN_IN[name][1](job)
        except TransitionRefused:
            continue
        assert job.turn >= before.turn
        if job.status in FETCHED and before.status in FETCHED:
            assert all(new.turn >= old.turn for new, old in zip(job.outputs, before.outputs, strict=True))


def test_the_live_key_orders_jobs_by_their_arrival():
    younger = a_job(created_at=LATER)
    assert a_job().live_key < younger.live_key
    assert a_job().live_key.endswith(a_job().id)


def test_the_size_is_written_width_first():
    assert REQUEST.size == "1280x720"
