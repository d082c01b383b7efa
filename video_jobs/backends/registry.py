"""The configured backends by name, and the client for each."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from video_jobs.backends import azure_sora, openai_videos
from video_jobs.backends.azure_sora import AzureSora
from video_jobs.backends.credentials import signer
from video_jobs.backends.elsewhere import Elsewhere
from video_jobs.backends.http import BackendHttp
from video_jobs.backends.model_catalogue import ModelCatalogue
from video_jobs.backends.openai_videos import OpenAIVideos
from video_jobs.backends.providers import TASK_APIS
from video_jobs.backends.task_videos import TaskVideos
from video_jobs.domain.capabilities import Limits, ModelTakes
from video_jobs.domain.errors import InvalidRequest, NotSent
from video_jobs.domain.gate import GateLimits
from video_jobs.domain.job import BackendRef
from video_jobs.ports import Backend
from video_jobs.settings.app import DEFAULT_MAX_BYTES, Settings
from video_jobs.settings.backends import BackendSettings

_UNKNOWN_RETENTION = timedelta(hours=24)
_MOST_NAMED = 40  # models in one message
_MOST_CLIENTS = 100  # each keeps a connection open, and an import may name any model


class Backends:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._clients: dict[BackendRef, Backend] = {}
        self._catalogue = ModelCatalogue()

    def choose(self, name: str | None, model: str | None = None) -> tuple[BackendRef, Limits]:
        """See `ports.Backends`."""
        settings = self._named(name)
        if model is not None and model not in self._models(settings):
            others = self._settings.backends if name is None else ()
            having = next((each for each in others if model in self._models(each)), None)
            if having is None:
                raise InvalidRequest.of("model", self._words_of_models((settings, *others)))
            settings = having
        chosen = model or settings.model
        return _ref_of(settings, chosen), self._limits(settings, chosen)

    def default_ref(self, name: str | None, model: str | None = None) -> BackendRef:
        """See `ports.Backends`."""
        settings = self._named(name)
        return _ref_of(settings, model or settings.model)

    def models(self, name: str) -> tuple[str, ...]:
        """See `ports.Backends`."""
        return tuple(self._models(self._named(name)))

    def client(self, ref: BackendRef) -> Backend:
        """Speaks to the address that is frozen in the job, with today's credentials of that name.

        Raises NotSent when the settings no longer name the backend.
        """
        with self._lock:
            client = self._clients.pop(ref, None) or self._build(ref)
            self._clients[ref] = client
            if len(self._clients) > _MOST_CLIENTS:  # whoever uses the oldest one goes on with it
                del self._clients[next(iter(self._clients))]
            return client

    def current(self, ref: BackendRef, model: str | None = None) -> BackendRef:
        """See `ports.Backends`.

        Gives `ref` itself if the settings no longer name the backend, or have it in another dialect.
        """
        settings = self._settings.backend(ref.name)
        if settings is None or settings.dialect != ref.dialect:
            return ref
        return _ref_of(settings, model or settings.model)

    def names(self) -> list[str]:
        return [backend.name for backend in self._settings.backends]

    def gate_limits(self, name: str) -> GateLimits:
        """Without limits if the settings no longer name the backend: nothing is submitted there."""
        settings = self._settings.backend(name)
        return settings.gate_limits if settings else GateLimits()

    def signs_in_with(self, ref: BackendRef) -> Literal["key", "identity", "nothing"]:
        settings = self._settings.backend(ref.name)
        if settings is None or settings.auth == "none":
            return "nothing"
        return "key" if self._settings.api_keys.get(ref.name) else "identity"

    def retention(self, ref: BackendRef) -> timedelta:
        settings = self._settings.backend(ref.name)
        return settings.retention if settings else _UNKNOWN_RETENTION

    def _named(self, name: str | None) -> BackendSettings:
        """Raises InvalidRequest for a name that is not configured."""
        settings = self._settings.backend(name) if name is not None else self._settings.backends[0]
        if settings is None:
            known = ", ".join(backend.name for backend in self._settings.backends)
            raise InvalidRequest.of("backend", f"there is no backend of this name; there are: {known}")
        return settings

    def _models(self, settings: BackendSettings) -> list[str]:
        """The default model first, then the others of the settings, then those that the provider lists."""
        return list(dict.fromkeys((settings.model, *settings.models, *self._told(settings))))

    def _words_of_models(self, backends: tuple[BackendSettings, ...]) -> str:
        names = list(dict.fromkeys(model for each in backends for model in self._models(each)))
        more = f" and {len(names) - _MOST_NAMED} more: GET /api/options" if len(names) > _MOST_NAMED else ""
        return f"there is no such model here; there are: {', '.join(names[:_MOST_NAMED])}{more}"

    def _told(self, settings: BackendSettings) -> Mapping[str, ModelTakes]:
        """The provider's list of its models; empty if it has none or can't be reached."""
        api = TASK_APIS.get(settings.dialect)
        if api is None or api.model_list is None:
            return {}
        client = self.client(_ref_of(settings, settings.model))
        return self._catalogue.of(settings.name, client.models) if isinstance(client, TaskVideos) else {}

    def _limits(self, settings: BackendSettings, model: str) -> Limits:
        if settings.dialect == "azure-sora":
            return azure_sora.limits()
        api = TASK_APIS.get(settings.dialect)
        if api is None:
            return openai_videos.limits(settings)
        return api.limits(settings, model, self._told(settings).get(model))

    def _build(self, ref: BackendRef) -> Backend:
        settings = self._settings.backend(ref.name)
        if settings is None or settings.dialect != ref.dialect:
            raise NotSent(
                f"The job belongs to the backend '{ref.name}' ({ref.dialect}), which the settings don't name any "
                f"more. Put it back into VIDEO_BACKENDS until its jobs have ended."
            )
        api_key, most_bytes = self._settings.api_keys.get(ref.name), self._settings.max_bytes
        return client_of(settings, api_key, ref.base_url, ref.model, most_bytes)


def client_of(
    settings: BackendSettings,
    api_key: str | None,
    base_url: str,
    model: str,
    most_bytes: int = DEFAULT_MAX_BYTES,
) -> Backend:
    """The dialect's client at that address. `most_bytes`: of one video."""
    sign, elsewhere = signer(settings, api_key), Elsewhere(settings.trusted_origins)
    if settings.dialect == "azure-sora":
        return AzureSora(BackendHttp(base_url, sign, azure_sora.QUERY, elsewhere, most_bytes), model)
    if settings.dialect in TASK_APIS:
        http = BackendHttp(base_url, sign, {}, elsewhere, most_bytes)
        return TaskVideos(http, TASK_APIS[settings.dialect], model)
    return OpenAIVideos(BackendHttp(base_url, sign, {}, elsewhere, most_bytes), settings, model)


def _ref_of(settings: BackendSettings, model: str) -> BackendRef:
    return BackendRef(settings.name, settings.dialect, settings.base_url, model)
