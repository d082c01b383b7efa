"""Who calls? The key says so, and nothing else: no sign-in header is read here."""

from __future__ import annotations

from collections.abc import Mapping

from openai_api.errors import OpenAiError
from video_jobs.settings.api_keys import SETTING, ApiKey, ApiKeys

_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def caller_of(headers: Mapping[str, str], keys: ApiKeys) -> ApiKey:
    """Raises OpenAiError, which never repeats what was sent."""
    if not keys.keys:
        raise _unauthorised(f"This API is off: no key is set. Whoever runs the app sets one in {SETTING}.")
    scheme, _, presented = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not presented.strip():
        raise _unauthorised("No API key was sent. Send one as 'Authorization: Bearer KEY'.")
    key = keys.find(presented.strip())
    if key is None:
        raise _unauthorised(f"The API key is not one of this app's. It takes those in its setting {SETTING}.")
    return key


def _unauthorised(message: str) -> OpenAiError:
    return OpenAiError(401, "invalid_api_key", message, headers=_CHALLENGE)
