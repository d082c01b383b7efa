"""The simulator on its sockets: finds the operation, applies a fault, writes answer and ledger."""

import logging
import secrets
import socket
import threading
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import unquote

from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import WSGIRequestHandler
from werkzeug.wrappers import Request

from . import control, errors
from .answers import Answer, Route, json_answer
from .catalogue import Catalogue
from .control import Control
from .delivery import deliver
from .faults import Fault, Faults
from .openrouter import OpenRouter
from .provider import Provider
from .providers import PROVIDERS
from .runway import Runway
from .settings import Settings
from .signed import SignedLinks
from .sora_jobs import SoraJobs
from .videos import Videos
from .world import World

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"


class Service(Protocol):
    """One family of paths."""

    name: str

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None when it is not this service's."""

    def answer(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""


class Simulator:
    """Both services and their control endpoints, on 127.0.0.1. Start it by hand or with `with`.

    api_key: str, the only key that is accepted
    speed: float, simulated seconds in a real one
    port: int, 0 for a free one
    settings: first values of any other setting (`settings.Settings`). Raises UnknownSettingError.
    """

    def __init__(
        self, api_key: str = "sim-key", speed: float = 1.0, port: int = 0, **settings: object
    ) -> None:
        self._api_key = api_key
        self._port = port
        self.world = World(Settings().evolve({"speed": speed, **settings}))
        self.faults = Faults()
        self._links = SignedLinks()
        self._videos = Videos(self.world, self._links)
        self._services: tuple[Service, ...] = (
            # Before the OpenAI protocol, which accepts any id: xAI's polls have the same path.
            *(provider(self.world, self._links) for provider in PROVIDERS),
            SoraJobs(self.world),
            self._videos,
            OpenRouter(self.world, self._links),
            Runway(self.world, self._links),
            Catalogue(self.world),
        )
        self._control = Control(self.world, self.faults)
        self._servers: list[_Server] = []
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end. Raises RuntimeError before the start."""
        if not self._servers:
            raise RuntimeError("The simulator is not running.")
        return self._servers[0].origin

    @property
    def signed_origin(self) -> str:
        """The other origin, where signed links lead. Empty before the start."""
        return self._links.origin

    def start(self) -> Self:
        """Listen. Raises OSError when the port is taken."""
        self.stopping.clear()
        # Signed links point to the second server: another port is another origin.
        self._servers = [_Server(self, self._port), _Server(self, 0)]
        self._links.origin = self._servers[1].origin
        # After a restart it has the same address.
        self._port = self._servers[0].server_address[1]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), name="simulator", daemon=True).start()
        return self

    def stop(self) -> None:
        """Close all connections, also those that a client keeps for later. Jobs stay, and it can be started again."""
        self.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
            server.hang_up()
        self._servers = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.world.close()

    def serve(self, request: Request, raw_path: str, handler: "_Handler") -> None:
        """Answer one request. `raw_path` is as it came over the wire: an id may hold an encoded slash."""
        segments = [unquote(segment) for segment in raw_path.partition("?")[0].strip("/").split("/")]
        if segments[0] == control.PREFIX:
            deliver(self._control.answer(request.method, segments, request), handler, None, self.stopping)
            return
        at = self.world.clock.now()
        service, route = self._find(request, segments)
        fault = self.faults.take(route.operation)
        answer = self._suffer(service, route, request, segments, fault)
        job_id = (answer.job_id if answer else None) or self.world.owner_of(route.target or "")
        silent = answer is None or (fault is not None and fault.lost_answer)
        # Written before the answer is sent: a client that has the answer finds the call in the ledger.
        self.world.ledger.add(
            at=at,
            dialect=service.name if service else None,
            operation=route.operation,
            method=request.method,
            path=raw_path.partition("?")[0],
            status=None if silent or answer is None else answer.status,
            job_id=job_id,
            fault=fault is not None,
        )
        if silent or answer is None:
            handler.close_connection = True
            return
        deliver(answer, handler, fault, self.stopping)

    def _find(self, request: Request, segments: list[str]) -> tuple[Service | None, Route]:
        for service in (*self._services, self._links):
            route = service.find(request.method, segments)
            if route is not None:
                return service, self._videos.refine(route, request) if service is self._videos else route
        return None, Route("unknown")

    def _suffer(
        self,
        service: Service | None,
        route: Route,
        request: Request,
        segments: list[str],
        fault: Fault | None,
    ) -> Answer | None:
        """The answer with the fault applied; None if the operation never happens."""
        if fault is None:
            return self._carry_out(service, route, request, segments)
        if fault.delay is not None:
            resets = self.world.resets
            self.stopping.wait(fault.delay)
            if self.world.resets != resets:
                raise ConnectionAbortedError("everything began anew meanwhile")
        if fault.drop:
            return None
        replacement = fault.replacement()
        if replacement is not None and not fault.carried_out:
            return replacement
        answer = self._carry_out(service, route, request, segments)
        if replacement is None:
            return answer
        return Answer(replacement.status, replacement.body, replacement.headers, answer.job_id)

    def _carry_out(
        self, service: Service | None, route: Route, request: Request, segments: list[str]
    ) -> Answer:
        if service is not self._links and not self._knows(request):
            if isinstance(service, OpenRouter | Runway | Provider):
                return service.wrong_key()
            return errors.gateway(401, errors.WRONG_KEY)
        if service is not None:
            return service.answer(route, request)
        if segments[0] == "v1":
            return errors.wrapped(
                errors.ApiError(404, f"Invalid URL ({request.method} {request.path})"), self.world.settings
            )
        return errors.not_found()

    def _knows(self, request: Request) -> bool:
        given = [request.headers.get(name, "") for name in ("api-key", "x-goog-api-key")]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() in ("bearer", "key"):
            given.append(token.strip())
        return any(secrets.compare_digest(key.encode(), self._api_key.encode()) for key in given)


class _Server(ThreadingHTTPServer):
    """Threads for connections, all of which it can close."""

    daemon_threads = True
    request_queue_size = 128

    # Attributes that werkzeug's handler reads from its server.
    ssl_context = None
    multithread = True
    multiprocess = False

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((HOST, port), _Handler)
        self.origin = f"http://{HOST}:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close every connection, in use or not."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                logger.debug("A connection was gone before it was closed.")


class _Handler(WSGIRequestHandler):
    """Reads requests with werkzeug's parser, but answers on the socket itself. Otherwise an answer could not be wrong in
    the ways that `faults` knows, and a connection could not stay open for the next request."""

    server: _Server  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = Request(self.make_environ())
        try:
            # Always read to its end: unread bytes would be taken for the next request.
            request.get_data()
            self.server.simulator.serve(request, self.path, self)
        except (OSError, ClientDisconnected):
            # The client has gone, which is no error.
            self.close_connection = True
        except Exception:
            logger.exception("The simulator failed at %s %s.", self.command, self.path.partition("?")[0])
            self.close_connection = True
            deliver(
                json_answer({"error": "The simulator itself failed; its log says why."}, 500),
                self,
                None,
                threading.Event(),
            )

    def date_time_string(self, timestamp: float | None = None) -> str:
        """For the header `Date`: the simulated time, like all other times in answers."""
        return super().date_time_string(
            self.server.simulator.world.clock.now() if timestamp is None else timestamp
        )

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Logs nothing, since the ledger has every call."""
