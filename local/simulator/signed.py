"""Signed links: downloads from another origin, which check only the link and no key."""

import secrets
import threading
from collections.abc import Callable, Sequence

from werkzeug.wrappers import Request

from .answers import Answer, Route, json_answer

_PATH = "signed-content"


class SignedLinks:
    """Issues links and answers them. Thread-safe.

    `origin` is set by the server when it knows its port: an address that differs from the API's, as a client
    must send no credentials there.
    """

    name = "signed"

    def __init__(self) -> None:
        self.origin = ""
        self._lock = threading.Lock()
        self._downloads: dict[str, Callable[[Request], Answer]] = {}

    def issue(self, download: Callable[[Request], Answer]) -> str:
        """A URL under which `download` answers from now on."""
        signature = secrets.token_urlsafe(24)
        with self._lock:
            self._downloads[signature] = download
        return f"{self.origin}/{_PATH}/video.mp4?sig={signature}"

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The route of a signed link, or None."""
        return Route("signed") if method in ("GET", "HEAD") and segments[0] == _PATH else None

    def answer(self, route: Route, request: Request) -> Answer:
        """The file behind the link. Credentials beside the signature are an error, as in blob storage."""
        if "authorization" in request.headers or "api-key" in request.headers:
            return json_answer(
                {
                    "error": {
                        "code": "InvalidQueryParameterValue",
                        "message": "Only one auth mechanism allowed",
                    }
                },
                400,
            )
        with self._lock:
            download = self._downloads.get(request.args.get("sig", ""))
        if download is None:
            return json_answer(
                {"error": {"code": "AuthenticationFailed", "message": "Signature did not match"}}, 403
            )
        return download(request)
