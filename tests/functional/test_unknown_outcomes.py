"""What each answer to the paid call proves, and how a job whose answer never came is found again.

It is sent again only on proof that nothing was made. Else the backend's own list is asked, once nobody can hold
an answer any more: what was made is taken up, and nothing is paid for twice.
"""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from job_api.act import cancel_job, delete_job
from job_api.import_job import import_job, read_import
from tests.cases import further, sample
from tests.pipeline import OWNER, Pipeline, environment_for
from tests.steps import picture_for
from video_jobs.backends.registry import Backends
from video_jobs.domain.errors import BackendJobNotFound, JobNotFound
from video_jobs.domain.job import Job, Status
from video_jobs.lifecycle.paid_call import outcome_known_after
from video_jobs.settings.app import Settings

Effects = dict[str, Any]

LOST: Effects = {"lost_answer": True}  # the job is made, the answer never comes
NEVER_MADE: Effects = {"drop": True}  # neither, and nobody can tell the two apart


def code_of(job: Job) -> str | None:
    return job.error.code if job.error else None


def events_of(job: Job) -> list[str]:
    return [event.what for event in job.history]


def in_doubt(pipeline: Pipeline, effects: Effects = LOST, **changes: Any) -> Job:
    """A job whose paid call was made, and whose answer did not come.

    After the one before, the gate stays closed for a while: time goes by until this one is sent.
    """
    pipeline.fault("create", **effects)
    return pipeline.run_until(pipeline.submit(**changes), Status.SUBMITTING)


def no_limit(pipeline: Pipeline) -> None:
    """Of the simulated API; the app's own is set where a test needs none."""
    pipeline.simulator.world.change({"running_limit": None})


# --- what proves that nothing was made -----------------------------------------------------------


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
def test_a_refusal_of_the_job_ends_it_unpaid(pipeline: Pipeline, status: int) -> None:
    pipeline.fault("create", status=status)
    job = pipeline.submit()
    assert (job.status, job.was_refused) == (Status.FAILED, True)
    pipeline.drain()
    assert len(pipeline.calls("create")) == 1
    assert pipeline.backend_jobs() == 0
    assert not pipeline.live_jobs.keys


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429])
def test_a_refusal_of_everybody_is_waited_out_and_the_job_sent_again(pipeline: Pipeline, status: int) -> None:
    pipeline.fault("create", status=status, times=2)
    job = pipeline.submit()
    assert (job.status, job.error) == (Status.WAITING, None)
    assert job.reason
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == 3
    assert pipeline.backend_jobs() == 1


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that answers no more connections: those that it has not taken fill its line."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


NO_CONNECTION = {
    "no address": ("http://nowhere.invalid", "can't be resolved"),
    "a refused connection": ("http://127.0.0.1:9", "refused the connection"),
    "no TLS": ("https://{simulator}", "TLS certificate"),
    "no answer to the call for a connection": ("http://127.0.0.1:{deaf_port}", "did not answer in time"),
}


@pytest.mark.parametrize("what", NO_CONNECTION)
def test_where_no_connection_comes_about_the_job_waits_until_the_address_is_mended(
    pipeline: Pipeline, what: str, deaf_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_jobs.backends.paid_post.CONNECT_TIMEOUT", 0.2)
    address, words = NO_CONNECTION[what]
    simulator = pipeline.simulator
    address = address.format(simulator=simulator.url.removeprefix("http://"), deaf_port=deaf_port)
    app = Pipeline(simulator, pipeline.dialect, AZURE_OPENAI_ENDPOINT=address)
    job = app.submit()
    assert (job.status, job.error) == (Status.WAITING, None)
    assert words in (job.reason or "")
    app.deliver(app.take_next())
    assert app.job(job).status is Status.WAITING
    mended = Backends(Settings.from_environment(environment_for(simulator, pipeline.dialect)))
    app.services = app.services._replace(backends=mended)
    assert app.run(job).status is Status.SUCCEEDED
    assert len(app.calls("create")) == 1
    assert app.backend_jobs() == 1


# --- what proves nothing -------------------------------------------------------------------------

#: Answers after which the job may have been made, or not.
EITHER: dict[str, Effects] = {
    "405": {"status": 405},
    "408": {"status": 408},
    "409": {"status": 409},
    "451": {"status": 451},
    "500": {"status": 500},
    "501": {"status": 501},
    "502 with a 429 inside": {"status": 502, "body": {"error": {"code": "429"}}},
    "502 with a 400 inside": {"status": 502, "body": {"error": {"code": "400", "message": "bad"}}},
    "503 with a time to wait": {"status": 503, "headers": {"retry-after": "1"}},
    "504": {"status": 504, "body": "<html>"},
    "599": {"status": 599},
    "a redirect": {"status": 307, "headers": {"location": "/elsewhere"}},
    "a redirect that can't be read": {"status": 302, "headers": {"location": "http://[bad"}},
    "a success without an id": {"replace_body": {"status": "queued"}},
    "a success whose id is none": {"replace_body": {"id": {"no": 1}, "status": "queued"}},
    "a success that is no JSON": {"replace_body": "<html>ok</html>"},
    "a success that is empty": {"replace_body": ""},
    "a success that is nested without an end": {"replace_body": "[" * 50_000},
}

#: Faults that let the job be made first.
MADE: dict[str, Effects] = {
    **{what: {**effects, "carried_out": True} for what, effects in EITHER.items()},
    "a lost answer": LOST,
    "an answer cut in its body": {"cut_after": 5},
}
NOT_MADE: dict[str, Effects] = {**EITHER, "a closed connection": NEVER_MADE}


@pytest.mark.promise("I2")
@pytest.mark.parametrize("what", MADE)
def test_what_was_made_though_no_answer_says_so_is_found_and_paid_for_once(
    pipeline: Pipeline, what: str
) -> None:
    pipeline.fault("create", **MADE[what])
    job = pipeline.submit()
    assert (job.status, job.error) == (Status.SUBMITTING, None)
    assert job.reason
    ended = pipeline.run(job)
    assert (ended.status, ended.error) == (Status.SUCCEEDED, None)
    assert "adopted" in events_of(ended)
    [made] = pipeline.simulator.world.everything()
    assert ended.backend_job_id == made.id
    pipeline.drain()
    assert len(pipeline.calls("create")) == 1
    assert not pipeline.live_jobs.keys


@pytest.mark.promise("I2")
@pytest.mark.parametrize("what", NOT_MADE)
def test_what_may_have_been_made_and_is_not_found_is_said_and_never_sent_again(
    pipeline: Pipeline, what: str
) -> None:
    pipeline.fault("create", **NOT_MADE[what])
    job = pipeline.submit()
    assert job.status is Status.SUBMITTING
    ended = pipeline.run(job)
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    assert ended.error is not None
    assert "may bill it" in ended.error.message
    assert ended.error.candidates == ()
    assert not ended.was_refused
    pipeline.drain()
    assert len(pipeline.calls("create")) == 1
    assert pipeline.backend_jobs() == 0
    assert not pipeline.live_jobs.keys


def test_a_call_that_takes_too_long_is_given_up_and_what_it_made_is_found(pipeline: Pipeline) -> None:
    pipeline.services = pipeline.services._replace(create_deadline=0.3)
    pipeline.fault("create", drip=20)
    job = pipeline.submit()
    assert "took longer" in (job.reason or "")
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == 1
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("made", [True, False])
def test_a_process_that_dies_over_the_paid_call_is_an_unknown_outcome(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    backend, _ = pipeline.services.backends.choose(None)
    client = pipeline.services.backends.client(backend)
    create = client.create

    def create_and_die(*call: Any) -> Any:
        if made:
            create(*call)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(client, "create", create_and_die)
        with pytest.raises(KeyboardInterrupt):
            pipeline.submit()
    [stored] = pipeline.jobs.everything()
    assert stored.job.status is Status.SUBMITTING
    ended = pipeline.run(stored.job)
    assert ended.status is (Status.SUCCEEDED if made else Status.FAILED)
    assert code_of(ended) == (None if made else "submission_unconfirmed")
    assert len(pipeline.calls("create")) == pipeline.backend_jobs() == int(made)


class Killed(BaseException):
    """The process ends here."""


def killed_over_the_call(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, *, made: bool = True) -> Job:
    """A job whose process ended when the call was made, before anything of it was stored."""
    backend, _ = pipeline.services.backends.choose(None)
    client: Any = pipeline.services.backends.client(backend)
    create = client.create

    def create_and_die(*call: Any) -> Any:
        if made:
            create(*call)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(client, "create", create_and_die)
        with pytest.raises(Killed):
            pipeline.submit()
    [stored] = pipeline.jobs.everything()
    return stored.job


def test_nothing_is_decided_while_somebody_may_still_hold_an_answer(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = killed_over_the_call(pipeline, monkeypatch)
    assert job.submission.submitting_since is not None
    known_at = job.submission.submitting_since + outcome_known_after(pipeline.services)
    while min(message.visible_at for message in pipeline.messages.queued) < known_at:
        pipeline.deliver(pipeline.take_next())
        assert pipeline.job(job).status is Status.SUBMITTING
    assert not pipeline.calls("list")
    adopted = pipeline.run_until(job, Status.QUEUED)
    assert adopted.submission.submitted_at is not None
    assert timedelta() <= adopted.submission.submitted_at - known_at < timedelta(seconds=5)


def test_what_is_listed_is_taken_up_soon_once_the_caller_has_noted_that_the_answer_is_lost(
    pipeline: Pipeline,
) -> None:
    job = in_doubt(pipeline)
    adopted = pipeline.run_until(job, Status.QUEUED)
    assert adopted.submission.submitted_at is not None
    assert job.submission.submitting_since is not None
    assert adopted.submission.submitted_at - job.submission.submitting_since < timedelta(seconds=30)


def test_that_nothing_is_listed_counts_only_when_nobody_can_hold_an_answer(pipeline: Pipeline) -> None:
    ended = pipeline.run(in_doubt(pipeline, NEVER_MADE))
    assert ended.finished_at is not None
    assert ended.submission.submitting_since is not None
    took = ended.finished_at - ended.submission.submitting_since - outcome_known_after(pipeline.services)
    assert timedelta() <= took <= timedelta(minutes=1)


def test_a_message_without_a_turn_decides_no_earlier(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = killed_over_the_call(pipeline, monkeypatch)
    message = pipeline.take_next()
    fields = {name: value for name, value in json.loads(message.text).items() if name != "turn"}
    pipeline.deliver(dataclasses.replace(message, text=json.dumps(fields)))
    assert pipeline.job(job).status is Status.SUBMITTING
    assert pipeline.messages.queued == []


def test_a_job_that_is_taken_up_after_it_failed_says_why_it_failed(pipeline: Pipeline) -> None:
    ended = pipeline.run(in_doubt(pipeline, prompt="a blocked-input boat"))
    assert (ended.status, code_of(ended)) == (Status.FAILED, "moderation_blocked")


def test_while_an_outcome_is_unknown_no_other_job_is_put_at_the_same_risk(pipeline: Pipeline) -> None:
    doubtful = in_doubt(pipeline)
    other = pipeline.submit()
    assert other.status is Status.WAITING
    assert len(pipeline.calls("create")) == 1
    assert [pipeline.run(job).status for job in (other, doubtful)] == [Status.SUCCEEDED] * 2
    assert pipeline.backend_jobs() == 2


# --- each takes up its own -----------------------------------------------------------------------


def test_two_of_the_same_that_are_both_in_doubt_take_up_one_each(pipeline: Pipeline) -> None:
    no_limit(pipeline)
    jobs = [in_doubt(pipeline), in_doubt(pipeline)]
    ended = [pipeline.run(job) for job in jobs]
    assert [job.status for job in ended] == [Status.SUCCEEDED] * 2
    assert len({job.backend_job_id for job in ended}) == 2
    assert len(pipeline.calls("create")) == pipeline.backend_jobs() == 2


def test_of_three_of_the_same_and_two_made_the_third_is_unconfirmed(pipeline: Pipeline) -> None:
    no_limit(pipeline)
    app = Pipeline(pipeline.simulator, pipeline.dialect, VIDEO_RUNNING_LIMIT="0")
    jobs = [in_doubt(app, effects) for effects in (LOST, NEVER_MADE, LOST)]
    ended = [app.run(job) for job in jobs]
    assert sorted(job.status for job in ended) == [Status.FAILED, Status.SUCCEEDED, Status.SUCCEEDED]
    [lost] = [job for job in ended if job.status is Status.FAILED]
    assert code_of(lost) == "submission_unconfirmed"
    taken = {job.backend_job_id for job in ended} - {None}
    assert taken == {made.id for made in app.simulator.world.everything()}
    assert len(app.calls("create")) == 3


def test_what_another_job_has_is_never_taken_up(pipeline: Pipeline) -> None:
    owned = pipeline.submit()
    ended = pipeline.run(in_doubt(pipeline, NEVER_MADE))
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    assert ended.error is not None
    assert ended.error.candidates == ()
    assert pipeline.run(owned).status is Status.SUCCEEDED


OTHERS: dict[str, tuple[Effects, dict[str, str]]] = {
    "another prompt": ({"prompt": "a paper boat at night"}, {}),
    "another spelling": ({"prompt": "A paper boat"}, {}),
    "another size": ({"size": {"azure-sora": "480x854", "openai-videos": "1280x720"}}, {}),
    "another length": ({"seconds": {"azure-sora": 2, "openai-videos": 8}}, {}),
}


@pytest.mark.parametrize("what", sample(OTHERS, every=4))
def test_what_was_asked_for_otherwise_is_never_taken_up_nor_named(pipeline: Pipeline, what: str) -> None:
    changes, environment = OTHERS[what]
    changes = {k: v[pipeline.dialect] if isinstance(v, dict) else v for k, v in changes.items()}
    Pipeline(pipeline.simulator, pipeline.dialect, **environment).submit(**changes)
    ended = pipeline.run(in_doubt(pipeline, NEVER_MADE))
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    assert ended.error is not None
    assert ended.error.candidates == ()


def elsewhere(pipeline: Pipeline, model: str) -> str:
    """A job of the same prompt that another program made at the same time; its id."""
    other = Pipeline(pipeline.simulator, pipeline.dialect, AZURE_OPENAI_DEPLOYMENT=model)
    return other.submit().backend_job_id or ""


def test_what_is_listed_under_the_very_model_comes_before_one_that_is_named_alike_and_that_before_others(
    pipeline: Pipeline,
) -> None:
    no_limit(pipeline)
    app = Pipeline(pipeline.simulator, pipeline.dialect, VIDEO_RUNNING_LIMIT="0")
    other, alike = elsewhere(app, "other"), elsewhere(app, "sora-2025-10-06")
    first, second, third = (in_doubt(app, effects) for effects in (LOST, NEVER_MADE, NEVER_MADE))
    ours = [made.id for made in app.simulator.world.everything()][-1]
    found = [app.run(job, lambda seen: seen.backend_job_id is not None) for job in (first, second, third)]
    assert [job.backend_job_id for job in found] == [ours, alike, other]


def test_between_two_other_models_nobody_chooses(pipeline: Pipeline) -> None:
    no_limit(pipeline)
    made = {elsewhere(pipeline, "other"), elsewhere(pipeline, "another")}
    ended = pipeline.run(in_doubt(pipeline, NEVER_MADE))
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    assert ended.error is not None
    assert set(ended.error.candidates) == made


@pytest.mark.parametrize(
    "prompt", [further("a paper boat\n"), "  a paper\r\nboat ", further("a\tpaper boat")]
)
def test_white_space_that_changes_on_its_way_is_no_difference(pipeline: Pipeline, prompt: str) -> None:
    job = in_doubt(pipeline, prompt=prompt)
    for made in pipeline.simulator.world.everything():
        made.order = dataclasses.replace(made.order, prompt=" ".join(prompt.split()))
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("minutes", [-300, -4, 3, 90])
def test_a_backend_whose_clock_is_wrong_is_judged_by_its_own_clock(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    pipeline.simulator.world.change({"retention_seconds": 10 * 86_400})
    ours = timedelta(minutes=minutes)
    theirs = pipeline.clock
    clock: Any = lambda: theirs() + ours  # noqa: E731
    pipeline.services = pipeline.services._replace(clock=clock)
    pipeline.messages._clock = clock
    monkeypatch.setattr(pipeline, "clock", clock)
    job = in_doubt(pipeline)
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 1


def test_another_number_of_videos_is_another_job(sora: Pipeline) -> None:
    Pipeline(sora.simulator, sora.dialect).submit(variants=2)
    ended = sora.run(in_doubt(sora, NEVER_MADE))
    assert code_of(ended) == "submission_unconfirmed"
    assert ended.error is not None
    assert ended.error.candidates == ()


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_was_not_made_at_the_time_of_the_call_is_never_taken_up(pipeline: Pipeline, when: str) -> None:
    elsewhere = Pipeline(pipeline.simulator, pipeline.dialect)
    if when == "before":
        elsewhere.submit()
        pipeline.advance(40)
    job = in_doubt(pipeline, NEVER_MADE)
    if when == "after":
        pipeline.advance(pipeline.services.create_deadline + 40)
        elsewhere.submit()
    ended = pipeline.run(job)
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    assert pipeline.backend_jobs() == 1


def test_it_is_found_behind_a_long_list_of_others(pipeline: Pipeline) -> None:
    no_limit(pipeline)
    job = in_doubt(pipeline)
    world = pipeline.simulator.world
    [made] = world.everything()
    for number in range(120):
        world.create(made.dialect, dataclasses.replace(made.order, prompt=f"internal-failure {number}"))
    ended = pipeline.run(job)
    assert (ended.status, ended.backend_job_id) == (Status.SUCCEEDED, made.id)
    assert len(pipeline.calls("list")) > 1


# --- what can't be told by its content -----------------------------------------------------------


def imported(pipeline: Pipeline, backend_job_id: str, owner: str = OWNER) -> Job:
    body = json.dumps({"backend_job_id": backend_job_id}).encode()
    return import_job(pipeline.services, owner, read_import(body))


def test_a_job_with_an_image_is_not_taken_up_on_a_guess_but_named_and_can_be_imported(
    pipeline: Pipeline,
) -> None:
    ended = pipeline.run(in_doubt(pipeline, input_image=picture_for(pipeline)))
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    [made] = pipeline.simulator.world.everything()
    assert ended.error is not None
    assert ended.error.candidates == (made.id,)
    assert made.id in ended.error.message
    job = pipeline.run(imported(pipeline, made.id))
    assert (job.status, job.backend_job_id) == (Status.SUCCEEDED, made.id)
    assert len(pipeline.calls("create")) == pipeline.backend_jobs() == 1


def test_what_says_that_it_began_with_an_image_is_not_taken_up_by_a_job_without_one(sora: Pipeline) -> None:
    with_image = in_doubt(sora, input_image=picture_for(sora))
    [made] = sora.simulator.world.everything()
    sora.gates.gates.clear()  # at once, not after the gate's minute
    sora.fault("create", **NEVER_MADE)
    without = sora.run(sora.submit())
    assert code_of(without) == "submission_unconfirmed"
    assert without.error is not None
    assert without.error.candidates == (made.id,)
    assert code_of(sora.run(with_image)) == "submission_unconfirmed"


def test_where_the_list_hides_prompts_candidates_are_named_and_each_can_be_imported_once(
    videos: Pipeline,
) -> None:
    videos.simulator.world.change({"hide_prompt": True})
    jobs = [in_doubt(videos), in_doubt(videos)]
    ended = [videos.run(job) for job in jobs]
    assert [code_of(job) for job in ended] == ["submission_unconfirmed"] * 2
    made = {job.id for job in videos.simulator.world.everything()}
    assert ended[0].error is not None
    assert set(ended[0].error.candidates) == made
    found = [imported(videos, backend_job_id) for backend_job_id in sorted(made)]
    assert [videos.run(job).status for job in found] == [Status.SUCCEEDED] * 2
    again = [imported(videos, backend_job_id) for backend_job_id in sorted(made)]
    assert [job.id for job in again] == [job.id for job in found]
    with pytest.raises(BackendJobNotFound):
        imported(videos, min(made), owner="somebody-else")
    assert len(videos.calls("create")) == videos.backend_jobs() == 2


def test_a_hidden_parameter_contradicts_nothing_and_proves_nothing(videos: Pipeline) -> None:
    videos.simulator.world.change({"hide_prompt": True, "sparse": True})
    Pipeline(videos.simulator, videos.dialect).submit(seconds=8)
    ended = videos.run(in_doubt(videos, NEVER_MADE))
    assert ended.error is not None
    assert ended.error.candidates == ()


# --- a list that is not there, or away -----------------------------------------------------------


@pytest.mark.parametrize("status", [405, 501])
def test_where_no_list_is_kept_the_job_is_unconfirmed_as_soon_as_the_time_is_over(
    pipeline: Pipeline, status: int
) -> None:
    job = in_doubt(pipeline)
    pipeline.fault("list", status=status, times=-1)
    ended = pipeline.run(job)
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    assert ended.error is not None
    assert "keeps no list" in ended.error.message
    assert ended.finished_at is not None
    assert job.submission.submitting_since is not None
    took = ended.finished_at - job.submission.submitting_since - outcome_known_after(pipeline.services)
    assert timedelta() <= took < timedelta(minutes=1)
    assert len(pipeline.calls("create")) == 1


def test_a_list_that_is_not_found_is_asked_for_again_for_an_hour(pipeline: Pipeline) -> None:
    job = in_doubt(pipeline)
    pipeline.fault("list", status=404, times=-1)
    ended = pipeline.run(job)
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    assert ended.finished_at is not None
    assert job.submission.submitting_since is not None
    assert (
        timedelta(hours=1)
        <= ended.finished_at - job.submission.submitting_since
        < timedelta(hours=1, minutes=15)
    )


@pytest.mark.parametrize("status", [404, 503])
def test_a_list_that_can_not_be_read_just_after_a_long_outage_of_the_app_ends_nothing(
    pipeline: Pipeline, status: int
) -> None:
    pipeline.simulator.world.change({"retention_seconds": 3 * 86_400})
    job = in_doubt(pipeline)
    pipeline.advance(30 * 3600)
    pipeline.fault("list", status=status, times=3)
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == pipeline.backend_jobs() == 1


def test_a_list_that_is_away_for_a_while_is_waited_for(pipeline: Pipeline) -> None:
    job = in_doubt(pipeline)
    pipeline.fault("list", status=503, times=60)
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == pipeline.backend_jobs() == 1


@pytest.mark.parametrize("effects", [{"status": 503}, {"status": 401}, {"drop": True}], ids=str)
def test_a_list_that_stays_away_is_asked_for_rarely_for_as_long_as_the_job_is_kept_and_nothing_is_sent_again(
    pipeline: Pipeline, effects: Effects
) -> None:
    job = in_doubt(pipeline)
    pipeline.fault("list", times=-1, **effects)
    ended = pipeline.run(job)
    assert (ended.status, code_of(ended)) == (Status.FAILED, "submission_unconfirmed")
    assert ended.finished_at is not None
    assert job.submission.submitting_since is not None
    took = ended.finished_at - job.submission.submitting_since
    assert timedelta(hours=24) <= took < timedelta(hours=24, minutes=20)
    assert len(pipeline.calls("list")) < 130
    assert len(pipeline.calls("create")) == 1


def test_while_the_list_can_not_be_read_the_job_holds_no_slot_and_says_why_it_waits(
    pipeline: Pipeline,
) -> None:
    app = Pipeline(pipeline.simulator, pipeline.dialect, VIDEO_RUNNING_LIMIT="1")
    no_limit(app)
    job = in_doubt(app)
    app.fault("list", times=-1, status=503)
    seen = app.run(job, lambda seen: "list can't be read" in (seen.reason or ""))
    assert seen.status is Status.SUBMITTING
    assert not app.gates.gates["default"].slots
    assert app.run(app.submit()).status is Status.SUCCEEDED
    app.simulator.faults.clear()
    assert app.run(job).status is Status.SUCCEEDED
    assert app.backend_jobs() == 2


# --- what comes meanwhile ------------------------------------------------------------------------


def slowly(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> Job:
    """A job whose answer does come, but only after `meanwhile`."""
    backend, _ = pipeline.services.backends.choose(None)
    client = pipeline.services.backends.client(backend)
    create = client.create

    def create_slowly(*call: Any) -> Any:
        monkeypatch.setattr(client, "create", create)
        answer = create(*call)
        meanwhile()
        return answer

    monkeypatch.setattr(client, "create", create_slowly)
    return pipeline.run(pipeline.submit(), lambda seen: seen.status is not Status.WAITING)


@pytest.mark.parametrize("both_made", [True, False])
def test_an_answer_that_comes_when_another_job_has_taken_up_what_it_names_harms_nobody(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, both_made: bool
) -> None:
    no_limit(pipeline)
    first = in_doubt(pipeline, NEVER_MADE)
    made: list[str] = []

    def first_takes_it() -> None:
        made.extend(job.id for job in pipeline.simulator.world.everything())
        if both_made:
            pipeline.advance(5)
            Pipeline(pipeline.simulator, pipeline.dialect).submit()
        assert pipeline.run_until(first, Status.QUEUED).backend_job_id in made

    pipeline.advance(61)
    second = slowly(pipeline, monkeypatch, first_takes_it)
    ended = [pipeline.run(job) for job in (first, second)]
    assert ended[0].status is Status.SUCCEEDED
    assert ended[0].backend_job_id in made
    assert ended[1].status is (Status.SUCCEEDED if both_made else Status.FAILED)
    assert ended[1].backend_job_id != ended[0].backend_job_id
    assert code_of(ended[1]) == (None if both_made else "submission_unconfirmed")
    pipeline.drain()
    assert not pipeline.live_jobs.keys


def test_an_answer_that_comes_after_the_job_was_given_up_is_kept_for_its_retry(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given_up() -> None:
        [stored] = pipeline.jobs.everything()
        pipeline.fault("list", status=404, times=-1)
        assert code_of(pipeline.run(stored.job)) == "submission_unconfirmed"

    job = slowly(pipeline, monkeypatch, given_up)
    [made] = pipeline.simulator.world.everything()
    assert (job.status, job.backend_job_id) == (Status.FAILED, made.id)
    claim = pipeline.claims.find(job.backend.base_url, made.id)
    assert claim is not None
    assert claim.job_id == job.id


def test_a_cancel_that_is_wanted_meanwhile_is_carried_out_once_the_job_is_found(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    job = in_doubt(pipeline)
    wanted = cancel_job(pipeline.services, OWNER, job.id)
    assert wanted.status is Status.SUBMITTING
    assert wanted.cancellation.requested_at is not None
    ended = pipeline.run(job)
    assert (ended.status, ended.error) == (Status.CANCELLED, None)
    [made] = pipeline.simulator.world.everything()
    assert made.deleted_at is not None
    assert events_of(ended)[-3:] == ["cancel_requested", "adopted", "cancelled"]


def test_a_cancel_that_comes_too_late_keeps_the_video(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"queue_seconds": 0, "run_seconds": 1})
    job = in_doubt(pipeline)
    cancel_job(pipeline.services, OWNER, job.id)
    assert pipeline.run(job).status is Status.SUCCEEDED


@pytest.mark.parametrize("effects", [LOST, NEVER_MADE], ids=["made", "not made"])
def test_a_job_that_is_deleted_meanwhile_leaves_nothing_anywhere(
    pipeline: Pipeline, effects: Effects
) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    job = in_doubt(pipeline, effects)
    delete_job(pipeline.services, OWNER, job.id)
    pipeline.drain()
    with pytest.raises(JobNotFound):
        pipeline.job(job)
    assert all(made.deleted_at is not None for made in pipeline.simulator.world.everything())
    assert pipeline.backend_jobs() == len(pipeline.calls("delete")) == int(effects is LOST)
    assert not pipeline.live_jobs.keys
    assert not pipeline.claims.claims
