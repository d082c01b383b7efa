"""The calls that reach the storage, counted where the SDKs send them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from azure.core.pipeline.transport import RequestsTransport


@contextlib.contextmanager
def storage_calls() -> Iterator[list[str]]:
    """Method and path of each, in order, retries included."""
    calls: list[str] = []
    send = RequestsTransport.send

    def counted(self: RequestsTransport, request: Any, **kwargs: Any) -> Any:
        calls.append(f"{request.method} {urlsplit(request.url).path.partition('/')[2].partition('/')[2]}")
        return send(self, request, **kwargs)

    with patch.object(RequestsTransport, "send", counted):
        yield calls
