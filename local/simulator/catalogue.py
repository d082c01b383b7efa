"""The lists of a resource: its deployments, its models, and until when each is served.

With `deployments` null any name is accepted, so there is no list: 404, as many servers answer.
"""

from collections.abc import Sequence

from werkzeug.wrappers import Request

from . import errors
from .answers import Answer, Route, json_answer
from .world import World

_VERSIONS = {"deployments": "2023-03-15-preview", "models": "2024-10-21"}
_MODELS = {"sora": "sora-2025-05-02", "sora-2": "sora-2-2025-12-08"}
_DAY = 86_400


class Catalogue:
    """Answers the lists from a World's settings."""

    name = "catalogue"

    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """Each of Azure's two lists has a dated version; the OpenAI protocol's list of models has none."""
        match method, *segments:
            case "GET", "openai", ("deployments" | "models") as what:
                return Route(what, _VERSIONS[what])
            case ("GET", "openai", "v1", "models") | ("GET", "v1", "models"):
                return Route("models")
        return None

    def answer(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        names = self._world.settings.deployments
        if names is None or request.args.get("api-version") != route.target:
            return errors.not_found()
        if route.operation == "deployments":
            return _list([self._deployment(name) for name in names])
        if route.target is None:
            return _list([{"id": name, "object": "model", "owned_by": "simulator"} for name in names])
        return _list([self._model(model) for model in _MODELS.values()])

    def _deployment(self, name: str) -> dict[str, object]:
        model = name if name in _MODELS else "sora"
        return {"object": "deployment", "id": name, "model": model, "status": "succeeded"}

    def _model(self, model: str) -> dict[str, object]:
        retired = self._world.settings.retired
        ends = int(self._world.clock.now()) + (-_DAY if retired else 365 * _DAY)
        status = "deprecated" if retired else "preview"
        return {
            "object": "model",
            "id": model,
            "lifecycle_status": status,
            "deprecation": {"inference": ends},
        }


def _list(entries: list[dict[str, object]]) -> Answer:
    return json_answer({"object": "list", "data": entries})
