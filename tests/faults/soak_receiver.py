"""A receiver of the app's webhooks, over a real socket: verifies what it is told, remembers it, and sometimes fails."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

from local.azurite_process import HOST

_FAILS_EVERY = 4  # of the events, once: these are told by a second message, and a third would be minutes off


class SoakReceiver:
    """`told` has, by job, the id and the type of each event that was taken; `refused` what was none of the app's."""

    def __init__(self, secret: str) -> None:
        self.told: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.refused: list[str] = []
        self._webhook = Webhook(secret)
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.take(dict(self.headers.items()), body))
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer((HOST, 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}/hooks"

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer."""
        with self._lock:
            event_id = headers.get("webhook-id", "")
            if event_id not in self._seen:
                self._seen.add(event_id)
                if len(self._seen) % _FAILS_EVERY == 0:
                    return 503
            try:
                self._webhook.verify(body, {name.lower(): value for name, value in headers.items()})
                event = json.loads(body)
                self.told[event["data"]["id"]].append((event_id, event["type"]))
            except (WebhookVerificationError, KeyError, ValueError) as error:
                self.refused.append(f"{type(error).__name__}: {error}")
                return 400
            return 204
