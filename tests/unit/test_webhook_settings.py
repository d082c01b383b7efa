"""The settings of webhooks: what is wrong is said at start, and no secret with it."""

from __future__ import annotations

import base64

import pytest

from tests.settings_examples import problems_of, read
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.webhook import Webhook

FIRST, SECOND = (b"a" * 24, b"b" * 64)
HOOK = "https://hooks.example.test/app?token=of-the-app"


def written(secret: bytes) -> str:
    return "whsec_" + base64.b64encode(secret).decode()


def test_without_settings_there_is_no_hook_and_none_may_be_asked_for():
    webhooks = read().webhooks
    assert (webhooks.secrets, webhooks.url, webhooks.allow_http_loopback) == ((), None, False)
    assert webhooks.hook_for(None) is None
    with pytest.raises(InvalidRequest, match="WEBHOOK_SECRETS") as refused:
        webhooks.check(HOOK)
    assert refused.value.problems[0].field == "webhook_url"


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n", " , "])
def test_secrets_are_listed_the_newest_first(between: str):
    text = f" {written(FIRST)}{between}{written(SECOND)} "
    assert read(WEBHOOK_SECRETS=text).webhooks.secrets == (FIRST, SECOND)


def test_the_apps_hook_is_for_jobs_that_bring_none_and_its_url_stays_in_the_settings():
    webhooks = read(WEBHOOK_SECRETS=written(FIRST), WEBHOOK_URL=HOOK).webhooks
    assert webhooks.hook_for(None) == Webhook(None)
    assert webhooks.hook_for("https://other.example.test/") == Webhook("https://other.example.test/")
    assert "token" not in repr(webhooks)
    assert repr(FIRST) not in repr(webhooks)


@pytest.mark.parametrize(
    "secret",
    [
        "secret",
        base64.b64encode(FIRST).decode(),
        "whsec_",
        "whsec_????",
        written(b"a" * 23),
        written(b"a" * 65),
        "whsk_" + base64.b64encode(FIRST).decode(),
    ],
)
def test_what_is_no_secret_is_refused_with_how_to_make_one_and_not_repeated(secret: str):
    [problem] = problems_of(WEBHOOK_SECRETS=f"{written(SECOND)} {secret}")
    assert "WEBHOOK_SECRETS: number 2" in problem
    assert "openssl rand" in problem
    assert secret.removeprefix("whsec_") not in problem or secret in ("whsec_", "secret")


def test_an_app_hook_without_a_secret_is_refused():
    [problem] = problems_of(WEBHOOK_URL=HOOK)
    assert "WEBHOOK_SECRETS" in problem
    assert "token" not in problem


@pytest.mark.parametrize(
    "url", ["http://hooks.example.test/", "https://10.0.0.1/?token=1", "https://localhost/"]
)
def test_an_app_hook_is_held_to_the_same_rules(url: str):
    [problem] = problems_of(WEBHOOK_URL=url, WEBHOOK_SECRETS=written(FIRST))
    assert problem.startswith("WEBHOOK_URL must")
    assert "token" not in problem


@pytest.mark.parametrize(("word", "allowed"), [("true", True), ("1", True), ("False", False), ("", False)])
def test_loopback_is_allowed_by_one_word(word: str, allowed: bool):
    webhooks = read(WEBHOOK_ALLOW_HTTP_LOOPBACK=word, WEBHOOK_SECRETS=written(FIRST)).webhooks
    assert webhooks.allow_http_loopback is allowed
    if allowed:
        webhooks.check("http://localhost:9000/hooks")
    else:
        with pytest.raises(InvalidRequest, match="WEBHOOK_ALLOW_HTTP_LOOPBACK"):
            webhooks.check("http://localhost:9000/hooks")


@pytest.mark.parametrize("name", ["WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"])
def test_loopback_is_not_allowed_in_azure(name: str):
    changes = {"WEBHOOK_SECRETS": written(FIRST), name: "1"}
    [problem] = problems_of(WEBHOOK_ALLOW_HTTP_LOOPBACK="true", **changes)
    assert "Azure" in problem
    assert not read(**changes).webhooks.allow_http_loopback


def test_another_word_is_refused():
    assert problems_of(WEBHOOK_ALLOW_HTTP_LOOPBACK="maybe") == [
        "WEBHOOK_ALLOW_HTTP_LOOPBACK must be true or false."
    ]
