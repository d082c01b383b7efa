"""The settings of webhooks: signing secrets, the app's own webhook, and whether http to this machine is allowed."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.webhook import Webhook
from video_jobs.net.webhook_url import read_hook_url

SECRETS, URL, LOOPBACK = "WEBHOOK_SECRETS", "WEBHOOK_URL", "WEBHOOK_ALLOW_HTTP_LOOPBACK"

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes, says Standard Webhooks
_HOW = 'Make one with: echo "whsec_$(openssl rand -base64 32)"'
_IN_AZURE = ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME")  # Azure sets these; other machines don't
_WORDS = {"": False, "false": False, "0": False, "true": True, "1": True}


@dataclass(frozen=True)
class WebhookSettings:
    secrets: tuple[bytes, ...] = field(repr=False)  #: the newest first; each signs
    url: str | None = field(repr=False)  #: the app's own webhook, for jobs without one
    allow_http_loopback: bool

    @classmethod
    def read(cls, environment: Mapping[str, str], problems: list[str]) -> Self:
        """Adds to `problems` what is wrong, without repeating it."""
        word = environment.get(LOOPBACK, "").strip().lower()
        if word not in _WORDS:
            problems.append(f"{LOOPBACK} must be true or false.")
        allowed = _WORDS.get(word, False)
        if allowed and any(environment.get(name) for name in _IN_AZURE):
            problems.append(
                f"{LOOPBACK} must not be on in Azure, where a service on the loopback address gives out the app's "
                f"own tokens. Leave it out."
            )
        secrets = _secrets(environment.get(SECRETS, ""), problems)
        url = environment.get(URL, "").strip() or None
        if url is not None:
            try:
                read_hook_url(url, allow_http_loopback=allowed)
            except ValueError as error:
                problems.append(f"{URL} {error}.")
            if not environment.get(SECRETS, "").strip():
                problems.append(
                    f"{URL} is set and {SECRETS} is not, with which the app signs webhooks. {_HOW}."
                )
        return cls(secrets, url, allowed)

    def check(self, url: str) -> None:
        """Raises InvalidRequest for a URL that a client can't have."""
        if not self.secrets:
            message = f"is not possible: this app has no signing secret. Its operator sets {SECRETS}"
            raise InvalidRequest.of("webhook_url", message)
        try:
            read_hook_url(url, allow_http_loopback=self.allow_http_loopback)
        except ValueError as error:
            raise InvalidRequest.of("webhook_url", str(error)) from None

    def hook_for(self, url: str | None) -> Webhook | None:
        """A new job's: its own, else the app's, whose URL stays in the settings."""
        return Webhook(url) if url is not None or self.url is not None else None


def _secrets(text: str, problems: list[str]) -> tuple[bytes, ...]:
    secrets = []
    for number, word in enumerate(re.split(r"[\s,]+", text.strip()) if text.strip() else [], 1):
        try:
            secret = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
        except ValueError:
            secret = b""
        if not word.startswith(_PREFIX) or not _SHORTEST <= len(secret) <= _LONGEST:
            problems.append(
                f"{SECRETS}: number {number} is no secret, which is {_PREFIX} and the base64 of {_SHORTEST} to "
                f"{_LONGEST} random bytes. {_HOW}."
            )
        secrets.append(secret)
    return tuple(secrets)
