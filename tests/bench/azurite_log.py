"""Azurite's debug log, read as a list of the requests that it served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LINE = re.compile(r"\S+Z (?P<id>[0-9a-f-]{36}) \w+: (?P<text>.*)")
_REQUEST = re.compile(r"\w+ContextMiddleware: RequestMethod=(?P<method>\w+) RequestURL=(?P<url>\S+)")
_OPERATION = re.compile(r"DispatchMiddleware: Operation=(?P<name>\w+)")
_MESSAGE_ID = re.compile(r"<MessageId>([^<]+)</MessageId>")


@dataclass(slots=True)
class Request:
    method: str
    path: str  #: without the account's name
    operation: str = ""  #: Azurite's own word for it, like Messages_Dequeue
    message_ids: list[str] = field(default_factory=list)  #: of the queue messages in its answer
    answered: bool = False

    @property
    def queue(self) -> str:
        return self.path.partition("/")[0] if self.operation.startswith("Message") else ""


def read_requests(log: Path) -> list[Request]:
    """In the order in which they came; those that are not answered yet are left out."""
    return [request for request in _requests(log) if request.answered]


def _requests(log: Path) -> Iterator[Request]:
    found: dict[str, Request] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        text = match["text"]
        if begun := _REQUEST.match(text):
            path = unquote(urlsplit(begun["url"]).path).strip("/").partition("/")[2]
            found[match["id"]] = Request(begun["method"], path)
            continue
        request = found.get(match["id"])
        if request is None:
            continue
        if named := _OPERATION.match(text):
            request.operation = named["name"]
        elif text.startswith("Serializer: Raw response body"):
            request.message_ids = _MESSAGE_ID.findall(text)
        elif text.startswith("EndMiddleware: End response"):
            request.answered = True
    return iter(found.values())
