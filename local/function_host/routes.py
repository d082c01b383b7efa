"""Which function a path means, by the rules of ASP.NET Core routing, which the real host uses.

Literals win over parameters, constrained parameters over free ones, and everything over a catch-all;
case does not matter; values stay strings. ``%2F`` in a value stays encoded, everything else is decoded.
https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from local.function_host.bindings import HttpTrigger
from local.function_host.errors import AppError

# A constraint that is not listed lets every value pass.
CONSTRAINTS = {
    "int": r"[+-]?\d{1,10}",
    "long": r"[+-]?\d{1,19}",
    "guid": r"\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?",
    "alpha": r"[a-zA-Z]*",
    "bool": r"(?i:true|false)",
    "decimal": r"[+-]?\d+(?:\.\d+)?",
}

_PARAMETER = re.compile(r"\{(\*{0,2})(\w+)((?::[^}?=]+)*)(\?)?\}")


@dataclass(frozen=True)
class Segment:
    """One piece of a template between two slashes."""

    text: str
    parameter: bool = False
    constraint: str | None = None
    optional: bool = False
    catch_all: bool = False

    @property
    def rank(self) -> int:
        """Smaller is tried first."""
        if not self.parameter:
            return 0
        return (4 if self.catch_all else 2) - (self.constraint is not None)

    def accepts(self, value: str) -> bool:
        if not self.parameter:
            return value.lower() == self.text.lower()
        return bool(value) and (self.constraint is None or re.fullmatch(self.constraint, value) is not None)


@dataclass(frozen=True)
class Route:
    """A template, ready to be compared with paths."""

    trigger: HttpTrigger
    segments: tuple[Segment, ...]

    def match(self, path: list[str]) -> dict[str, str] | None:
        """The route values, or None when the path is another one."""
        values: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            if segment.catch_all:
                if path[position:] and not path[position]:
                    return None  # a leading slash
                if rest := "/".join(path[position:]):
                    values[segment.text] = rest
                return values
            if position == len(path):
                # Only the last segments can be optional, so nothing comes after it.
                return values if segment.optional else None
            if not segment.accepts(path[position]):
                return None
            if segment.parameter:
                values[segment.text] = path[position]
        return values if len(path) <= len(self.segments) else None


class RouteTable:
    """All HTTP functions of an app under one prefix."""

    def __init__(self, triggers: Iterable[HttpTrigger], prefix: str) -> None:
        routes = [Route(trigger, _parse(trigger, prefix)) for trigger in triggers]
        self._routes = sorted(routes, key=lambda route: [segment.rank for segment in route.segments])

    def find(self, method: str, path: str) -> tuple[HttpTrigger, dict[str, str]] | None:
        """The function for a request and its route values; path as it came over the wire.

        None for an unknown route, and for a method that the route does not list: the real host answers
        404 to both, and HEAD is not taken for GET.
        """
        segments = [_decode(segment) for segment in path.removeprefix("/").removesuffix("/").split("/")]
        if segments == [""]:
            segments = []
        for route in self._routes:
            methods = route.trigger.methods
            if methods is None or method in methods:
                values = route.match(segments)
                if values is not None:
                    return route.trigger, values
        return None


def _parse(trigger: HttpTrigger, prefix: str) -> tuple[Segment, ...]:
    template = f"{prefix}/{trigger.route.strip('/')}".strip("/")
    segments: list[Segment] = []
    for text in filter(None, template.split("/")):
        match = _PARAMETER.fullmatch(text)
        if match is None and "{" in text:
            raise AppError(
                f"Function {trigger.function}: {text} in its route is not understood. "
                "A segment is a literal or one {parameter}."
            )
        if segments and (segments[-1].catch_all or (segments[-1].optional and not (match and match[4]))):
            raise AppError(
                f"Function {trigger.function}: nothing can follow {segments[-1].text} in its route."
            )
        segments.append(_parameter(match) if match else Segment(text))
    return tuple(segments)


def _parameter(match: re.Match[str]) -> Segment:
    stars, name, constraints, optional = match.groups()
    known = [CONSTRAINTS[word] for word in constraints.split(":") if word in CONSTRAINTS]
    constraint = "".join(f"(?={pattern}\\Z)" for pattern in known) + ".*" if known else None
    return Segment(name, True, constraint, optional=bool(optional), catch_all=bool(stars))


def _decode(segment: str) -> str:
    return "%2F".join(unquote(part) for part in re.split("%2[Ff]", segment))
