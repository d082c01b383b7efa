"""The HTTP client that every dialect uses: one error vocabulary, timeouts on everything, no hidden retries."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError, NewConnectionError

from video_jobs.backends.answers import BackendMessage, error_message, request_id, text, wait_hint
from video_jobs.deadline import Deadline, DeadlineAdapter
from video_jobs.errors import (
    BackendError,
    Busy,
    Gone,
    NotAVideo,
    NotFound,
    NotSent,
    Rejected,
    Unauthorised,
    Unavailable,
    UnknownOutcome,
)

_CONNECT_TIMEOUT = 10.0  # seconds
_READ_TIMEOUT = 60.0  # seconds of silence
_CALL_DEADLINE = 60.0  # seconds for a whole call that is no download
_LARGEST_ANSWER = 8 << 20  # bytes of JSON; nothing that we ask for comes near
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_SECRET_HEADERS = ("api-key", "authorization")
_POOL_SIZE = 32  # as many as there are worker threads

_REFUSALS: dict[int, type[BackendError]] = {
    400: Rejected,
    401: Unauthorised,
    403: Unauthorised,
    404: NotFound,
    410: Gone,
    413: Rejected,
    415: Rejected,
    422: Rejected,
    429: Busy,
}

_CAN_NOT_BE_DONE = dict.fromkeys((405, 409, 501), Rejected)
"""What these say to a delete. Of a create they would prove nothing."""


@dataclass(frozen=True)
class Answer:
    """A success with a JSON object in it."""

    body: dict[str, Any]
    headers: CaseInsensitiveDict[str]


class HttpContent:
    """A body on its way; see `ports.ContentStream`."""

    def __init__(self, response: requests.Response, deadline: Deadline) -> None:
        self._response = response
        self._deadline = deadline
        self._announced = response.headers.get("content-length", "")

    @property
    def content_type(self) -> str:
        return self._response.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def length(self) -> int | None:
        # With an encoding, the announced length is not that of the bytes that we get to see.
        encoded = "content-encoding" in self._response.headers
        return int(self._announced) if self._announced.isdecimal() and not encoded else None

    @property
    def has_marked_end(self) -> bool:
        return self._announced.isdecimal() or "transfer-encoding" in self._response.headers

    def chunks(self, size: int) -> Iterator[bytes]:
        with _translated(self._deadline):
            while chunk := self._response.raw.read(size, decode_content=True):
                yield chunk
            # A socket that the deadline has shut down looks like the end of a body without a length.
            if self._deadline.expired:
                raise Unavailable("The download took longer than it may.")


class BackendHttp:
    """Calls below one base URL, signed by `sign`.

    Args:
        base_url: everything before the path; the paths given to the methods begin with `/`.
        sign: gives the headers that authenticate, new for each call, since tokens end.
        params: query parameters that every call bears.
    """

    def __init__(
        self, base_url: str, sign: Callable[[], Mapping[str, str]], params: Mapping[str, str]
    ) -> None:
        self._base_url = base_url
        self._sign = sign
        self._params = dict(params)
        self._session = _session(_POOL_SIZE)

    def get(self, path: str, **params: str) -> Answer:
        deadline = Deadline(_CALL_DEADLINE)
        with deadline.watching(), contextlib.closing(self._send(path, params, deadline)) as response:
            return _answer(response, deadline)

    def delete(self, path: str) -> dict[str, Any]:
        """What a success says: empty where that can't be read, since 204 says nothing and others what they like.

        Raises Rejected where this can't be deleted, or nothing can.
        """
        deadline = Deadline(_CALL_DEADLINE)
        with deadline.watching(), _translated(deadline):
            response = self._session.delete(
                self._base_url + path,
                params=self._params,
                headers=self._headers(),
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )
            with contextlib.closing(response):
                if not 200 <= response.status_code < 300:
                    raise _refusal(response, _CAN_NOT_BE_DONE)
                return _object(_beginning(response)) or {}

    @contextlib.contextmanager
    def open(self, path: str, deadline: float, **params: str) -> Iterator[HttpContent]:
        """A body to stream. `path` may be a full URL, as some gateways name one."""
        watch = Deadline(deadline)
        with watch.watching(), contextlib.closing(self._send(path, params, watch)) as response:
            if response.status_code == 206:
                raise Unavailable("The video API sends a part where the whole was asked for.", status=206)
            try:
                yield HttpContent(response, watch)
            except NotAVideo as error:
                # It quotes the body, which may repeat our key like that of any error.
                raise NotAVideo(_without_key(response, str(error).encode()).decode()) from None

    def post_once(self, path: str, deadline: float, **content: Any) -> Answer:
        """The paid call: its own connection, no redirect, no retry, a deadline for the whole.

        Raises NotSent, or one of the refusals, only where that proves that nothing was created, and
        UnknownOutcome for everything else that is no readable success.
        """
        watch = Deadline(deadline)
        headers = self._headers()
        status: int | None = None
        with _session(pool_size=1) as session, watch.watching():
            try:
                response = session.post(
                    self._base_url + path,
                    params=self._params,
                    headers=headers,
                    timeout=(_CONNECT_TIMEOUT, deadline),
                    allow_redirects=False,
                    stream=True,
                    **content,
                )
                with contextlib.closing(response):
                    status = response.status_code
                    if status in _REFUSALS:
                        raise _refusal(response)
                    if 200 <= status < 300:
                        return _answer(response, watch)
                    message = error_message(_beginning(response))
            except _TROUBLE as error:
                if _was_never_sent(error, watch):
                    raise NotSent(f"The video API could not be reached: {_reason(error)}.") from None
                raise UnknownOutcome(_cut_off(watch)) from None
            except Unavailable as error:
                raise UnknownOutcome(
                    f"The video API answered {status}, but the answer can't be read: {error}", status=status
                ) from None
            raise UnknownOutcome(
                f"The video API answered {status}{message.in_words}, which does not say whether it made the job.",
                status=status,
                code=message.code,
                detail=message.text,
                request_id=request_id(response.headers),
            )

    def _headers(self) -> dict[str, str]:
        return {"Accept-Encoding": "identity", "User-Agent": "reelkeep", **self._sign()}

    def _send(self, path: str, params: Mapping[str, str], deadline: Deadline) -> requests.Response:
        """GET, following redirects by hand, since our key goes to no other origin. A success, or an error."""
        own = path.startswith("/")
        url = self._base_url + path if own else path
        query = {**self._params, **params} if own else {}
        headers = self._headers()
        led_to: str | None = None
        for _ in range(_MOST_REDIRECTS + 1):
            with _translated(deadline, led_to):
                if _origin(url) != _origin(self._base_url):
                    headers = {name: v for name, v in headers.items() if name.lower() not in _SECRET_HEADERS}
                response = self._session.get(
                    url,
                    params=query,
                    headers=headers,
                    timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                    allow_redirects=False,
                    stream=True,
                )
                if 200 <= response.status_code < 300:
                    return response
                with contextlib.closing(response):
                    if response.status_code not in _REDIRECTS:
                        raise _refusal(response)
            url, query = _address(url, response.headers.get("location", "")), {}
            led_to = text(urlsplit(url).hostname)
        raise Unavailable(f"The video API redirects more than {_MOST_REDIRECTS} times.")


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, ever: we follow by hand, and requests would read the address, and the body, all the same."""


def _session(pool_size: int) -> requests.Session:
    session = _Session()
    adapter = DeadlineAdapter(pool_size)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    # A key from ~/.netrc must not take the place of ours.
    session.auth = _leave_alone
    return session


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _address(url: str, location: str) -> str:
    """Where a redirect leads. Raises Unavailable."""
    try:
        address = urljoin(url, location)
        if _origin(address)[0] in ("http", "https"):
            return address
    except ValueError:
        pass
    raise Unavailable("The video API redirects to something that is no web address.")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


# What the libraries raise for a connection, an address or an answer that is no good.
_TROUBLE = (requests.RequestException, HTTPError, OSError, ValueError, RecursionError)


@contextlib.contextmanager
def _translated(deadline: Deadline, led_to: str | None = None) -> Iterator[None]:
    """From the libraries' errors into ours. Their words are left out, of tracebacks too: they repeat URLs,
    query and all. `led_to` is the host to which a redirect has led.
    """
    try:
        yield
    except _TROUBLE as error:
        if _was_never_sent(error, deadline):
            raise NotSent(f"The video API could not be reached: {_reason(error)}.") from None
        if led_to is not None and not deadline.expired and _is_no_connection(error):
            raise Unavailable(
                f"The video API redirects to {led_to}, which could not be reached: {_reason(error)}."
            ) from None
        raise Unavailable(_cut_off(deadline)) from None


def _was_never_sent(error: BaseException, deadline: Deadline) -> bool:
    """Proof, not absence of evidence: the libraries say that no connection came about, and we saw none."""
    return _is_no_connection(error) and not deadline.connected


def _is_no_connection(error: BaseException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(
        error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError
    ) or isinstance(reason, NewConnectionError)


def _answer(response: requests.Response, deadline: Deadline) -> Answer:
    """Raises Unavailable when the body is cut, huge, or no JSON object."""
    with _translated(deadline):
        content = response.raw.read(_LARGEST_ANSWER + 1, decode_content=True)
    if deadline.expired:
        raise Unavailable(_cut_off(deadline))
    body = _object(content) if len(content) <= _LARGEST_ANSWER else None
    if body is None:
        raise Unavailable("its body is no JSON object", status=response.status_code)
    return Answer(body, response.headers)


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _beginning(response: requests.Response) -> bytes:
    """The first of a body, which may be anything, our own key included; empty if it can't be read."""
    try:
        body: bytes = response.raw.read(64 << 10, decode_content=True) or b""
    except (requests.RequestException, HTTPError, OSError):
        return b""
    return _without_key(response, body)


def _without_key(response: requests.Response, content: bytes) -> bytes:
    for name in _SECRET_HEADERS:
        secret = response.request.headers.get(name, "").removeprefix("Bearer ")
        if secret:
            content = content.replace(secret.encode(), b"[removed]")
    return content


def _refusal(
    response: requests.Response, besides: Mapping[int, type[BackendError]] = MappingProxyType({})
) -> BackendError:
    status = response.status_code
    message: BackendMessage = error_message(_beginning(response))
    kind = {**_REFUSALS, **besides}.get(status, Unavailable)
    if kind is Unavailable and message.code == "429":
        kind = Busy  # seen for real: a 429 inside a 502
    return kind(
        f"The video API answered {status}{message.in_words}.",
        status=status,
        code=message.code,
        detail=message.text,
        request_id=request_id(response.headers),
        retry_after=wait_hint(response.headers),
    )


def _reason(error: BaseException) -> str:
    """Why there was no connection, in words of ours."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate was not accepted"
    if "NameResolution" in repr(error):
        return "its host name can't be resolved"
    if "refused" in repr(error):
        return "it refused the connection"
    return "it did not answer in time" if isinstance(error, requests.Timeout) else "no connection came about"


def _cut_off(deadline: Deadline) -> str:
    return (
        "The video API took longer than it may."
        if deadline.expired
        else "The connection to the video API broke."
    )
