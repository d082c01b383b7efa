"""How a job moves on, and what no order of events can make of it."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from tests.unit.jobs import (
    ATTEMPT,
    BACKEND,
    BACKEND_JOB_ID,
    DAY,
    LATER,
    NOW,
    REQUEST,
    VIDEO,
    a_job,
    a_job_in,
    a_poll,
)
from video_jobs.domain import transitions
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.estimate import Forecast
from video_jobs.domain.job import MOST_EVENTS, Event, Job, JobError, ListSearch, Output, Status, Suspect
from video_jobs.domain.job_parts import Cancellation, Polls, Submission
from video_jobs.domain.webhook import MOST_DELIVERIES, Delivery, Webhook, WebhookStatus

ALL = frozenset(Status)
TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})
ALIVE = ALL - TERMINAL
LOOKED_AT = frozenset({Status.QUEUED, Status.RUNNING})
FETCHED = frozenset({Status.FETCHING, Status.PENDING_DOWNLOAD})
STOPPABLE = frozenset({Status.WAITING, Status.SUBMITTING, Status.QUEUED, Status.RUNNING})

ERROR = JobError("submission_unconfirmed", "Nobody knows.")
SECOND = timedelta(seconds=1)
HOOK = Webhook("https://hooks.example.test/", chain=Chain(1))
TOLD, UNTOLD = Delivery(LATER, 204, None, 0.1), Delivery(LATER, 500, "It answered 500.", 0.1)
DONE = a_poll(BackendState.SUCCEEDED, generation_ids=("gen_0", "gen_1"))
MISSING = Polls(not_found_since=NOW)

Transition = Callable[[Job], Job]


def _hooked(job: Job, **changes: Any) -> Job:
    return replace(job, webhook=replace(HOOK, **changes))


class Case(NamedTuple):
    """A transition, called as the app calls it, and what each status makes of it."""

    taken: frozenset[Status]
    call: Transition
    unchanged: frozenset[Status] = frozenset()  #: it gives the job as it is; all others refuse


TRANSITIONS: dict[str, Case] = {
    "waits": Case(frozenset({Status.WAITING}), lambda job: transitions.waits(job, LATER, "It is in line.")),
    "stands_in_line": Case(
        frozenset({Status.WAITING}),
        lambda job: transitions.stands_in_line(job, LATER, "It is in line.", job.chain.turn),
    ),
    "begin_submit": Case(
        frozenset({Status.WAITING}),
        lambda job: transitions.begin_submit(job, LATER, "attempt-2", BACKEND),
    ),
    "put_back": Case(
        frozenset({Status.SUBMITTING}),
        lambda job: transitions.put_back(job, LATER, ATTEMPT, "It is busy."),
    ),
    "submitted": Case(
        ALL,
        lambda job: transitions.submitted(
            replace(job, backend_job_id=None), LATER, a_poll(BackendState.QUEUED), DAY
        ),
    ),
    "note_unknown_outcome": Case(
        frozenset({Status.SUBMITTING}),
        lambda job: transitions.note_unknown_outcome(job, LATER, ATTEMPT, "The answer was cut off."),
    ),
    "searched": Case(
        frozenset({Status.SUBMITTING}),
        lambda job: transitions.searched(job, LATER, ATTEMPT, ListSearch("task_9", 50), "It answered 503."),
    ),
    "submission_failed": Case(
        frozenset({Status.SUBMITTING}),
        lambda job: transitions.submission_failed(job, LATER, ATTEMPT, ERROR),
    ),
    "failed": Case(ALIVE, lambda job: transitions.failed(job, LATER, ERROR)),
    "next_turn": Case(
        ALIVE, lambda job: transitions.next_turn(job, LATER, job.chain.turn + 1, LATER + SECOND)
    ),
    "repaired": Case(ALIVE, lambda job: transitions.repaired(job, LATER)),
    "poisoned": Case(ALIVE, lambda job: transitions.poisoned(job, LATER, "A poll failed again and again.")),
    "attempt_failed": Case(ALIVE, lambda job: transitions.attempt_failed(job, LATER, "KeyError")),
    "alarmed": Case(ALIVE, lambda job: transitions.alarmed(replace(job, alarm=None), LATER, "An hour left.")),
    "polled": Case(LOOKED_AT, lambda job: transitions.polled(job, LATER, a_poll(BackendState.RUNNING))),
    "poll_failed": Case(LOOKED_AT, lambda job: transitions.poll_failed(job, LATER, "It answered 503.")),
    "not_found": Case(LOOKED_AT, lambda job: transitions.not_found(job, LATER, listed=False)),
    "output_stored": Case(
        FETCHED,
        lambda job: transitions.output_stored(job, LATER, Output(0, "gen_0"), VIDEO, None),
    ),
    "output_delayed": Case(
        FETCHED,
        lambda job: transitions.output_delayed(
            job,
            LATER,
            Output(0, "gen_0"),
            "It answered 403.",
            turn=job.outputs[0].chain.turn + 1,
            due_at=LATER,
        ),
    ),
    "output_progressed": Case(
        FETCHED, lambda job: transitions.output_progressed(job, LATER, Output(0, "gen_0"))
    ),
    "output_lost": Case(
        FETCHED,
        lambda job: transitions.output_lost(job, LATER, Output(0, "gen_0"), "It is gone."),
    ),
    "fetch_again": Case(FETCHED, lambda job: transitions.fetch_again(job, LATER, all_open=True)),
    "request_cancel": Case(STOPPABLE, lambda job: transitions.request_cancel(job, LATER), ALL - STOPPABLE),
    "cancel_refused": Case(LOOKED_AT, lambda job: transitions.cancel_refused(job, LATER, "It will not.")),
    "cancelled": Case(
        LOOKED_AT | FETCHED, lambda job: transitions.cancelled(job, LATER), frozenset({Status.CANCELLED})
    ),
    "request_delete": Case(ALL, lambda job: transitions.request_delete(replace(job, deleted_at=None), LATER)),
    "backend_job_gone": Case(
        ALL,
        lambda job: transitions.backend_job_gone(replace(job, deleted_at=NOW, backend_job_gone=False), LATER),
    ),
    "adopted": Case(
        frozenset({Status.WAITING}),
        lambda job: transitions.adopted(
            replace(job, backend_job_id=None), LATER, job.backend, a_poll(BackendState.RUNNING), DAY
        ),
    ),
    "nothing_to_adopt": Case(
        frozenset({Status.WAITING}),
        lambda job: transitions.nothing_to_adopt(job, LATER, JobError("backend_job_not_found", "Not there.")),
    ),
    "retried": Case(ALL, lambda job: transitions.retried(replace(job, retried_as=None), LATER, "job_2")),
    "delivery_sent": Case(TERMINAL, lambda job: transitions.delivery_sent(_hooked(job), LATER, 2)),
    "delivery_succeeded": Case(
        TERMINAL, lambda job: transitions.delivery_succeeded(_hooked(job), LATER, TOLD, 1)
    ),
    "delivery_delayed": Case(
        TERMINAL, lambda job: transitions.delivery_delayed(_hooked(job), LATER, UNTOLD, 2, LATER + SECOND)
    ),
    "delivery_refused": Case(TERMINAL, lambda job: transitions.delivery_refused(_hooked(job), LATER, UNTOLD)),
    "delivery_given_up": Case(
        TERMINAL, lambda job: transitions.delivery_given_up(_hooked(job), LATER, UNTOLD, HOOK)
    ),
    "delivery_unwanted": Case(
        TERMINAL, lambda job: transitions.delivery_unwanted(_hooked(job), LATER, None, HOOK)
    ),
    "delivery_requested": Case(TERMINAL, lambda job: transitions.delivery_requested(_hooked(job), LATER)),
    "delivery_poisoned": Case(
        TERMINAL, lambda job: transitions.delivery_poisoned(_hooked(job), LATER, "It failed again and again.")
    ),
}

#: What still happens to a job that has ended, without ever changing how it did.
AFTER_THE_END = {"submitted", "request_delete", "backend_job_gone", "retried"} | {
    name for name in TRANSITIONS if name.startswith("delivery_")
}


def _cells() -> list[object]:
    return [pytest.param(name, status, id=f"{name}-{status}") for name in TRANSITIONS for status in Status]


def _end(job: Job) -> tuple[object, ...]:
    return job.status, job.finished_at, job.error, job.outputs


def test_the_table_has_every_transition():
    def is_public(function: object) -> bool:
        module = getattr(function, "__module__", "")
        return inspect.isfunction(function) and module.startswith(transitions.__name__)

    exported = {name for name in transitions.__all__ if is_public(getattr(transitions, name))}
    # It asks a question and gives no job.
    assert exported - {"overdue_from"} == TRANSITIONS.keys()


def test_terminal_means_succeeded_failed_cancelled_and_expired():
    assert {status for status in Status if status.is_terminal} == TERMINAL


@pytest.mark.parametrize(("name", "status"), _cells())
def test_a_transition_is_taken_in_its_statuses_and_refused_in_all_others(name: str, status: Status):
    taken, call, unchanged = TRANSITIONS[name]
    job = a_job_in(status)
    if status in taken:
        changed = call(job)
        assert changed != job
        assert changed.updated_at == LATER
    elif status in unchanged:
        assert call(job) is job
    else:
        with pytest.raises(TransitionRefused):
            call(job)


@pytest.mark.parametrize(("name", "status"), _cells())
def test_the_time_of_the_last_change_never_goes_back(name: str, status: Status):
    """Two downloads end at once, or clocks differ: the later save may bear the earlier time. A page then kept the older state."""
    saved_by_another = LATER + SECOND
    try:
        changed = TRANSITIONS[name].call(a_job_in(status, updated_at=saved_by_another))
    except TransitionRefused:
        return
    assert changed.updated_at == saved_by_another


@pytest.mark.parametrize(("name", "status"), _cells())
def test_the_time_of_a_status_is_that_of_its_beginning(name: str, status: Status):
    job = a_job_in(status, status_since=NOW - SECOND)
    try:
        changed = TRANSITIONS[name].call(job)
    except TransitionRefused:
        return
    assert changed.status_since == (job.status_since if changed.status is status else LATER)
    assert (changed.finished_at == LATER) == (changed.is_terminal and not job.is_terminal)


@pytest.mark.promise("I5")
@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_whatever_is_noted_of_a_terminal_job_its_end_stays_as_it_is(status: Status):
    job = a_job_in(status, backend_job_id=None)
    assert {name for name, case in TRANSITIONS.items() if status in case.taken} == AFTER_THE_END
    for name in AFTER_THE_END:
        assert _end(TRANSITIONS[name].call(job)) == _end(job)
    kept = transitions.submitted(job, LATER, a_poll(BackendState.QUEUED), DAY)
    assert kept.backend_job_id == BACKEND_JOB_ID


@pytest.mark.promise("I5")
@moderately_many
@given(
    names=st.lists(st.sampled_from(sorted(TRANSITIONS)), max_size=25), start=st.sampled_from(sorted(ALIVE))
)
def test_whatever_comes_in_whatever_order_an_end_stays_the_end(names: list[str], start: Status):
    job, end = a_job_in(start), None
    for name in names:
        try:
            job = TRANSITIONS[name].call(job)
        except TransitionRefused:
            continue
        if end is not None:
            assert _end(job) == end
        elif job.is_terminal:
            assert job.finished_at == LATER
            end = _end(job)


# --- the submission ------------------------------------------------------------------------------


def test_a_waiting_job_says_why_and_says_it_once():
    job = transitions.waits(a_job(), LATER, "It is in line.")
    assert (job.status, job.reason) == (Status.WAITING, "It is in line.")
    assert transitions.waits(job, LATER + SECOND, "It is in line.") is job
    assert transitions.waits(job, LATER, None).reason is None


def test_submitting_remembers_since_when_and_forgets_why_it_waited():
    job = transitions.begin_submit(a_job(reason="It is busy."), LATER, ATTEMPT, BACKEND)
    assert (job.status, job.submission.submitting_since, job.reason) == (Status.SUBMITTING, LATER, None)


def test_a_job_goes_to_the_backend_as_the_settings_name_it_when_it_is_submitted():
    mended = replace(BACKEND, base_url="https://mended.example.test", model="sora-2")
    assert transitions.begin_submit(a_job(), LATER, ATTEMPT, mended).backend == mended


def test_a_job_that_is_put_back_waits_and_says_why():
    job = transitions.put_back(a_job_in(Status.SUBMITTING), LATER, ATTEMPT, "It is busy.")
    assert (job.status, job.submission.submitting_since, job.reason) == (Status.WAITING, None, "It is busy.")


@pytest.mark.parametrize("wanted", [{"cancellation": Cancellation(NOW)}, {"deleted_at": NOW}], ids=str)
def test_a_job_that_nobody_wants_any_more_is_cancelled_in_place_of_being_put_back(
    wanted: dict[str, datetime],
):
    job = a_job_in(Status.SUBMITTING, **wanted)
    ended = transitions.put_back(job, LATER, ATTEMPT, "It is busy.")
    assert (ended.status, ended.finished_at) == (Status.CANCELLED, LATER)
    assert transitions.put_back(ended, LATER + SECOND, ATTEMPT, "It is busy.") is ended


@pytest.mark.parametrize("status", sorted(ALL))
def test_another_backend_id_never_replaces_the_one_that_is_known(status: Status):
    with pytest.raises(TransitionRefused):
        transitions.submitted(a_job_in(status), LATER, a_poll(BackendState.QUEUED, id="task_02"), DAY)


@pytest.mark.parametrize("status", sorted(ALL))
def test_the_backend_id_moves_a_job_to_queued_and_never_back(status: Status):
    job = transitions.submitted(
        a_job_in(status, backend_job_id=None), LATER, a_poll(BackendState.QUEUED, request_id="req_1"), DAY
    )
    before_the_answer = status in (Status.WAITING, Status.SUBMITTING)
    assert job.status is (Status.QUEUED if before_the_answer else status)
    assert (job.submission.submitted_at, job.backend_request_id) == (LATER, "req_1")


def test_what_the_backend_says_of_its_deletion_counts_before_our_reckoning():
    said = a_poll(BackendState.QUEUED, created_at=NOW, expires_at=NOW + SECOND)
    assert transitions.submitted(a_job(), LATER, said, DAY).expires_at == NOW + SECOND


def test_deletion_is_reckoned_from_the_creation_at_the_backend():
    said = a_poll(BackendState.QUEUED, created_at=NOW - SECOND)
    assert transitions.submitted(a_job(), LATER, said, DAY).expires_at == NOW - SECOND + DAY


def test_deletion_is_reckoned_from_the_call_where_the_backend_says_nothing():
    job = a_job_in(Status.SUBMITTING, backend_job_id=None, submission=Submission(ATTEMPT, NOW + SECOND))
    said = a_poll(BackendState.QUEUED)
    assert transitions.submitted(job, LATER, said, DAY).expires_at == NOW + SECOND + DAY
    assert transitions.submitted(a_job(), LATER, said, DAY).expires_at == LATER + DAY


def test_an_unknown_outcome_keeps_the_job_submitting_and_says_why():
    job = transitions.note_unknown_outcome(
        a_job_in(Status.SUBMITTING), LATER, ATTEMPT, "The answer was cut off."
    )
    assert (job.status, job.reason, job.submission.submitting_since) == (
        Status.SUBMITTING,
        "The answer was cut off.",
        NOW,
    )


def test_what_one_attempt_has_to_say_is_not_said_of_another():
    job = a_job_in(Status.SUBMITTING)
    for told in (
        lambda: transitions.put_back(job, LATER, "attempt-0", "It is busy."),
        lambda: transitions.note_unknown_outcome(job, LATER, "attempt-0", "Cut."),
        lambda: transitions.submission_failed(job, LATER, "attempt-0", ERROR),
        lambda: transitions.begin_submit(job, LATER, "attempt-2", BACKEND),
    ):
        with pytest.raises(TransitionRefused):
            told()


def test_an_attempts_own_writes_are_recognised_when_they_are_found_again():
    waiting, job = a_job(), a_job_in(Status.SUBMITTING)
    begun = transitions.begin_submit(waiting, NOW, ATTEMPT, BACKEND)
    assert transitions.begin_submit(begun, LATER, ATTEMPT, BACKEND) is begun
    back = transitions.put_back(job, NOW, ATTEMPT, "It is busy.")
    assert transitions.put_back(back, LATER, ATTEMPT, "It is busy.") is back
    ended = transitions.submission_failed(job, NOW, ATTEMPT, ERROR)
    assert transitions.submission_failed(ended, LATER, ATTEMPT, ERROR) is ended


@pytest.mark.parametrize("status", sorted(ALL))
def test_a_backend_id_that_is_known_already_changes_nothing(status: Status):
    job = a_job_in(status)
    assert transitions.submitted(job, LATER, a_poll(BackendState.QUEUED), DAY) is job


def test_a_missing_job_is_given_up_at_once_where_the_backend_says_that_it_is_gone():
    ended = transitions.not_found(a_job_in(Status.RUNNING), LATER, listed=None, is_gone=True)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "backend_lost_job")


def test_a_job_that_is_not_known_for_a_while_is_in_doubt():
    missing = a_job_in(Status.RUNNING, polls=Polls(NOW, not_found_since=NOW))
    assert not missing.is_in_doubt(NOW + transitions.LOST_JOB_GRACE - SECOND)
    assert missing.is_in_doubt(NOW + transitions.LOST_JOB_GRACE)


# --- an expiry that we guessed -------------------------------------------------------------------

GUESSED = a_job_in(Status.RUNNING, expires_at=NOW + DAY, told_expires_at=None, outputs=())


@pytest.mark.parametrize("told", [BackendState.QUEUED, BackendState.RUNNING, BackendState.UNKNOWN])
def test_a_guessed_expiry_ends_nothing_for_a_week_that_the_backend_still_names(told: BackendState):
    job = GUESSED
    for days in (1, 2, 7.9):
        job = transitions.polled(job, NOW + days * DAY, a_poll(told))
        assert not job.is_terminal
        assert job.is_past_guess(NOW + days * DAY)
    assert transitions.polled(job, NOW + 8 * DAY, a_poll(told)).status is Status.EXPIRED


def test_after_a_guessed_expiry_a_backend_whose_list_lacks_the_job_has_deleted_it():
    job = transitions.not_found(GUESSED, NOW + DAY, listed=None)
    later = NOW + DAY + transitions.LOST_JOB_GRACE
    assert transitions.not_found(job, later, listed=True).status is Status.RUNNING
    ended = transitions.not_found(job, later, listed=False)
    assert (ended.status, ended.error and ended.error.code) == (Status.EXPIRED, "expired")


def test_after_a_guessed_expiry_a_backend_that_answers_404_to_everything_is_asked_for_another_day():
    job = transitions.not_found(GUESSED, NOW + DAY, listed=None)
    job = transitions.not_found(job, NOW + 2 * DAY - SECOND, listed=None)
    assert job.status is Status.RUNNING
    ended = transitions.not_found(job, NOW + 2 * DAY, listed=None)
    assert (ended.status, ended.error and ended.error.code) == (Status.EXPIRED, "expired")


def test_a_backend_that_says_nothing_at_all_is_asked_for_a_week_after_a_guessed_expiry():
    job = transitions.poll_failed(GUESSED, NOW + 8 * DAY - SECOND, "It answered 503.")
    assert job.status is Status.RUNNING
    assert transitions.poll_failed(job, NOW + 8 * DAY, "It answered 503.").status is Status.EXPIRED


def test_a_guess_counts_from_the_completion_where_that_is_told():
    done = DONE._replace(finished_at=NOW + 3 * DAY, created_at=NOW)
    job = transitions.polled(GUESSED, NOW + 3 * DAY + SECOND, done, DAY)
    assert (job.expires_at, job.told_expires_at) == (NOW + 4 * DAY, None)


def test_what_the_backend_tells_takes_the_place_of_the_guess():
    told = a_poll(BackendState.RUNNING, expires_at=NOW + 2 * DAY)
    job = transitions.polled(GUESSED, LATER, told)
    assert (job.expires_at, job.told_expires_at) == (NOW + 2 * DAY, NOW + 2 * DAY)


def test_an_expiry_before_the_creation_is_not_believed():
    told = a_poll(BackendState.RUNNING, created_at=NOW, expires_at=NOW - SECOND)
    assert transitions.polled(GUESSED, LATER, told).told_expires_at is None


@pytest.mark.parametrize("wrong", [timedelta(hours=-3), timedelta(minutes=-5), timedelta(hours=7)])
def test_an_expiry_by_a_clock_that_is_wrong_is_judged_by_that_clock_and_once(wrong: timedelta):
    told = a_poll(BackendState.RUNNING, expires_at=NOW + 2 * DAY + wrong, told_at=LATER + wrong)
    job = transitions.polled(GUESSED, LATER, told)
    assert job.expires_at == NOW + 2 * DAY
    later = told._replace(told_at=LATER + 2 * wrong)
    assert transitions.polled(job, LATER + SECOND, later).expires_at == NOW + 2 * DAY


def test_a_creation_that_is_told_late_makes_no_end_seem_earlier():
    hour = timedelta(hours=1)
    told = a_poll(
        BackendState.RUNNING, created_at=NOW + hour, expires_at=NOW + 2 * hour, told_at=NOW + hour + SECOND
    )
    assert transitions.polled(GUESSED, NOW + hour + SECOND, told).expires_at == NOW + 2 * hour


def test_an_expiry_beyond_all_reason_is_bounded():
    told = a_poll(BackendState.RUNNING, expires_at=NOW + 20_000 * DAY)
    assert transitions.polled(GUESSED, LATER, told).expires_at == LATER + 400 * DAY


# --- a list --------------------------------------------------------------------------------------


def test_a_missing_job_is_not_given_up_while_the_list_can_not_tell():
    missing = a_job_in(Status.RUNNING, polls=MISSING)
    over = NOW + 2 * transitions.LOST_JOB_GRACE
    assert transitions.not_found(missing, over, listed=None).status is Status.RUNNING
    assert transitions.not_found(missing, over, listed=False).status is Status.FAILED


@pytest.mark.parametrize("turn", [0, 1, 7])
def test_a_download_is_missed_two_minutes_after_it_was_due_whatever_its_turn(turn: int):
    job = a_job_in(Status.FETCHING, outputs=(Output(0, "gen_0", Chain(turn, due_at=NOW)),))
    assert transitions.fetch_again(job, NOW + timedelta(seconds=119)) is job
    again = transitions.fetch_again(job, NOW + timedelta(seconds=120))
    assert [(each.chain.turn, each.chain.due_at) for each in again.outputs] == [
        (turn, NOW + timedelta(seconds=120))
    ]


def test_a_download_is_missed_two_minutes_after_its_last_bytes():
    job = a_job_in(Status.FETCHING, outputs=(Output(0, "gen_0", Chain(due_at=NOW)),))
    job = transitions.output_progressed(job, NOW + timedelta(seconds=90), job.outputs[0])
    assert transitions.fetch_again(job, NOW + timedelta(seconds=209)) is job
    overdue = NOW + timedelta(seconds=210)
    assert transitions.fetch_again(job, overdue).outputs[0].chain.due_at == overdue


def test_a_failure_ends_the_job_with_its_error():
    job = transitions.failed(a_job_in(Status.SUBMITTING, reason="Wait."), LATER, ERROR)
    assert (job.status, job.finished_at, job.error, job.reason) == (Status.FAILED, LATER, ERROR, None)


# --- the polling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0, 6, 7])
def test_a_turn_that_is_over_is_refused_so_that_two_chains_become_one(turn: int):
    with pytest.raises(TransitionRefused):
        transitions.next_turn(a_job_in(Status.RUNNING, chain=Chain(7)), LATER, turn, LATER)


def test_the_turn_goes_up_and_the_row_knows_when_its_message_comes():
    job = transitions.next_turn(a_job_in(Status.RUNNING, chain=Chain(7)), LATER, 8, LATER + SECOND)
    assert (job.chain.turn, job.chain.due_at) == (8, LATER + SECOND)


def test_a_chain_that_moves_by_itself_forgets_how_often_it_was_repaired_and_what_broke_down():
    job = transitions.next_turn(
        a_job_in(Status.RUNNING, chain=Chain(1, repairs=3), last_error="KeyError"), LATER, 2, LATER
    )
    assert (job.chain.repairs, job.last_error) == (0, None)


def test_a_chain_goes_on_for_a_job_that_has_ended_and_is_being_deleted():
    job = a_job_in(Status.SUCCEEDED, deleted_at=NOW)
    assert transitions.next_turn(job, LATER, 2, LATER).chain.turn == 2
    assert transitions.repaired(job, LATER).chain.repairs == 1
    assert transitions.attempt_failed(job, LATER, "KeyError").last_error == "KeyError"


def test_a_repair_is_counted_and_its_message_is_due_now():
    job = transitions.repaired(a_job_in(Status.RUNNING, chain=Chain(7, NOW, repairs=2)), LATER)
    assert (job.chain.turn, job.chain.due_at, job.chain.repairs) == (7, LATER, 3)


def test_a_poisoned_message_is_said_in_the_reason():
    assert transitions.poisoned(a_job_in(Status.RUNNING), LATER, "It failed.").reason == "It failed."


def test_an_alarm_is_raised_once_and_ends_with_the_job():
    job = transitions.alarmed(a_job_in(Status.FETCHING), NOW, "An hour left.")
    with pytest.raises(TransitionRefused):
        transitions.alarmed(job, LATER, "Half an hour left.")
    assert job.alarm == "An hour left."
    assert transitions.failed(job, LATER, ERROR).alarm is None


@moderately_many
@given(st.lists(st.none() | st.integers(-50, 500)))
def test_progress_never_falls(told: list[int | None]):
    job, shown = a_job_in(Status.QUEUED), [0]
    for progress in told:
        job = transitions.polled(job, LATER, a_poll(BackendState.RUNNING, progress=progress))
        if job.progress is not None:
            shown.append(max(job.progress, 0))
            assert job.progress <= 100
    assert shown == sorted(shown)
    assert (job.progress is None) == all(progress is None for progress in told)


FORECAST = Forecast((50.0, 60.0, 70.0))


def looked_after(seconds: float, job: Job, **told: object) -> Job:
    look = a_poll(BackendState.RUNNING, **told)
    return transitions.polled(job, NOW + timedelta(seconds=seconds), look)


def test_a_job_that_is_foreseen_begins_at_0_percent_and_is_expected_when_half_of_them_have_ended():
    begun = transitions.begin_submit(a_job(), NOW, "attempt-1", a_job().backend, FORECAST)
    job = transitions.submitted(begun, NOW, a_poll(BackendState.QUEUED), DAY)
    assert (job.progress, job.expected_at) == (0, NOW + timedelta(seconds=60))


def test_where_the_backend_tells_no_progress_it_is_estimated_up_to_95_until_the_job_is_generated():
    job = a_job_in(Status.RUNNING, forecast=FORECAST)
    shown = []
    for seconds in (10, 30, 60, 65, 80, 600):
        job = looked_after(seconds, job)
        shown.append(job.progress)
    assert shown == [13, 40, 80, 87, 95, 95]
    assert (
        transitions.polled(job, LATER, a_poll(BackendState.SUCCEEDED, generation_ids=("g",))).progress == 100
    )


def test_what_the_backend_tells_of_its_progress_goes_before_an_estimate():
    job = looked_after(30, a_job_in(Status.RUNNING, forecast=FORECAST), progress=20)
    assert job.progress == 20
    assert looked_after(40, job).progress == 53, "it tells nothing for once"
    assert looked_after(50, looked_after(40, job), progress=21).progress == 53


def test_when_a_job_is_expected_is_put_off_by_polls_that_find_it_unfinished_and_never_by_time_alone():
    job = a_job_in(Status.RUNNING, forecast=FORECAST)
    expected = [looked_after(seconds, job).expected_at for seconds in (10, 49, 65, 71)]
    assert expected == [
        NOW + timedelta(seconds=60),
        NOW + timedelta(seconds=60),
        NOW + timedelta(seconds=70),
        None,
    ]


def test_nothing_is_expected_any_more_once_it_is_generated_or_has_ended():
    job = looked_after(10, a_job_in(Status.RUNNING, forecast=FORECAST))
    generated = transitions.polled(job, LATER, a_poll(BackendState.SUCCEEDED, generation_ids=("g",)))
    assert generated.expected_at is None
    assert transitions.failed(job, LATER, ERROR).expected_at is None


def test_what_was_told_of_another_backend_job_is_refused():
    with pytest.raises(TransitionRefused):
        transitions.polled(a_job_in(Status.RUNNING), LATER, a_poll(BackendState.FAILED, id="task_02"))


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
    job = transitions.polled(a_job_in(before), LATER, a_poll(told))
    assert job.status is after
    assert job.finished_at == (LATER if after.is_terminal else None)
    assert job.backend_status == told.value


def test_a_look_clears_what_was_wrong_before_and_keeps_what_the_backend_left_out():
    before = a_job_in(Status.RUNNING, reason="Not known.", polls=MISSING, backend_request_id="req_1")
    job = transitions.polled(before, LATER, a_poll(BackendState.RUNNING))
    assert (job.reason, job.polls.not_found_since) == (None, None)
    assert (job.backend_request_id, job.expires_at) == ("req_1", before.expires_at)


@pytest.mark.parametrize("before", sorted(LOOKED_AT))
def test_generated_means_one_open_output_for_each_generation_due_now(before: Status):
    job = transitions.polled(a_job_in(before, outputs=()), LATER, DONE)
    assert (job.status, job.progress, job.warning) == (Status.FETCHING, 100, None)
    assert job.outputs == (Output(0, "gen_0", Chain(due_at=LATER)), Output(1, "gen_1", Chain(due_at=LATER)))


def test_fewer_videos_than_asked_for_are_fetched_and_the_client_is_told():
    told = a_poll(BackendState.SUCCEEDED, generation_ids=("gen_0",))
    job = transitions.polled(a_job_in(Status.RUNNING), LATER, told)
    assert (job.status, len(job.outputs)) == (Status.FETCHING, 1)
    assert job.warning == "The video API generated 1 of the 2 videos asked for."


def test_more_videos_than_asked_for_are_all_fetched():
    told = a_poll(BackendState.SUCCEEDED, generation_ids=("gen_0", "gen_1", "gen_2"))
    job = transitions.polled(a_job_in(Status.RUNNING), LATER, told)
    assert [output.generation_id for output in job.outputs] == ["gen_0", "gen_1", "gen_2"]
    assert job.warning is None


def test_success_without_a_video_is_believed_after_the_grace_and_not_before():
    told = a_poll(BackendState.SUCCEEDED)
    job = transitions.polled(a_job_in(Status.RUNNING), NOW, told)
    assert (job.status, job.polls.no_output_since) == (Status.RUNNING, NOW)
    job = transitions.polled(job, NOW + transitions.NO_OUTPUT_GRACE - SECOND, told)
    assert job.status is Status.RUNNING
    job = transitions.polled(job, NOW + transitions.NO_OUTPUT_GRACE, told)
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "no_output")


def test_a_video_that_is_named_late_is_fetched():
    job = transitions.polled(a_job_in(Status.RUNNING), NOW, a_poll(BackendState.SUCCEEDED))
    assert transitions.polled(job, NOW + 2 * transitions.NO_OUTPUT_GRACE, DONE).status is Status.FETCHING


def test_the_grace_without_a_video_begins_anew_when_the_backend_goes_back_to_running():
    job = transitions.polled(a_job_in(Status.RUNNING), NOW, a_poll(BackendState.SUCCEEDED))
    job = transitions.polled(job, NOW + SECOND, a_poll(BackendState.RUNNING))
    job = transitions.polled(job, NOW + 2 * transitions.NO_OUTPUT_GRACE, a_poll(BackendState.SUCCEEDED))
    assert job.status is Status.RUNNING


def test_success_without_a_video_is_not_polled_past_what_the_backend_keeps():
    job = transitions.polled(a_job_in(Status.RUNNING), NOW + DAY, a_poll(BackendState.SUCCEEDED))
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
    told = a_poll(BackendState.FAILED, failure_code=code, failure_message=message, request_id="req_1")
    error = transitions.polled(a_job_in(Status.RUNNING), LATER, told).error
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
    told = a_poll(BackendState.FAILED, failure_code=code, failure_message=message)
    error = transitions.polled(a_job_in(Status.RUNNING), LATER, told).error
    assert error is not None
    assert error.code == "generation_failed"
    assert error.message.endswith(words)


@pytest.mark.promise("I7")
@pytest.mark.parametrize("told", [BackendState.QUEUED, BackendState.RUNNING, BackendState.UNKNOWN])
def test_nothing_is_polled_past_what_the_backend_keeps_and_nothing_given_up_before(told: BackendState):
    job = a_job_in(Status.RUNNING)
    assert job.expires_at is not None
    assert transitions.polled(job, job.expires_at - SECOND, a_poll(told)).status is Status.RUNNING
    ended = transitions.polled(job, job.expires_at, a_poll(told))
    assert (ended.status, ended.error and ended.error.code) == (Status.EXPIRED, "expired")


def test_a_video_that_is_there_is_fetched_though_its_time_is_over():
    job = a_job_in(Status.RUNNING)
    assert transitions.polled(job, NOW + 2 * DAY, DONE).status is Status.FETCHING


def test_a_later_deletion_that_the_backend_tells_prolongs_the_job():
    told = a_poll(BackendState.RUNNING, expires_at=NOW + 3 * DAY)
    job = transitions.polled(a_job_in(Status.RUNNING), NOW + 2 * DAY, told)
    assert (job.status, job.expires_at) == (Status.RUNNING, NOW + 3 * DAY)


def test_failed_looks_change_nothing_but_the_reason_until_the_expiry():
    job = a_job_in(Status.QUEUED)
    waiting = transitions.poll_failed(job, NOW + DAY - SECOND, "It answered 503.")
    assert (waiting.status, waiting.reason) == (Status.QUEUED, "It answered 503.")
    ended = transitions.poll_failed(job, NOW + DAY, "It answered 503.")
    assert ended.status is Status.EXPIRED
    assert ended.error is not None
    assert "It answered 503." in ended.error.message


def test_a_job_that_the_backend_does_not_know_is_given_up_after_the_grace_and_not_before():
    job = transitions.not_found(a_job_in(Status.RUNNING), NOW, listed=False)
    assert (job.status, job.polls.not_found_since) == (Status.RUNNING, NOW)
    almost = NOW + transitions.LOST_JOB_GRACE - SECOND
    assert not job.is_missing_too_long(almost)
    job = transitions.not_found(job, almost, listed=False)
    assert (job.status, job.polls.not_found_since) == (Status.RUNNING, NOW)
    over = NOW + transitions.LOST_JOB_GRACE
    assert job.is_missing_too_long(over)
    job = transitions.not_found(job, over, listed=False)
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "backend_lost_job")


def test_a_job_that_is_still_listed_is_not_given_up():
    missing = a_job_in(Status.RUNNING, polls=MISSING)
    job = transitions.not_found(missing, NOW + 2 * transitions.LOST_JOB_GRACE, listed=True)
    assert (job.status, job.polls.not_found_since) == (Status.RUNNING, None)


def test_a_job_that_was_to_be_stopped_and_is_no_longer_known_has_been_stopped():
    missing = a_job_in(Status.RUNNING, polls=MISSING, cancellation=Cancellation(NOW))
    job = transitions.not_found(missing, NOW + transitions.LOST_JOB_GRACE, listed=False)
    assert (job.status, job.error) == (Status.CANCELLED, None)


def test_a_job_that_was_seen_is_not_missing():
    assert not a_job_in(Status.RUNNING).is_missing_too_long(NOW + DAY)


def test_a_job_that_the_backend_does_not_know_after_its_time_has_expired():
    job = transitions.not_found(a_job_in(Status.RUNNING), NOW + DAY, listed=False)
    assert job.status is Status.EXPIRED


# --- the fetching --------------------------------------------------------------------------------


def test_a_job_succeeds_with_its_last_output_and_not_before():
    job = transitions.output_stored(a_job_in(Status.FETCHING), NOW, Output(1, "gen_1"), VIDEO, "jpg")
    assert (job.status, job.finished_at) == (Status.FETCHING, None)
    assert job.outputs[1] == Output(1, "gen_1", Chain(1), stored=VIDEO, thumbnail="jpg")
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
        Output(0, "gen_0", Chain(due_at=NOW)),
        Output(1, "gen_1", Chain(4, LATER, attempts=1), suspects=(Suspect("aa"),), problem="Cut."),
    )


def test_a_suspect_hash_outlives_a_failure_of_another_kind():
    job = a_job_in(Status.FETCHING, outputs=(Output(0, "gen_0", suspects=(Suspect("aa"),)),))
    job = transitions.output_delayed(job, NOW, Output(0, "gen_0"), "It answered 503.", turn=1, due_at=LATER)
    assert job.outputs[0].suspects == (Suspect("aa"),)


@pytest.mark.parametrize("turn", [0, 2, 3])
def test_a_fetch_turn_that_is_over_is_refused(turn: int):
    job = a_job_in(Status.FETCHING, outputs=(Output(0, "gen_0", Chain(3)),))
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


@pytest.mark.parametrize("name", ["output_stored", "output_delayed", "output_lost"])
def test_nothing_more_is_kept_of_a_job_that_is_being_deleted(name: str):
    with pytest.raises(TransitionRefused):
        _settle_one(name, a_job_in(Status.FETCHING, deleted_at=NOW), 0, "gen_0")


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
    patient = NOW + timedelta(minutes=2)
    outputs = (
        Output(0, "gen_0", Chain(5, due_at=NOW)),
        Output(1, "gen_1", Chain(5, due_at=NOW + SECOND)),
        Output(2, "gen_2", Chain(5, due_at=None)),
        Output(3, "gen_3", Chain(5), stored=VIDEO),
        Output(4, "gen_4", Chain(5), lost=True),
    )
    job = transitions.fetch_again(a_job_in(Status.FETCHING, outputs=outputs), patient)
    assert {output.chain.turn for output in job.outputs} == {5}
    assert [output.chain.due_at for output in job.outputs] == [patient, NOW + SECOND, patient, None, None]


def test_where_no_fetch_is_overdue_the_job_stays_as_it_is():
    job = a_job_in(Status.FETCHING)
    assert transitions.fetch_again(job, NOW + SECOND) is job


@moderately_many
@given(names=st.lists(st.sampled_from(sorted(TRANSITIONS)), max_size=25), start=st.sampled_from(sorted(ALL)))
def test_no_turn_ever_falls(names: list[str], start: Status):
    job = a_job_in(start)
    for name in names:
        before = job
        try:
            job = TRANSITIONS[name].call(job)
        except TransitionRefused:
            continue
        assert job.chain.turn >= before.chain.turn
        if job.status in FETCHED and before.status in FETCHED:
            assert all(
                new.chain.turn >= old.chain.turn for new, old in zip(job.outputs, before.outputs, strict=True)
            )


# --- what a client wants ---------------------------------------------------------------------------


def test_a_job_that_nobody_was_asked_for_is_cancelled_at_once():
    job = transitions.request_cancel(a_job(), LATER)
    assert (job.status, job.finished_at, job.cancellation.requested_at) == (Status.CANCELLED, LATER, LATER)


@pytest.mark.parametrize("status", sorted(STOPPABLE - {Status.WAITING}))
def test_a_cancel_of_what_the_backend_has_is_an_intent_and_changes_no_status(status: Status):
    job = transitions.request_cancel(a_job_in(status), LATER)
    assert (job.status, job.cancellation.requested_at) == (status, LATER)
    assert transitions.request_cancel(job, LATER + SECOND) is job


def test_a_backend_that_refuses_to_stop_is_asked_again_only_when_the_client_asks_again():
    job = transitions.request_cancel(a_job_in(Status.RUNNING), NOW)
    job = transitions.cancel_refused(job, NOW, "It answered 409.")
    assert (job.status, job.cancellation.refused) == (Status.RUNNING, "It answered 409.")
    again = transitions.request_cancel(job, LATER)
    assert (again.cancellation.requested_at, again.cancellation.refused) == (LATER, None)


@pytest.mark.parametrize("status", sorted(ALL))
def test_a_tombstone_is_put_up_once_and_due_at_once(status: Status):
    job = transitions.request_delete(a_job_in(status, chain=Chain(due_at=NOW + DAY)), LATER)
    assert (job.deleted_at, job.chain.due_at, job.is_over) == (LATER, LATER, False)
    assert job.status is (Status.CANCELLED if status is Status.WAITING else status)
    assert transitions.request_delete(job, LATER + SECOND) is job


def test_a_backend_job_is_gone_once_and_only_while_deleting():
    with pytest.raises(TransitionRefused):
        transitions.backend_job_gone(a_job_in(Status.SUCCEEDED), LATER)
    running = transitions.request_delete(a_job_in(Status.RUNNING), NOW)
    gone = transitions.backend_job_gone(running, LATER)
    assert (gone.status, gone.backend_job_gone) == (Status.CANCELLED, True)
    assert transitions.backend_job_gone(gone, LATER + SECOND) is gone


def test_a_job_is_tried_again_as_one_other_job():
    job = transitions.retried(a_job_in(Status.FAILED), LATER, "job_2")
    assert transitions.retried(job, LATER + SECOND, "job_3") is job
    assert job.retried_as == "job_2"


# --- the history ---------------------------------------------------------------------------------


def test_what_happens_is_noted_with_its_time_and_the_backends_request_id():
    job = transitions.submitted(
        a_job_in(Status.SUBMITTING, backend_job_id=None),
        LATER,
        a_poll(BackendState.QUEUED, request_id="req_1"),
        DAY,
    )
    assert job.history == (Event(LATER, "submitted", BACKEND_JOB_ID, "req_1"),)


def test_the_same_again_is_counted_and_not_repeated():
    job = a_job()
    for seconds in range(3):
        job = job.noting(NOW + seconds * SECOND, "poll_failed", "It answered 503.", f"req_{seconds}")
    assert job.history == (Event(NOW + 2 * SECOND, "poll_failed", "It answered 503.", "req_2", 3, NOW),)


def test_the_same_with_another_reason_is_another_event():
    job = a_job().noting(NOW, "waits", "It is busy.").noting(NOW, "waits", "It is away.")
    job = job.noting(LATER, "waits", "It is busy.")
    assert [event.detail for event in job.history] == ["It is busy.", "It is away.", "It is busy."]


def test_the_last_fifty_events_are_kept():
    job = a_job()
    for number in range(MOST_EVENTS + 5):
        job = job.noting(NOW, "waits", str(number))
    assert MOST_EVENTS == 50
    assert [event.detail for event in job.history] == [str(n) for n in range(5, MOST_EVENTS + 5)]


@pytest.mark.parametrize("letter", ["x", "é", "🎬"])
def test_a_long_detail_is_cut(letter: str):
    [event] = a_job().noting(NOW, "failed", letter * 5000).history
    assert event.detail == letter * 300


def test_an_end_is_noted_with_its_reason():
    error = JobError("moderation_blocked", "It was refused.", backend_request_id="req_9")
    job = transitions.failed(a_job_in(Status.SUBMITTING), LATER, error)
    assert job.history[-1] == Event(LATER, "failed", "It was refused.", "req_9")


#: What the history calls each transition; None: nothing that anybody would want to read of.
NOTED: dict[str, str | None] = {
    "alarmed": "alarm",
    "backend_job_gone": None,
    "begin_submit": "submitting",
    "cancel_refused": "cancel_refused",
    "failed": "failed",
    "fetch_again": "fetch_again",
    "poll_failed": "poll_failed",
    "next_turn": None,
    "not_found": "not_found",
    "note_unknown_outcome": "outcome_unknown",
    "output_delayed": "download_failed",
    "output_lost": "lost",
    "output_progressed": None,
    "output_stored": "stored",
    "poisoned": "poisoned",
    "put_back": "waits",
    "repaired": "repaired",
    "request_delete": "deleted",
    "retried": "retried",
    "submission_failed": "failed",
    "submitted": "submitted",
    "attempt_failed": None,
    "stands_in_line": "waits",
    "waits": "waits",
}


@pytest.mark.parametrize(("name", "status"), _cells())
def test_no_status_changes_without_an_event(name: str, status: Status):
    job = a_job_in(status)
    try:
        changed = TRANSITIONS[name].call(job)
    except TransitionRefused:
        return
    assert changed.status is status or changed.history[-1].at == LATER


@pytest.mark.parametrize("name", sorted(NOTED))
def test_each_transition_has_its_name_in_the_history(name: str):
    case = TRANSITIONS[name]
    job = a_job_in(sorted(case.taken - {Status.QUEUED})[-1])
    last = [event.what for event in case.call(job).history][-1:]
    assert last == ([NOTED[name]] if NOTED[name] else [])


def test_the_live_key_orders_jobs_by_their_arrival():
    younger = a_job(created_at=LATER)
    assert a_job().live_key < younger.live_key
    assert a_job().live_key.endswith(a_job().id)


def test_the_size_is_written_width_first():
    assert REQUEST.size == "1280x720"


# --- telling of the end --------------------------------------------------------------------------

DELIVERIES = {name: case for name, case in TRANSITIONS.items() if name.startswith("delivery_")}


@pytest.mark.parametrize("name", DELIVERIES)
def test_nobody_is_told_of_a_job_without_a_webhook_or_one_that_is_being_deleted(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    job = a_job_in(Status.SUCCEEDED)
    with pytest.raises(TransitionRefused):
        DELIVERIES[name].call(replace(job, deleted_at=NOW))
    monkeypatch.setattr(f"{__name__}._hooked", lambda job: job)
    with pytest.raises(TransitionRefused):
        DELIVERIES[name].call(job)


@pytest.mark.parametrize("name", DELIVERIES)
@pytest.mark.parametrize(
    "settled", [status for status in WebhookStatus if status is not WebhookStatus.PENDING]
)
def test_a_webhook_that_is_settled_is_left_alone_until_somebody_asks_again(
    name: str, settled: WebhookStatus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        f"{__name__}._hooked", lambda job: replace(job, webhook=replace(HOOK, status=settled))
    )
    job = a_job_in(Status.FAILED)
    if name == "delivery_requested":
        again = DELIVERIES[name].call(job).webhook
        assert again == replace(HOOK, chain=Chain(2, LATER), manual=True)
    else:
        with pytest.raises(TransitionRefused):
            DELIVERIES[name].call(job)


def test_an_attempt_of_a_round_that_is_over_ends_no_later_one():
    job = transitions.delivery_requested(_hooked(a_job_in(Status.FAILED)), LATER)
    for change in (
        lambda: transitions.delivery_given_up(job, LATER, UNTOLD, HOOK),
        lambda: transitions.delivery_unwanted(job, LATER, UNTOLD, HOOK),
        lambda: transitions.delivery_delayed(job, LATER, UNTOLD, 2, LATER),
    ):
        with pytest.raises(TransitionRefused):
            change()
    assert transitions.delivery_succeeded(job, LATER, TOLD, 1).webhook == replace(
        HOOK, status=WebhookStatus.DELIVERED, chain=Chain(3), deliveries=(TOLD,)
    )


def test_a_webhook_keeps_its_last_deliveries():
    job = _hooked(a_job_in(Status.FAILED))
    for second in range(MOST_DELIVERIES + 5):
        failed = replace(UNTOLD, at=NOW + second * SECOND, problem="x" * 1000)
        job = transitions.delivery_delayed(job, LATER, failed, 2 + second, LATER)
    assert job.webhook is not None
    assert [delivery.at for delivery in job.webhook.deliveries] == [
        NOW + second * SECOND for second in range(5, MOST_DELIVERIES + 5)
    ]
    assert len(job.webhook.deliveries[0].problem or "") == 300
