"""Who may use the app besides the function keys, whose jobs they see, and which webhooks are called."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.findings import Finding, right, warning
from video_jobs.domain.quota import OwnerLimits
from video_jobs.settings.api_keys import SETTING as API_KEYS
from video_jobs.settings.app import Settings
from video_jobs.settings.sign_in import SignIn
from video_jobs.settings.webhooks import SECRETS, WebhookSettings


def check_access(settings: Settings) -> Iterator[Finding]:
    """The check of the settings reports malformed values, so this one does not."""
    yield _openai_api(settings)
    yield _sign_in(settings.sign_in)
    yield _limits(settings.owner_limits)
    yield _webhooks(settings.webhooks)


def _openai_api(settings: Settings) -> Finding:
    keys = settings.compat_api_keys.keys
    if not keys:
        return right("OpenAI API", f"off, since {API_KEYS} is not set")
    owners = ", ".join(f"'{owner}'" for owner in sorted({key.owner for key in keys}))
    return right("OpenAI API", f"on for {_count(len(keys), 'key')}, with the jobs of {owners}")


def _sign_in(sign_in: SignIn) -> Finding:
    if sign_in.problem is not None:
        return warning("sign-in", sign_in.problem)
    if sign_in.is_trusted:
        return right("sign-in", "whom the platform has signed in has jobs of their own")
    if sign_in.by_platform:
        words = "App Service signs people in, and SIGN_IN is off: all of them share the jobs of 'default'."
        return warning(
            "sign-in", words, "Set SIGN_IN to easy-auth to give each their own, if that is not meant."
        )
    return right("sign-in", "off: whoever has a function key shares the jobs of 'default'")


def _limits(limits: OwnerLimits) -> Finding:
    told = [
        f"{number} {words}"
        for number, words in ((limits.at_once, "jobs at once"), (limits.per_day, "jobs a day"))
        if number is not None
    ]
    return right(
        "each owner", f"may have {' and '.join(told)}" if told else "may have as many jobs as they like"
    )


def _webhooks(webhooks: WebhookSettings) -> Finding:
    if not webhooks.secrets:
        return right("webhooks", f"none, since {SECRETS} is not set: there is nothing to sign with")
    whose = "each job's own, else the app's" if webhooks.url else "those that jobs name"
    return right("webhooks", f"{whose}, signed with {_count(len(webhooks.secrets), 'secret')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
