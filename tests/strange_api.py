"""A video API that answers whatever a test wants, over a socket, and the app before it on a clock that the test moves.

For answers that real servers and gateways give and the simulator does not.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.pipeline import MemoryApp
from tests.receiver import SECRET
from video_jobs.domain.job import Job
from video_jobs.settings.app import Settings

KEY = "the-key-of-the-strange-api-0123456789"
START = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str  #: with its query
    headers: Mapping[str, str]  #: names in lower case
    body: bytes
    connection: int  #: the client's port

    @property
    def bare(self) -> str:
        return self.path.partition("?")[0]

    @property
    def operation(self) -> str:
        """create, list, get, delete, content, thumbnail, generation; or "" for anything else. In both dialects."""
        match self.method, self.bare.strip("/").split("/"):
            case "POST", [*_, "videos"] | [*_, "generations", "jobs"]:
                return "create"
            case "GET", [*_, "videos"] | [*_, "generations", "jobs"]:
                return "list"
            case "GET", [*_, "videos", _] | [*_, "jobs", _]:
                return "get"
            case "DELETE", [*_, "videos", _] | [*_, "jobs", _]:
                return "delete"
            case "GET", [*_, "videos", _, "content"]:
                return "thumbnail" if "variant=thumbnail" in self.path else "content"
            case "GET", [*_, "generations", _, "content", "video"]:
                return "content"
            case "GET", [*_, "generations", _, "content", "thumbnail"]:
                return "thumbnail"
            case "GET", [*_, "generations", _]:
                return "generation"
        return ""


@dataclass(frozen=True)
class Reply:
    """What is answered. `body`: bytes, or anything that becomes JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    length: int | None = None  #: announced, where it is not the body's; -1: none
    date: datetime | None = None  #: of the server's clock, where it is not the app's
    cut: bool = False  #: the connection ends before the answer does

    @property
    def bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = START

    def __call__(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=max(seconds, 0.0))


class _QuietServer(ThreadingHTTPServer):
    """Closes the connections that clients kept open when it is closed."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._open):
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is none."""


class StrangeApi:
    """Answers on 127.0.0.1 what `answer` says, until it is closed."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.answer: Callable[[Asked], Reply] = lambda asked: Reply(404)
        self.seen: list[Asked] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _reply(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(
                    self.command, self.path, headers, self.rfile.read(length), self.client_address[1]
                )
                api.seen.append(asked)
                reply = api.answer(asked)
                self.send_response_only(reply.status)
                shown = {"Content-Type": reply.content_type, **reply.headers}
                if "Date" not in shown:
                    shown["Date"] = format_datetime(reply.date or api.clock(), usegmt=True)
                for name, value in shown.items():
                    self.send_header(name, value)
                body = reply.bytes
                length = len(body) if reply.length is None else reply.length
                if length >= 0 and reply.status != 204:
                    self.send_header("Content-Length", str(length))
                if length < 0 or length != len(body) or reply.cut:
                    self.close_connection = True
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if reply.cut else body)

            do_GET = do_POST = do_DELETE = do_PUT = _reply  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def asked(self, operation: str) -> list[Asked]:
        return [asked for asked in self.seen if asked.operation == operation]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


_BASES = {"openai-videos": "/v1", "azure-sora": "/openai/v1/video/generations"}


class StrangeLine(MemoryApp):
    """The app before a strange API, in the videos protocol unless another dialect is named."""

    def __init__(self, api: StrangeApi, environment: Mapping[str, str] | None = None, **backend: Any) -> None:
        self.api = api
        dialect = backend.get("dialect", "openai-videos")
        any_size = {"sizes": "any", "seconds": "any"} if dialect == "openai-videos" else {}
        entry = {
            "name": "strange",
            "dialect": dialect,
            "base_url": api.url + _BASES.get(dialect, "/v1"),
            "model": "m",
            "api_key_setting": "STRANGE_KEY",
            **any_size,
            **backend,
        }
        settings = Settings.from_environment(
            {
                "AzureWebJobsStorage": "UseDevelopmentStorage=true",
                "VIDEO_BACKENDS": json.dumps([entry]),
                "STRANGE_KEY": KEY,
                "WEBHOOK_SECRETS": SECRET,
                **(environment or {}),
            }
        )
        super().__init__(settings, api.clock)

    def advance(self, seconds: float) -> None:
        self.api.clock.advance(seconds)

    def submit(self, **changes: Any) -> Job:
        return self.send({"prompt": "a paper boat", "size": "64x48", "seconds": 4, **changes})

    def run_for(self, job: Job, hours: float, most: int = 3000) -> Job:
        """Deliver messages until the job has ended, or so much of its time is over."""
        until = self.now() + timedelta(hours=hours)
        for _ in range(most):
            seen = self.job(job)
            first = min((queued.visible_at for queued in self.messages.queued), default=until)
            if seen.is_terminal or first >= until:
                self.advance(0 if seen.is_terminal else (until - self.now()).total_seconds())
                return seen
            self.deliver(self.take_next())
        raise AssertionError(f"{most} messages within {hours} hours: {self.job(job)}")


def box(kind: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def small_mp4(mark: bytes = b"frames") -> bytes:
    """The least that is a whole MP4: 64 by 48 pixels, four seconds, and `mark` where the frames would be."""
    movie = box(b"mvhd", bytes(12) + (1000).to_bytes(4, "big") + (4000).to_bytes(4, "big") + bytes(80))
    picture = bytes(76) + (64 << 16).to_bytes(4, "big") + (48 << 16).to_bytes(4, "big")
    moov = box(b"moov", movie + box(b"trak", box(b"tkhd", picture)))
    return box(b"ftyp", b"isom\0\0\2\0isomiso2mp41") + moov + box(b"mdat", bytes(range(256)) + mark)
