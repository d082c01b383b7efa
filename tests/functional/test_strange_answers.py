"""What real video APIs and gateways answer, each in words of its own: what was generated is found, what was refused is
told from what may pass, and nothing is given up without proof.

The forms are those of public bug reports and of the servers' own sources.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import time
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image

from job_api.act import cancel_job
from job_api.import_job import import_job, read_import
from job_api.retry import retry_job
from sweep_jobs.sweep import sweep_jobs
from tests.cases import further, sample
from tests.pipeline import OWNER
from tests.strange_api import KEY, Asked, Reply, StrangeApi, StrangeLine, small_mp4
from tests.strange_server import ID, VIDEO, LongList, Server, code_of, in_doubt
from video_jobs.backends.http import BackendHttp
from video_jobs.backends.paid_post import post_once
from video_jobs.domain.errors import NotSent, StorageUnavailable
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Status

# --- words for a state ---------------------------------------------------------------------------

WORDS = {
    Status.SUCCEEDED: [
        "succeeded",
        "SUCCESS",
        "Succeed",
        "done",
        "finished",
        "Completed",
        "complete",
        " DONE ",
    ],
    Status.FAILED: ["failed", "error", "fail", "FAILURE", "rejected", "timed_out", "Timed-Out"],
    Status.CANCELLED: ["canceled", "CANCELLED", "aborted"],
    Status.EXPIRED: ["expired", "EXPIRED"],
}


@pytest.mark.parametrize(
    ("word", "status"), [(word, status) for status, words in WORDS.items() for word in words]
)
def test_a_word_that_means_the_end_ends_the_job_at_the_first_poll(
    api: StrangeApi, word: str, status: Status
) -> None:
    Server(api, {"status": word})
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert ended.status is status
    assert len(api.asked("get")) == 1


@pytest.mark.parametrize(
    "word", ["NOT_START", "processing", "pending", "in_progress", "warming up", "", None, 7]
)
def test_a_word_that_means_no_end_or_nothing_to_us_is_polled_on(api: StrangeApi, word: Any) -> None:
    server = Server(api, {"status": word})
    line = StrangeLine(api)
    job = line.submit()
    assert not line.run_for(job, hours=0.1).is_terminal
    server.job = {"status": "completed"}
    assert line.run_for(job, hours=0.1).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("told", "read"), [("100%", 100), ("55", 55), (0.5, 50), ("0.25", 25), (55.7, 55), (1, 1), ("3 %", 3)]
)
def test_progress_is_read_in_every_form(api: StrangeApi, told: Any, read: int) -> None:
    Server(api, {"status": "in_progress", "progress": told})
    line = StrangeLine(api)
    assert line.run(line.submit(), lambda seen: seen.progress is not None).progress == read


def test_seconds_with_a_fraction_of_nothing_are_equal_to_ours_when_a_lost_answer_is_looked_for(
    api: StrangeApi,
) -> None:
    server = Server(api, {"status": "completed", "seconds": "4.0"})
    server.replies["create"] = Reply(200, server.shown(), cut=True)
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


# --- where the bytes are -------------------------------------------------------------------------

CONTENT: dict[str, Reply] = {
    **{
        str(status): Reply(status, {"detail": "no"})
        for status in (400, 401, 403, 404, 405, 410, 422, 500, 501, 502)
    },
    "JSON": Reply(200, {"status": "done"}),
    "HTML": Reply(200, b"<html><title>Sign in</title></html>", content_type="text/html"),
    "text that is called a video": Reply(200, b"It is at the other place.", content_type="video/mp4"),
    "nothing": Reply(200, b"", content_type="video/mp4"),
    "a cut connection": Reply(200, b"", content_type="video/mp4", length=5000),
}
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "url": lambda url: {"url": url},
    "video_url": lambda url: {"video_url": url},
    "metadata.url": lambda url: {"metadata": {"url": url}},
    "metadata.video_url": lambda url: {"metadata": {"video_url": url}},
    "video.url": lambda url: {"video": {"url": url}},
    "video": lambda url: {"video": url},
    "data[0].url": lambda url: {"data": [{"url": url}]},
    "data.result_url": lambda url: {"data": {"result_url": url}},
    "output": lambda url: {"output": url},
    "output[0]": lambda url: {"output": [url]},
    "output[0].url": lambda url: {"output": [{"url": url, "type": "video"}]},
    "result.video_url": lambda url: {"result": {"video_url": url}},
    "result.videos[0].url": lambda url: {"result": {"videos": [{"url": url}]}},
    "a relative one": lambda url: {"url": "/files/out.mp4"},
    "after one that is none": lambda url: {"url": "not yet", "video_url": url},
}


def with_file(server: Server) -> str:
    """Serve the video at an address of the server's own; gives it."""
    server.replies[""] = lambda asked: (
        Reply(200, VIDEO, content_type="video/mp4") if asked.bare == "/files/out.mp4" else Reply(404)
    )
    return f"{server.api.url}/files/out.mp4"


@pytest.mark.parametrize("content", CONTENT)
def test_what_content_does_not_serve_is_fetched_from_the_address_in_the_job(
    api: StrangeApi, content: str
) -> None:
    server = Server(api)
    server.job = {"status": "completed", "url": with_file(server)}
    server.replies["content"] = CONTENT[content]
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=0.1)
    assert ended.status is Status.SUCCEEDED
    assert [blob.content for name, blob in line.blobs.videos.items() if name.endswith("mp4")] == [VIDEO]


@pytest.mark.parametrize("place", PLACES)
def test_the_address_is_found_wherever_the_job_names_it(api: StrangeApi, place: str) -> None:
    server = Server(api)
    server.job = {"status": "completed", **PLACES[place](with_file(server))}
    server.replies["content"] = Reply(404, {"detail": "Not Found"})
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=0.1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize("place", [place for place in PLACES if place != "a relative one"])
def test_the_address_is_found_in_the_json_of_content(api: StrangeApi, place: str) -> None:
    server = Server(api)
    server.replies["content"] = Reply(200, PLACES[place](with_file(server)))
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=0.1).status is Status.SUCCEEDED


def test_bytes_that_are_never_whole_are_asked_for_at_the_other_address_too(api: StrangeApi) -> None:
    server = Server(api)
    server.job = {"status": "completed", "url": with_file(server)}
    server.replies["content"] = Reply(200, VIDEO, content_type="video/mp4", cut=True)
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=0.1).status is Status.SUCCEEDED


# --- a failed job that answers as an HTTP error --------------------------------------------------

FAILED = {"status": "failed", "progress": 0, "error": {"code": 500, "message": "CUDA out of memory"}}
ERRORS = [400, 401, 404, 409, 410, 422, 429, 500, 503]


@pytest.mark.parametrize("status", ERRORS)
def test_a_failed_job_under_the_status_of_an_error_is_the_job(api: StrangeApi, status: int) -> None:
    server = Server(api)
    server.replies["get"] = Reply(status, server.shown(**FAILED, prompt="\U0001f6a2" * 30_000))
    line = StrangeLine(api, running_limit=1)
    ended = line.run_for(line.submit(), hours=1)
    assert (ended.status, code_of(ended)) == (Status.FAILED, "generation_failed")
    assert ended.error is not None
    assert "CUDA out of memory" in ended.error.message
    assert len(api.asked("get")) == 1
    assert not line.gates.gates["strange"].slots


@pytest.mark.parametrize("status", [400, 404, 503])
@pytest.mark.parametrize(
    "wrap", [lambda job: {"detail": job}, lambda job: {"error": job}, lambda job: {"data": job}]
)
def test_a_framework_may_wrap_it(api: StrangeApi, status: int, wrap: Callable[[Any], Any]) -> None:
    server = Server(api)
    server.replies["get"] = Reply(status, wrap(server.shown(**FAILED)))
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.FAILED


@pytest.mark.parametrize("status", [further(400), 404, further(500)])
@pytest.mark.parametrize(
    "changes", [{"id": "video_2"}, {"id": None}, {"status": "in_progress"}, {"status": "odd"}]
)
def test_an_error_about_another_job_or_no_end_is_only_an_error(
    api: StrangeApi, status: int, changes: dict[str, Any]
) -> None:
    server = Server(api)
    server.replies["get"] = Reply(status, server.shown(**{**FAILED, **changes}))
    line = StrangeLine(api)
    assert not line.run_for(line.submit(), hours=0.25).is_terminal


@pytest.mark.parametrize("status", ERRORS)
def test_a_failed_job_under_the_status_of_an_error_can_be_cancelled_retried_and_imported(
    api: StrangeApi, status: int
) -> None:
    server = Server(api, {"status": "in_progress"})
    line = StrangeLine(api)
    job = line.submit()
    line.run_until(job, Status.RUNNING)
    server.replies["get"] = Reply(status, server.shown(**FAILED))
    cancel_job(line.services, OWNER, job.id)
    ended = line.run_for(job, hours=1)
    assert ended.status is Status.FAILED
    again = retry_job(line.services, OWNER, job.id)
    assert len(api.asked("create")) == 2, "nothing came of the first, so a retry may pay"
    line.run_for(again, hours=1)
    other = StrangeLine(api)
    body = json.dumps({"backend_job_id": ID}).encode()
    imported = other.run_for(import_job(other.services, OWNER, read_import(body)), hours=1)
    assert (imported.status, code_of(imported)) == (Status.FAILED, "generation_failed")


# --- no end without proof ------------------------------------------------------------------------


def test_a_job_that_is_still_named_after_our_guess_is_waited_for(api: StrangeApi) -> None:
    server = Server(api, {"status": "queued"})
    line = StrangeLine(api, retention_hours=1)
    job = line.submit()
    assert line.run_for(job, hours=30).status is Status.QUEUED
    assert len(api.asked("get")) < 600
    server.job = {"status": "completed"}
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED


@pytest.mark.parametrize(("listed", "hours"), [(Reply(200, {"data": []}), 1), (Reply(404), 25)])
def test_after_our_guess_a_job_that_is_not_known_any_more_has_expired(
    api: StrangeApi, listed: Reply, hours: float
) -> None:
    server = Server(api, {"status": "queued"})
    line = StrangeLine(api, retention_hours=1)
    job = line.submit()
    line.run_for(job, hours=0.99)
    server.replies |= dict.fromkeys(("get", "content"), Reply(404, {"detail": "Not Found"}))
    server.replies["list"] = listed
    ended = line.run_for(job, hours=30)
    assert ended.status is Status.EXPIRED
    assert ended.finished_at is not None
    assert timedelta(hours=hours) <= ended.finished_at - job.created_at < timedelta(hours=hours + 0.6)


def test_after_our_guess_404_for_everything_may_pass(api: StrangeApi) -> None:
    server = Server(api)
    line = StrangeLine(api, retention_hours=1)
    job = line.submit()
    server.replies |= dict.fromkeys(("get", "list", "content"), Reply(404, {"detail": "Not Found"}))
    assert line.run_for(job, hours=20).status is Status.QUEUED
    assert len(api.seen) < 400  # most of them in the first five minutes
    server.replies.clear()
    assert line.run_for(job, hours=2).status is Status.SUCCEEDED


def test_a_word_that_we_do_not_know_may_mean_that_it_is_done(api: StrangeApi) -> None:
    Server(api, {"status": "archived", "completed_at": int(api.clock().timestamp())})
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert ended.status is Status.SUCCEEDED


def test_under_an_unknown_word_the_bytes_are_asked_for_while_there_is_time(api: StrangeApi) -> None:
    expires_at = int((api.clock() + timedelta(hours=2)).timestamp())
    server = Server(api, {"status": "in the vault", "expires_at": expires_at})
    server.replies["content"] = lambda asked: (
        Reply(200, VIDEO, content_type="video/mp4")
        if api.clock().timestamp() < expires_at
        else Reply(410, {"detail": "gone"})
    )
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=3)
    assert ended.status is Status.SUCCEEDED
    assert len(api.asked("content")) < 60


@pytest.mark.parametrize("status", [404, 410])
def test_before_a_job_is_given_up_as_lost_its_bytes_are_asked_for_once_more(
    api: StrangeApi, status: int
) -> None:
    server = Server(api, {"status": "in_progress"})
    line = StrangeLine(api)
    job = line.submit()
    line.run_until(job, Status.RUNNING)
    server.replies["get"] = Reply(status, {"detail": "Not Found"})
    server.replies["list"] = Reply(200, {"object": "list", "data": [], "has_more": False})
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED


def test_a_404_of_another_replica_behind_a_balancer_of_connections_loses_no_job(api: StrangeApi) -> None:
    """Each replica has its jobs in memory and knows no others."""
    server, connections = Server(api), dict[int, int]()

    def answer(asked: Asked) -> Reply:
        if connections.setdefault(asked.connection, len(connections)) % 2 == 0:
            return server.answer(asked)
        is_list = asked.operation == "list"
        return Reply(200, {"data": [], "has_more": False}) if is_list else Reply(404, {"detail": "Not Found"})

    api.answer = answer
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED


@pytest.mark.parametrize("status", [404, 410])
def test_after_our_guess_a_video_that_is_not_there_for_a_while_is_lost(api: StrangeApi, status: int) -> None:
    server = Server(api)
    server.replies["content"] = Reply(status, {"detail": "Not Found"})
    line = StrangeLine(api, retention_hours=1)
    job = line.submit()
    ended = line.run_for(job, hours=30)
    assert ended.status is Status.EXPIRED
    assert ended.finished_at is not None
    assert ended.finished_at - job.created_at >= timedelta(hours=1 if status == 410 else 25)


def test_after_our_guess_a_server_that_is_away_is_waited_for(api: StrangeApi) -> None:
    server = Server(api)
    server.replies["content"] = Reply(503, {"detail": "later"})
    line = StrangeLine(api, retention_hours=1)
    job = line.submit()
    assert line.run_for(job, hours=20).status is Status.PENDING_DOWNLOAD
    assert len(api.asked("content")) < 120
    del server.replies["content"]
    assert line.run_for(job, hours=2).status is Status.SUCCEEDED


# --- unknown outcomes ----------------------------------------------------------------------------


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("newer", [0, 900, 5000])
def test_a_lost_answer_is_found_however_many_jobs_are_newer_and_in_whatever_order_they_are_listed(
    api: StrangeApi, newer: int, ascending: bool
) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    server.replies["list"] = LongList(server, newer, ascending=ascending)
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


def test_a_poll_reads_a_part_of_a_long_list_and_the_next_one_goes_on(api: StrangeApi) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    server.replies["list"] = LongList(server, 2500)
    line.run(job, lambda seen: seen.list_search is not None)
    read = len(api.asked("list"))
    assert read <= 20
    line.run(job, lambda seen: seen.list_search is None and seen.status is not Status.SUBMITTING)
    assert len(api.asked("list")) - read < 60


@pytest.mark.parametrize("how", ["cut", "pages that never end", "no JSON", "an empty page before the end"])
def test_a_list_that_can_not_be_read_whole_proves_nothing(api: StrangeApi, how: str) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    listed = LongList(server, 200)
    listed.jobs = [entry for entry in listed.jobs if entry["id"] != ID]
    replies: dict[str, Any] = {
        "cut": lambda asked: Reply(200, listed(asked).body, cut=True),
        "pages that never end": listed,
        "no JSON": Reply(200, b"<html>"),
        "an empty page before the end": lambda asked: (
            Reply(200, {"data": [], "has_more": False}) if "after=" in asked.path else listed(asked)
        ),
    }
    listed.ignores_after = how == "pages that never end"
    server.replies["list"] = replies[how]
    assert line.run_for(job, hours=12).status is Status.SUBMITTING
    assert len(api.asked("list")) < 500
    server.replies.pop("list")
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED


def test_what_was_read_is_said_when_a_submission_stays_unconfirmed(api: StrangeApi) -> None:
    server = Server(api)
    server.replies["create"] = Reply(503, {"error": {"message": "overloaded"}})
    listed = LongList(server, 100)
    listed.jobs = [entry for entry in listed.jobs if entry["id"] != ID]
    server.replies["list"] = listed
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert code_of(ended) == "submission_unconfirmed"
    assert ended.error is not None
    assert "503" in ended.error.message
    assert "read back to the time of the call" in ended.error.message
    assert "never arrived" not in ended.error.message


# --- the account's trouble -----------------------------------------------------------------------

NO_MONEY: dict[str, Reply] = {
    "402": Reply(402, {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}}),
    "402 empty": Reply(402, b""),
    "billing": Reply(
        400,
        {"error": {"code": "billing_hard_limit_reached", "message": "Billing hard limit has been reached"}},
    ),
    "budget": Reply(
        400,
        {
            "error": {
                "message": "Budget has been exceeded! Current cost: 0.37",
                "type": "budget_exceeded",
                "code": "400",
            }
        },
    ),
    "user quota": Reply(
        403, {"error": {"code": "insufficient_user_quota", "message": "user quota is not enough"}}
    ),
    "429 by code": Reply(
        429, {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota."}}
    ),
    "credits in words": Reply(403, {"detail": "You are out of credits. Please top up."}),
}


@pytest.mark.parametrize("refusal", sample(NO_MONEY, every=3))
def test_an_account_without_money_keeps_jobs_waiting_until_it_is_paid(api: StrangeApi, refusal: str) -> None:
    server = Server(api)
    server.replies["create"] = NO_MONEY[refusal]
    line = StrangeLine(api)
    job = line.submit()
    assert (job.status, job.error) == (Status.WAITING, None)
    assert "no money or quota left" in (job.reason or "")
    closure = line.gates.gates["strange"].closure
    assert closure is not None
    assert closure.why is ClosureReason.ACCOUNT
    assert line.run_for(job, hours=5).status is Status.WAITING
    assert len(api.asked("create")) <= 160
    del server.replies["create"]
    assert line.run_for(job, hours=0.2).status is Status.SUCCEEDED


def test_a_refusal_that_only_sounds_like_an_empty_account_ends_the_one_job_that_meets_it(
    api: StrangeApi,
) -> None:
    server = Server(api)
    sounds = Reply(400, {"error": {"message": "The frames exceed the quota: quota reached."}})
    server.replies["create"] = lambda asked: (
        sounds if b"too long" in asked.body else Reply(200, server.shown(status="queued"))
    )
    line = StrangeLine(api)
    odd = line.submit(prompt="too long")
    assert odd.status is Status.WAITING
    other = line.submit()
    assert line.run_for(other, hours=1).status is Status.SUCCEEDED
    ended = line.run_for(odd, hours=1)
    assert (ended.status, code_of(ended)) == (Status.FAILED, "backend_rejected")
    assert len(api.asked("create")) <= 5


def test_a_prompt_that_speaks_of_money_and_is_repeated_in_a_refusal_is_no_trouble_of_the_account(
    api: StrangeApi,
) -> None:
    prompt = (
        "A billing clerk who has run out of credit counts the budget, in a scene of moderation and copyright"
    )
    server = Server(api)
    server.replies["create"] = Reply(400, {"error": {"message": f"Can't render: {prompt}"}})
    line = StrangeLine(api)
    job = line.submit(prompt=prompt)
    assert (job.status, code_of(job)) == (Status.FAILED, "backend_rejected")


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (403, "Access denied due to Virtual Network/Firewall rules.", "network rules"),
        (403, "Country, region, or territory not supported", "region"),
        (403, "Project does not have access to model `m`", "no access to the model"),
        (403, "Forbidden", "what the key is allowed to do"),
        (401, "Incorrect API key provided", "check its API key setting"),
    ],
)
def test_the_advice_fits_what_was_said(api: StrangeApi, status: int, message: str, advice: str) -> None:
    server = Server(api)
    server.replies["create"] = Reply(status, {"error": {"message": message}})
    job = StrangeLine(api).submit()
    assert job.status is Status.WAITING
    assert advice in (job.reason or "")


MODERATED = [
    ("moderation_blocked", "Your request was blocked by our moderation system."),
    ("content_policy_violation", "Your request was rejected as a result of our safety system."),
    ("contentFilter", "Your task failed as a result of our safety system."),
    ("421", "Moderation Block"),
    ("OutputAudioSensitiveContentDetected", "The output audio may contain sensitive information."),
    ("InputTextSensitiveContentDetected.PolicyViolation", "The request failed."),
    ("task_failed", "The output video may contain sensitive information."),
    (None, "The content contained material flagged by a content checker."),
    ("task_failed", "This can sometimes happen due to our safety filters."),
    ("3", "It contains words that violate the usage guidelines."),
    ("DataInspectionFailed", "Input data may contain inappropriate content."),
    ("task_failed", "Failure to pass the risk control system"),
    ("guardrail_intervened", "Blocked by a guardrail."),
    ("400", "The prompt was blocked by our content policy."),
]


@pytest.mark.parametrize(("code", "message"), MODERATED)
@pytest.mark.parametrize("status", [400, 403, 422])
def test_refused_content_is_told_in_whatever_words_it_comes_and_never_closes_the_gate(
    api: StrangeApi, code: str | None, message: str, status: int
) -> None:
    server = Server(api)
    server.replies["create"] = Reply(status, {"error": {"code": code, "message": message}})
    line = StrangeLine(api)
    job = line.submit()
    assert (job.status, code_of(job)) == (Status.FAILED, "moderation_blocked")
    gate = line.gates.gates.get("strange")
    assert gate is None or gate.closure is None


@pytest.mark.parametrize(("code", "message"), MODERATED)
def test_content_that_is_refused_while_it_is_generated_is_told_too(
    api: StrangeApi, code: str | None, message: str
) -> None:
    Server(api, {"status": "failed", "error": {"code": code, "message": message}})
    line = StrangeLine(api)
    assert code_of(line.run_for(line.submit(), hours=1)) == "moderation_blocked"


@pytest.mark.parametrize(
    "message",
    [
        "Unknown parameter: 'safety_identifier'",
        "Model names are case-sensitive.",
        "The size violates the schema.",
        "CUDA out of memory",
        "Invalid value: 'seconds' must be one of 4, 8, 12",
    ],
)
def test_other_refusals_are_not_taken_for_refused_content(api: StrangeApi, message: str) -> None:
    server = Server(api)
    server.replies["create"] = Reply(400, {"error": {"message": message}})
    assert code_of(StrangeLine(api).submit()) == "backend_rejected"


# --- hints ---------------------------------------------------------------------------------------

HINTS = [
    {"retry-after": "0"},
    {"retry-after-ms": "0"},
    {"openai-poll-after-ms": "0"},
    {"retry-after": "-5"},
    {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    {"retry-after": "now"},
    {"retry-after": "99999999999999"},
    {"retry-after": "NaN"},
]


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_no_hint_makes_a_storm_of_creates_polls_or_downloads(api: StrangeApi, hint: dict[str, str]) -> None:
    server = Server(api)
    server.replies["create"] = Reply(429, {"error": {"message": "Rate limit is exceeded."}}, hint)
    line = StrangeLine(api)
    job = line.submit()
    line.run_for(job, hours=0.25)
    assert len(api.asked("create")) <= 12
    server.replies = {"get": Reply(200, server.shown(status="in_progress"), hint)}
    other = StrangeLine(api)
    other.run_for(other.submit(), hours=0.1)
    assert len(api.asked("get")) <= 360 / 1.2  # seconds of a young job, and its shortest pause
    server.replies = {"content": Reply(503, {"detail": "busy"}, hint)}
    third = StrangeLine(api)
    third.run_for(third.submit(), hours=0.1)
    assert len(api.asked("content")) <= 12


# --- what is known is not lost -------------------------------------------------------------------


def test_a_token_that_comes_too_late_is_no_call_that_was_made(api: StrangeApi) -> None:
    Server(api)
    line = StrangeLine(api)

    def slowly() -> dict[str, str]:
        time.sleep(0.3)
        return {"Authorization": f"Bearer {KEY}"}

    http = BackendHttp(f"{api.url}/v1", slowly, {})
    for _ in range(3):
        with pytest.raises(NotSent):
            post_once(http, "/videos", 0.25, json={})
    assert api.seen == []
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    "error", [ValueError("no such tenant"), ImportError("azure.identity"), OSError("disk")]
)
def test_a_call_that_can_not_be_signed_for_any_reason_was_not_made(api: StrangeApi, error: Exception) -> None:
    def sign() -> dict[str, str]:
        raise error

    http = BackendHttp(f"{api.url}/v1", sign, {})
    with pytest.raises(NotSent) as refused:
        post_once(http, "/videos", 5, json={})
    assert str(error) not in str(refused.value)
    assert api.seen == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_stays_one_though_storage_fails_while_it_is_recorded(
    api: StrangeApi, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    server = Server(api)
    server.replies["create"] = Reply(status, {"error": {"message": "no"}})
    line = StrangeLine(api)
    first = line.submit()
    line.run_for(first, hours=0.05)
    real, faults = line.gates.get, [1]

    def get(backend: str) -> Any:
        if len(api.asked("create")) > 1 and faults[0]:
            faults[0] -= 1
            raise StorageUnavailable("503 while reading the gate")
        return real(backend)

    monkeypatch.setattr(line.gates, "get", get)
    with contextlib.suppress(StorageUnavailable):  # the host would deliver the message again
        line.run_for(first, hours=0.5)
    assert faults == [0]
    seen = line.job(first)
    assert (seen.status, seen.submission.outcome_lost_at) == (Status.WAITING, None)
    del server.replies["create"]
    line.advance(1800)
    sweep_jobs(line.services)
    assert line.run_for(first, hours=1).status is Status.SUCCEEDED


def test_a_delete_that_succeeds_while_another_poll_sees_the_job_generated_ends_it_at_once(
    api: StrangeApi,
) -> None:
    server = Server(api, {"status": "in_progress"})
    line = StrangeLine(api)
    job = line.submit()
    line.run_until(job, Status.RUNNING)
    others = list(line.messages.queued)
    cancel_job(line.services, OWNER, job.id)

    def delete(asked: Asked) -> Reply:
        server.job = {"status": "completed"}
        line.deliver(others[0])
        assert line.job(job).status is Status.FETCHING
        server.replies |= dict.fromkeys(("get", "content"), Reply(404, {"detail": "Not Found"}))
        return Reply(200, {"id": ID, "deleted": True})

    server.replies["delete"] = delete
    ended = line.run_for(job, hours=1)
    assert (ended.status, ended.error) == (Status.CANCELLED, None)
    assert len(api.asked("content")) <= 1
    assert not line.blobs.videos


# --- several outputs, sizes ----------------------------------------------------------------------


@pytest.mark.parametrize("said", [{"num_outputs": 2}, {"file_paths": ["/a.mp4", "/b.mp4"]}])
def test_a_job_of_several_outputs_is_kept_whole(api: StrangeApi, said: dict[str, Any]) -> None:
    second = small_mp4(b"another")
    server = Server(api, {"status": "completed", **said})
    server.replies["content"] = lambda asked: Reply(
        200, second if "variant=1" in asked.path else VIDEO, content_type="video/mp4"
    )
    line = StrangeLine(api)
    body = json.dumps({"backend_job_id": ID}).encode()
    ended = line.run_for(import_job(line.services, OWNER, read_import(body)), hours=1)
    assert ended.status is Status.SUCCEEDED
    stored = {name: blob.content for name, blob in line.blobs.videos.items() if name.endswith("mp4")}
    assert stored == {f"{OWNER}/{ended.id}/0.mp4": VIDEO, f"{OWNER}/{ended.id}/1.mp4": second}


def test_an_output_that_is_not_served_is_said_to_be_missing(api: StrangeApi) -> None:
    expires_at = int((api.clock() + timedelta(hours=1)).timestamp())
    server = Server(api, {"status": "completed", "num_outputs": 2, "expires_at": expires_at})
    server.replies["content"] = lambda asked: (
        Reply(404, {"detail": "Video variant 1 not found"})
        if "variant=1" in asked.path
        else Reply(200, VIDEO, content_type="video/mp4")
    )
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=3)
    assert ended.status is Status.EXPIRED
    assert "Video 1" in (ended.error.message if ended.error else "")
    assert ended.outputs[0].stored is not None


@pytest.mark.parametrize("length", [None, -1])
def test_a_video_that_is_larger_than_allowed_is_not_stored_and_fetched_once_it_is_allowed(
    api: StrangeApi, length: int | None
) -> None:
    large = small_mp4(bytes(2 << 20))
    server = Server(api)
    server.replies["content"] = Reply(200, large, content_type="video/mp4", length=length)
    line = StrangeLine(api, {"VIDEO_MAX_BYTES": str(1 << 20)})
    job = line.submit()
    seen = line.run_for(job, hours=2)
    assert seen.status is Status.PENDING_DOWNLOAD
    assert "VIDEO_MAX_BYTES" in (seen.reason or "")
    assert not line.blobs.videos
    assert len(api.asked("content")) <= 6, "what is too large is not downloaded again and again"
    allowed = StrangeLine(api)
    line.services = line.services._replace(backends=allowed.services.backends)
    assert line.run_for(job, hours=2).status is Status.SUCCEEDED


def test_an_image_goes_as_a_file_whatever_form_the_rest_has(api: StrangeApi) -> None:
    Server(api)
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(picture, "PNG")
    png = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    for body in ("json", "multipart"):
        line = StrangeLine(api, body=body)
        line.submit(input_image=png)
        sent = api.asked("create")[-1]
        assert sent.headers["content-type"].startswith("multipart/form-data")
        assert b'name="input_reference"; filename="image.png"' in sent.body
    text_only = StrangeLine(api, body="json")
    text_only.submit()
    assert api.asked("create")[-1].headers["content-type"] == "application/json"


# --- what an answer may cost ---------------------------------------------------------------------


def test_a_page_of_a_list_with_far_too_much_in_it_is_read_as_far_as_is_reasonable(api: StrangeApi) -> None:
    bomb = b'{"data":[' + b'{"id":"a"},' * 700_000 + b'{"id":"b"}],"has_more":true}'
    server = Server(api)
    server.replies["list"] = Reply(200, bomb)
    line = StrangeLine(api)
    backend, _ = line.services.backends.choose(None)
    tracemalloc.start()
    try:
        listed = line.services.backends.client(backend).list_jobs(None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(listed.jobs) == 1000
    assert listed.next_after == "a"
    assert peak < 8 << 20


def test_a_list_of_jobs_with_the_longest_prompts_is_read(api: StrangeApi) -> None:
    server = Server(api)
    entries = [server.shown(id=f"v{n}", prompt="\u4e2d" * 32_000) for n in range(50)]
    server.replies["list"] = Reply(200, {"data": entries, "has_more": False})
    line = StrangeLine(api)
    backend, _ = line.services.backends.choose(None)
    listed = line.services.backends.client(backend).list_jobs(None)
    assert [len(job.prompt or "") for job in listed.jobs] == [32_000] * 50


@pytest.mark.parametrize("operation", ["create", "get", "delete"])
def test_an_answer_of_more_than_a_megabyte_besides_long_texts_is_not_read(
    api: StrangeApi, operation: str
) -> None:
    server = Server(api, {"status": "in_progress"})
    server.replies[operation] = Reply(200, {"id": ID, "status": "completed", "padding": ["x" * 100_000] * 11})
    line = StrangeLine(api)
    job = line.submit()
    assert not line.run_for(job, hours=0.02).is_terminal
    if operation == "create":
        assert line.job(job).backend_job_id in (None, ID)
