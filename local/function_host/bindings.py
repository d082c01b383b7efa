"""Reads an app into a table of triggers: what starts which function."""

import inspect
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from local.function_host.errors import AppError


@dataclass(frozen=True)
class Handler:
    """A function of the app, and how its arguments are called."""

    function: Callable[..., Any]
    trigger_argument: str
    wants_context: bool


@dataclass(frozen=True)
class HttpTrigger:
    """Methods are upper case; None means that any method is answered, as in Azure."""

    function: str
    route: str
    methods: tuple[str, ...] | None
    auth_level: str


@dataclass(frozen=True)
class QueueTrigger:
    """connection names the setting that holds the connection string."""

    function: str
    queue_name: str
    connection: str


@dataclass(frozen=True)
class TimerTrigger:
    """schedule is an NCRONTAB expression: six fields, seconds first. With use_monitor each run is noted in storage, and a
    missed run is made later."""

    function: str
    schedule: str
    run_on_startup: bool
    use_monitor: bool = True


@dataclass(frozen=True)
class Triggers:
    """All functions of an app, sorted by their triggers."""

    http: tuple[HttpTrigger, ...] = ()
    queues: tuple[QueueTrigger, ...] = ()
    timers: tuple[TimerTrigger, ...] = ()


def read_app(app: func.FunctionApp) -> tuple[Triggers, dict[str, Handler]]:
    """Build the app's functions and read their bindings. The functions stand under their names.

    Raises AppError for a binding, or an argument, that this host does not know.
    """
    http: list[HttpTrigger] = []
    queues: list[QueueTrigger] = []
    timers: list[TimerTrigger] = []
    handlers: dict[str, Handler] = {}
    for built in app.get_functions():
        name = str(built.get_function_name())
        bindings = json.loads(built.get_function_json())["bindings"]
        binding = _only_trigger(name, bindings)
        handlers[name] = _handler(name, built.get_user_function(), binding["name"])
        match binding["type"]:
            case "httpTrigger":
                http.append(_http(name, binding))
            case "queueTrigger":
                queue = resolve(binding["queueName"], name)
                queues.append(QueueTrigger(name, queue, binding["connection"]))
            case "timerTrigger":
                schedule = resolve(binding["schedule"], name)
                on_startup, monitor = bool(binding.get("runOnStartup")), bool(binding.get("useMonitor", True))
                timers.append(TimerTrigger(name, schedule, on_startup, monitor))
    return Triggers(tuple(http), tuple(queues), tuple(timers)), handlers


def resolve(value: str, function_name: str) -> str:
    """Replace each %NAME% by the setting of that name. Raises AppError when there is none."""

    def setting(match: re.Match[str]) -> str:
        try:
            return os.environ[match[1]]
        except KeyError:
            raise AppError(
                f"Function {function_name}: the setting {match[1]}, which its trigger names, is not set."
            ) from None

    return re.sub(r"%([^%]+)%", setting, value)


def _only_trigger(name: str, bindings: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    known = ("httpTrigger", "queueTrigger", "timerTrigger")
    for binding in bindings:
        returns_http = binding["type"] == "http" and binding["name"] == "$return"
        if binding["type"] not in known and not returns_http:
            raise AppError(
                f"Function {name} has a binding of type {binding['type']} ({binding['name']}). "
                f"This host knows {', '.join(known)} and the HTTP answer; for others use func start."
            )
    return next(binding for binding in bindings if binding["type"] in known)


def _handler(name: str, function: Callable[..., Any], argument: str) -> Handler:
    parameters = inspect.signature(function).parameters.values()
    required = {each.name for each in parameters if each.default is each.empty and each.kind not in _VARIADIC}
    if argument not in {each.name for each in parameters}:
        raise AppError(f"Function {name} has no argument {argument}, which its trigger is bound to.")
    if unbound := required - {argument, "context"}:
        raise AppError(f"Function {name}: nothing is bound to its argument {', '.join(sorted(unbound))}.")
    return Handler(function, argument, wants_context="context" in required and argument != "context")


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _http(function: str, binding: Mapping[str, Any]) -> HttpTrigger:
    methods = binding.get("methods")
    return HttpTrigger(
        function,
        route=binding.get("route") or function,
        methods=tuple(method.upper() for method in methods) if methods else None,
        auth_level=str(binding.get("authLevel", "function")).lower(),
    )
