"""Authenticates calls to a video API: with a key, with an Entra identity, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from video_jobs.backends.providers import TASK_APIS
from video_jobs.domain.errors import NotSent
from video_jobs.settings.backends import BackendSettings
from video_jobs.settings.storage import client_id_in

Sign = Callable[[], Mapping[str, str]]


def signer(settings: BackendSettings, api_key: str | None) -> Sign:
    """A function that gives, for each call, fresh authentication headers and those that the API needs on every call. It
    raises NotSent."""
    api = TASK_APIS.get(settings.dialect)
    always = {} if api is None else dict(api.headers)
    if settings.auth == "none":
        return lambda: always
    if api_key:
        return lambda: {**always, **key_headers(settings, api_key)}
    return _identity(settings, client_id_in(os.environ))


def key_headers(settings: BackendSettings, api_key: str) -> Mapping[str, str]:
    """The header that carries the key, as this backend wants it."""
    api = TASK_APIS.get(settings.dialect)
    if api is not None and settings.auth is None:
        return api.sign(api_key)
    auth = settings.auth or ("api-key" if settings.dialect == "azure-sora" else "bearer")
    return {"api-key": api_key} if auth == "api-key" else {"Authorization": f"Bearer {api_key}"}


def _identity(settings: BackendSettings, client_id: str | None) -> Sign:
    # Imported only here: this import takes longer than all the app's other imports together.
    from azure.core.exceptions import AzureError
    from azure.identity import DefaultAzureCredential

    # As for storage, a user-assigned identity has to be named.
    credential = DefaultAzureCredential(managed_identity_client_id=client_id)

    who = f"the identity with client id {client_id}" if client_id else "the app's identity"

    def sign() -> Mapping[str, str]:
        try:
            # The library caches the token until it expires.
            token = credential.get_token(settings.token_scope)
        except AzureError as error:
            raise NotSent(
                f"No Entra token for the backend '{settings.name}': {who} can't sign in. Assign the app a managed "
                f"identity with the role Cognitive Services User (a user-assigned one is named in "
                f"AZURE_CLIENT_ID or AzureWebJobsStorage__clientId), or set an API key."
            ) from error
        return {"Authorization": f"Bearer {token.token}"}

    return sign
