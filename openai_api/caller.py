"""Finds the caller by the API key alone. This API does not read the sign-in header."""

from __future__ import annotations

from collections.abc import Mapping

from openai_api.errors import OpenAiError
from video_jobs.settings.api_keys import SETTING, ApiKey, ApiKeys

_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def caller_of(headers: Mapping[str, str], keys: ApiKeys) -> ApiKey:
    """The caller's API key, from either of the two headers that OpenAI's packages send. Raises OpenAiError, whose message never
    repeats what was sent."""
    if not keys.keys:
        raise _unauthorised(f"This API is off: no key is set. The operator sets one in {SETTING}.")
    scheme, _, presented = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not presented.strip():
        presented = headers.get("api-key", "")  # as for Azure OpenAI
    if not presented.strip():
        raise _unauthorised("No API key was sent. Send one as 'Authorization: Bearer KEY' or 'api-key: KEY'.")
    key = keys.find(presented.strip())
    if key is None:
        raise _unauthorised(f"The API key is unknown. The app's setting {SETTING} holds the valid keys.")
    return key


def _unauthorised(message: str) -> OpenAiError:
    return OpenAiError(401, "invalid_api_key", message, headers=_CHALLENGE)
