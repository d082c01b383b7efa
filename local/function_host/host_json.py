"""host.json: the settings that this host knows, with the real host's defaults.

It ignores settings that it does not know, since most of them have a meaning only in Azure.
https://learn.microsoft.com/azure/azure-functions/functions-host-json
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, cast

from local.function_host.errors import HostJsonError
from local.function_host.log_filter import LogFilter

MAX_BATCH = 32  # Queue Storage hands out no more at once.

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?")


@dataclass(frozen=True)
class QueueOptions:
    """extensions.queues. They hold for each queue function separately. Times are seconds."""

    batch_size: int = 16
    new_batch_threshold: int | None = None
    max_dequeue_count: int = 5
    max_polling_interval: float = 60.0
    visibility_timeout: float = 0.0
    message_encoding: Literal["base64", "none"] = "base64"

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= MAX_BATCH:
            raise HostJsonError(f"extensions.queues.batchSize must lie between 1 and {MAX_BATCH}")
        if self.new_batch_threshold is not None and self.new_batch_threshold < 0:
            raise HostJsonError("extensions.queues.newBatchThreshold must not be negative")
        if self.max_dequeue_count < 1:
            raise HostJsonError("extensions.queues.maxDequeueCount must be at least 1")
        if self.max_polling_interval < 0.1:
            raise HostJsonError("extensions.queues.maxPollingInterval must be at least 00:00:00.1")
        if self.message_encoding not in ("base64", "none"):
            raise HostJsonError("extensions.queues.messageEncoding must be base64 or none")

    @property
    def threshold(self) -> int:
        """A new batch is fetched once no more than this many messages are being processed."""
        return self.batch_size // 2 if self.new_batch_threshold is None else self.new_batch_threshold


@dataclass(frozen=True)
class HostJson:
    """The whole file. function_timeout is in seconds; None means without limit."""

    route_prefix: str = "api"
    queues: QueueOptions = field(default_factory=QueueOptions)
    function_timeout: float | None = 300.0
    most_outstanding: int | None = None  #: HTTP requests that are being answered or wait; more get 429
    most_concurrent: int | None = None
    logs: LogFilter = field(default_factory=LogFilter)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file; one that does not exist means defaults. Raises HostJsonError."""
        if not path.is_file():
            return cls()
        try:
            document = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise HostJsonError(f"{path} is not valid JSON: {error}") from error
        return cls.parse(document)

    @classmethod
    def parse(cls, document: Any) -> Self:
        """Take the known settings out of the parsed file. Raises HostJsonError."""
        queues, http = _Section(document, "extensions.queues"), _Section(document, "extensions.http")
        return cls(
            route_prefix=http.string("routePrefix", "api").strip("/"),
            queues=QueueOptions(
                batch_size=queues.integer("batchSize", 16),
                new_batch_threshold=queues.optional_integer("newBatchThreshold"),
                max_dequeue_count=queues.integer("maxDequeueCount", 5),
                max_polling_interval=queues.seconds("maxPollingInterval", 60.0),
                visibility_timeout=queues.seconds("visibilityTimeout", 0.0),
                message_encoding=cast(
                    Literal["base64", "none"], queues.string("messageEncoding", "base64").lower()
                ),
            ),
            function_timeout=_Section(document).timeout("functionTimeout", 300.0),
            most_outstanding=http.limit("maxOutstandingRequests"),
            most_concurrent=http.limit("maxConcurrentRequests"),
            logs=LogFilter.parse(_Section(document, "logging").values),
        )


class _Section:
    """One object of the file, with its dotted path. It checks each value when it is read."""

    def __init__(self, document: Any, path: str = "") -> None:
        self._path = path
        for name in filter(None, path.split(".")):
            document = document.get(name, {}) if isinstance(document, dict) else document
        if not isinstance(document, dict):
            raise HostJsonError(f"host.json: {path or 'the file'} must be an object")
        self.values: dict[str, Any] = document

    def string(self, name: str, default: str) -> str:
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def integer(self, name: str, default: int) -> int:
        value = self.optional_integer(name)
        return default if value is None else value

    def optional_integer(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self._wrong(name, "a whole number")
        return value

    def seconds(self, name: str, default: float) -> float:
        if name not in self.values:
            return default
        match = _TIME_SPAN.fullmatch(self.string(name, ""))
        if match is None:
            raise self._wrong(name, 'a time such as "00:00:30" (hours:minutes:seconds)')
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    def timeout(self, name: str, default: float) -> float | None:
        if self.values.get(name) in ("-1", -1):
            return None
        seconds = self.seconds(name, default)
        if seconds <= 0:
            raise self._wrong(name, 'longer than nothing; "-1" means without limit')
        return seconds

    def limit(self, name: str) -> int | None:
        """-1, and nothing, mean without limit."""
        value = self.optional_integer(name)
        return None if value is None or value < 0 else value

    def _wrong(self, name: str, expected: str) -> HostJsonError:
        where = f"{self._path}.{name}" if self._path else name
        return HostJsonError(f"host.json: {where} must be {expected}, not {self.values.get(name)!r}")
