"""Ends the host as the real one ends: when storage refuses connections for longer than 22 s."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

LONGEST_REFUSED = 22.0  # seconds
_CHECK_EVERY = 1.0
_CONNECT_SECONDS = 5.0


def watch_storage(endpoint: str, on_refused: Callable[[], None], longest: float = LONGEST_REFUSED) -> None:
    """Start watching, in a separate thread. A connection that hangs does not count as refused."""

    def watch() -> None:
        since: float | None = None
        while since is None or time.monotonic() - since <= longest:
            time.sleep(_CHECK_EVERY)
            if not _is_refused(endpoint):
                since = None
            elif since is None:
                since = time.monotonic()
        on_refused()

    threading.Thread(target=watch, name="storage-watch", daemon=True).start()


def _is_refused(endpoint: str) -> bool:
    address = urlsplit(endpoint)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), _CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
