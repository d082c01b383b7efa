"""Which log lines the real host sends, by `logging` in host.json. It follows measurements, which differ from what one
would expect.

Categories: `Function.NAME.User` is what the app logs while the function runs, `Function.NAME` and `Host.Results` what
the host says of it, `Azure.Core` each request of the storage SDK inside the host.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.function_host.errors import HostJsonError

LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
_ITS_OWN = ("Function", "Host", "Worker", "Microsoft.Azure.WebJobs.Script")
_NOTHING = logging.CRITICAL + 10


@dataclass(frozen=True)
class LogFilter:
    """`levels`: `logging.logLevel`. `sampled`: the kinds of telemetry that are sampled at 20 items a second."""

    levels: Mapping[str, int] = field(default_factory=dict)
    sampled: frozenset[str] = frozenset({"Trace", "Request", "Exception", "Dependency", "Event"})

    def level(self, category: str) -> int:
        """The level from which lines of the category are sent: that of the longest name with which the category begins.

        Without a `default`, only the host's own categories are; a default lets in all of them, the storage SDK's too.
        A name with `*` in it matches no category.
        """
        names = [name for name in self.levels if name != "default" and f"{category}.".startswith(f"{name}.")]
        if names:
            return self.levels[max(names, key=len)]
        if "default" in self.levels:
            return self.levels["default"]
        is_own = any(f"{category}.".startswith(f"{name}.") for name in _ITS_OWN)
        return logging.INFO if is_own else _NOTHING

    def sends(self, category: str, level: int) -> bool:
        return level >= self.level(category)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> LogFilter:
        """Out of `logging` in host.json. Raises HostJsonError."""
        levels: dict[str, int] = {}
        for name, word in document.get("logLevel", {}).items():
            level = LEVELS.get(word.lower()) if isinstance(word, str) else None
            if level is None:
                known = ", ".join(known.capitalize() for known in LEVELS)
                raise HostJsonError(
                    f"host.json: logging.logLevel.{name} must be one of {known}, not {word!r}"
                )
            levels[name] = level
        sampling = document.get("applicationInsights", {}).get("samplingSettings", {})
        if not sampling.get("isEnabled", True):
            return cls(levels, frozenset())
        excluded = {kind.strip() for kind in sampling.get("excludedTypes", "").split(";")}
        return cls(levels, cls().sampled - excluded)
