"""The storage calls that code of the app makes in this process, as the SDKs send them: pages and retries too."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.pipeline.transport import RequestsTransport


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """What is called while the block runs, on any thread, like `GET videogates` or `POST video-poll/messages`."""
    calls: list[str] = []
    lock = threading.Lock()
    real = RequestsTransport.send

    def send(self: RequestsTransport, request: Any, **options: Any) -> Any:
        path = unquote(urlsplit(request.url).path).strip("/").partition("/")[2]  # without the account's name
        with lock:
            calls.append(f"{request.method} {path.partition('(')[0]}")
        return real(self, request, **options)

    RequestsTransport.send = send  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        RequestsTransport.send = real  # type: ignore[method-assign]
