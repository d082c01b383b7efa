"""The control endpoints under `/_simulator`: they tell what happened, and set what happens next. All JSON, no key."""

import json
from collections.abc import Sequence

from werkzeug.wrappers import Request

from .answers import Answer, json_answer
from .faults import Fault, Faults, InvalidFaultError
from .job import Job
from .settings import UnknownSettingError
from .world import World

PREFIX = "_simulator"

_KNOWN = "GET ledger; GET, POST, DELETE faults; GET, POST settings; GET, POST clock; POST reset"


class Control:
    """Answers the control endpoints."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults

    def answer(self, method: str, segments: Sequence[str], request: Request) -> Answer:
        """Carry out one control call. If that is impossible, the answer is 400 or 404 with the reason."""
        try:
            match method, *segments[1:]:
                case "GET", "ledger":
                    return json_answer(self._ledger())
                case "GET", "faults":
                    return self._active_faults()
                case "POST", "faults":
                    return self._add_faults(_content(request))
                case "DELETE", "faults":
                    self._faults.clear()
                    return self._active_faults()
                case "GET", "settings":
                    return json_answer(self._world.settings.as_dict())
                case "POST", "settings":
                    return json_answer(self._world.change(_content(request)).as_dict())
                case "GET", "clock":
                    return self._time()
                case "POST", "clock":
                    return self._advance(_content(request))
                case "POST", "reset":
                    self._faults.clear()
                    self._world.reset()
                    return json_answer({"reset": True})
        except (InvalidFaultError, UnknownSettingError, ValueError) as error:
            return json_answer({"error": str(error)}, 400)
        return json_answer({"error": f"Under /{PREFIX} there are: {_KNOWN}."}, 404)

    def _ledger(self) -> dict[str, object]:
        return {
            "jobs": [self._entry(job) for job in self._world.everything()],
            "calls": self._world.ledger.calls(),
            "most_unfinished": self._world.most_unfinished(),
        }

    def _entry(self, job: Job) -> dict[str, object]:
        snapshot, order = self._world.snapshot(job), job.order
        return {
            "id": job.id,
            "dialect": job.dialect,
            "created_at": job.created_at,
            "finished_at": snapshot.finished_at,
            "expires_at": job.expires_at,
            "prompt": order.prompt,
            "model": order.model,
            "size": f"{order.width}x{order.height}",
            "seconds": order.seconds,
            "variants": order.variants,
            "status": snapshot.phase.value,
            "failure": snapshot.failure,
            "generations": [output.id for output in job.outputs],
            "deleted": job.deleted_at is not None,
            "expired": self._world.expired(job),
        }

    def _active_faults(self) -> Answer:
        return json_answer({"faults": [fault.as_dict() for fault in self._faults.active()]})

    def _add_faults(self, content: dict[str, object]) -> Answer:
        several = content["faults"] if set(content) == {"faults"} else [content]
        if not isinstance(several, list):
            raise InvalidFaultError("faults is a list of faults.")
        self._faults.add([Fault.read(given) for given in several])
        return self._active_faults()

    def _time(self) -> Answer:
        return json_answer({"now": self._world.clock.now(), "speed": self._world.settings.speed})

    def _advance(self, content: dict[str, object]) -> Answer:
        seconds = content.get("advance")
        if set(content) != {"advance"} or not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
            raise ValueError('The clock takes {"advance": seconds}.')
        self._world.clock.advance(seconds)
        return self._time()


def _content(request: Request) -> dict[str, object]:
    content = json.loads(request.get_data() or b"{}")
    if not isinstance(content, dict):
        raise ValueError("The body must be a JSON object.")  # noqa: TRY004
    return content
