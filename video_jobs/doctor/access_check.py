"""Who may come in beside the function keys, whose jobs they see, and who is told when one has ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from video_jobs.doctor.findings import Finding, right, warning
from video_jobs.door_keys import SETTING as DOOR_KEYS
from video_jobs.settings import Settings

_SECRETS, _URL, _LOOPBACK = "WEBHOOK_SECRETS", "WEBHOOK_URL", "WEBHOOK_ALLOW_HTTP_LOOPBACK"
_SIGN_IN, _PLATFORMS = "SIGN_IN", "WEBSITE_AUTH_ENABLED"


def check_access(environment: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    """What is malformed is among the problems of the settings already."""
    yield _door(settings)
    yield from _sign_in(environment)
    yield from _webhooks(environment)


def _door(settings: Settings) -> Finding:
    keys = settings.door_keys.keys
    if not keys:
        return right("OpenAI door", f"shut, since {DOOR_KEYS} is not set")
    owners = ", ".join(f"'{owner}'" for owner in sorted({key.owner for key in keys}))
    return right("OpenAI door", f"open to {_count(len(keys), 'key')}, with the jobs of {owners}")


def _sign_in(environment: Mapping[str, str]) -> Iterator[Finding]:
    wanted = environment.get(_SIGN_IN, "").strip().lower() not in ("", "off")
    by_platform = environment.get(_PLATFORMS, "").strip().lower() == "true"
    if wanted and by_platform:
        yield right("sign-in", "whom the platform has signed in has jobs of their own")
    elif wanted:
        words = (
            f"{_SIGN_IN} is on, and App Service's authentication is not ({_PLATFORMS} is not True): nobody is "
            f"believed, and all share the jobs of 'default'."
        )
        yield warning("sign-in", words, f"Turn authentication on for the app, or set {_SIGN_IN} to off.")
    elif by_platform:
        words = (
            f"App Service signs people in, and {_SIGN_IN} is off: all of them share the jobs of 'default'."
        )
        yield warning(
            "sign-in", words, f"Set {_SIGN_IN} to easy-auth to give each their own, if that is not meant."
        )
    else:
        yield right("sign-in", "off: whoever has a function key shares the jobs of 'default'")


def _webhooks(environment: Mapping[str, str]) -> Iterator[Finding]:
    secrets = re.findall(r"[^\s,]+", environment.get(_SECRETS, ""))
    if secrets:
        whose = (
            "each job's own, else the app's" if environment.get(_URL, "").strip() else "those that jobs name"
        )
        yield right("webhooks", f"{whose}, signed with {_count(len(secrets), 'secret')}")
    else:
        yield right("webhooks", f"none, since {_SECRETS} is not set: there is nothing to sign with")
    if environment.get(_LOOPBACK, "").strip().lower() in ("true", "1") and "WEBSITE_SITE_NAME" in environment:
        words = f"{_LOOPBACK} is on in Azure: a webhook may then reach what listens on the app's own machine."
        yield warning("webhooks", words, "Take it away; it is for work on one's own machine.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
