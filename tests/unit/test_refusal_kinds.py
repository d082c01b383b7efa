"""What a refusal is about is told from its status, its code and its words, in whatever shape they come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from video_jobs.backends.answers import error_message, state_of
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.refusal_kinds import is_account, is_moderation, is_wrong_key

GEMINI_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this "
    "error, head over to: https://ai.google.dev/gemini-api/docs/rate-limits."
)
ACCOUNT: list[tuple[int, Any]] = [
    (402, {}),
    (400, {"error": {"message": "Budget has been exceeded! Current cost: 0.37, Max budget: 0.3"}}),
    (400, {"error": {"type": "ExceededBudget", "message": "Crossed spend within 30d"}}),
    (403, {"message": "User quota is not enough"}),
    (403, {"code": "insufficient_user_quota"}),
    (422, {"error": {"code": "insufficient_credits"}}),
    (400, {"error": "You do not have enough credits to run this task."}),
    (400, {"error": {"message": "You have reached your monthly spending limit."}}),
    (403, {"code": 1008, "msg": "账户余额不足"}),
    (403, {"errors": [{"message": "Your credit balance is too low."}]}),
    (429, {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}),
    (429, {"error": {"type": "quota_exceeded"}}),
    (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": GEMINI_QUOTA}}),
    (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}),
    (429, {"message": "Insufficient credits. Top up to go on."}),
]
NOT_ACCOUNT: list[tuple[int, Any]] = [
    (400, {"error": {"message": "Prompt exceeds the token budget"}}),
    (400, {"error": {"message": "The prompt has exceeded the token budget."}}),
    (400, {"error": {"message": "Unknown parameter: 'quota_project_id'"}}),
    (429, {"error": {"code": "rate_limit_quota_exceeded"}}),
    (429, {"error": {"code": "TooManyRequests", "message": "You exceeded the quota of requests per minute"}}),
    (429, {"error": {"code": 429, "message": f"{GEMINI_QUOTA} Please retry in 38.2s."}}),
    (429, {"error": {"message": "Rate limit reached: 5 requests per min. See https://x.invalid/billing."}}),
    (429, {"error": {"message": "Slow down. See https://x.invalid/account/billing for higher limits."}}),
    (401, {"error": {"message": "The key has no quota."}}),
    (400, {"error": {"code": "content_policy_violation", "message": "Violates our billing terms policy"}}),
]
NOT_MODERATION: list[tuple[int, Any]] = [
    (401, {"error": {"message": "Your account has been deactivated for violating our usage policies"}}),
    (403, {"error": {"message": "This organization was suspended for violating our usage policies."}}),
    (403, {"error": {"message": "We have disabled this account: it violates our content policy."}}),
    (404, {"error": {"message": "Not found. See our usage policies."}}),
    (402, {"error": {"message": "Payment required, see our terms and usage policies"}}),
]


def told(body: Any) -> tuple[str | None, str | None]:
    message = error_message(json.dumps(body).encode())
    return message.code, message.text


@pytest.mark.parametrize(("status", "body"), ACCOUNT, ids=str)
def test_an_account_without_money_is_recognised(status: int, body: Any) -> None:
    assert is_account(status, *told(body))


@pytest.mark.parametrize(("status", "body"), NOT_ACCOUNT, ids=str)
def test_other_refusals_are_not_taken_for_an_empty_account(status: int, body: Any) -> None:
    assert not is_account(status, *told(body))


@pytest.mark.parametrize(("status", "body"), NOT_MODERATION, ids=str)
def test_a_refusal_of_the_account_or_the_address_says_nothing_of_the_content(status: int, body: Any) -> None:
    assert not is_moderation(*told(body), status=status)


@pytest.mark.parametrize(
    "body",
    [
        {"msg": "It is too dark."},
        {"errors": [{"message": "It is too dark."}]},
        {"errors": ["It is too dark."]},
        {"error": {"msg": "It is too dark."}},
        {"error": "It is too dark."},
        {"error": None, "message": "It is too dark."},
    ],
    ids=str,
)
def test_an_errors_words_are_found_under_any_usual_name(body: Any) -> None:
    assert error_message(json.dumps(body).encode()).text == "It is too dark."


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("TimedOut", BackendState.FAILED),
        ("NotStarted", BackendState.QUEUED),
        ("InProgress", BackendState.RUNNING),
        ("inprogress", BackendState.RUNNING),
    ],
)
def test_a_status_word_in_camel_case_is_read(word: str, state: BackendState) -> None:
    assert state_of(word) is state


@pytest.mark.parametrize(
    ("status", "message", "wrong"),
    [
        (400, "API key not valid. Please pass a valid API key.", True),
        (400, "API key expired. Please renew the API key.", True),
        (400, "Invalid API key provided", True),
        (400, "The prompt is too long for this API key's tier", False),
        (404, "API key not found", False),
        (500, "Invalid API key", False),
        (400, None, False),
    ],
)
def test_a_400_may_be_about_our_key(status: int, message: str | None, wrong: bool) -> None:
    assert is_wrong_key(status, message) is wrong
