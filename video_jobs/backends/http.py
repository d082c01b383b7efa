"""The HTTP client that every dialect uses: one error vocabulary, timeouts on everything, no hidden retries."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import HTTPError, NewConnectionError

from video_jobs.backends.answers import BackendMessage, ToldHeaders, error_message, message_in
from video_jobs.backends.content import HttpContent, is_whole
from video_jobs.backends.elsewhere import REDIRECTS, Elsewhere, Refused
from video_jobs.backends.redaction import Redactor
from video_jobs.backends.upload import Upload
from video_jobs.domain.errors import (
    BackendError,
    Busy,
    Gone,
    NotFound,
    NotSent,
    PaymentRequired,
    Rejected,
    Unauthorised,
    Unavailable,
    UnknownOutcome,
)
from video_jobs.domain.refusal_kinds import is_wrong_key
from video_jobs.net.deadline import Deadline, DeadlineAdapter
from video_jobs.net.environment import Environment
from video_jobs.net.pinned import CONNECT_TIMEOUT
from video_jobs.net.web_address import WebAddress, read_address

_CONNECT_TIMEOUT = CONNECT_TIMEOUT
_READ_TIMEOUT = 60.0  # seconds of silence
_CALL_DEADLINE = 60.0  # seconds for a whole call other than a download
LARGEST_ANSWER = 1 << 20
"""The largest answer in bytes, except for videos and lists."""

_LARGEST_ERROR = 64 << 10  # bytes that are read of an error that can't be a job
_MOST_REDIRECTS = 5
_TELL_AN_ADDRESS = ("operation-location", "location")
_SECRET_HEADERS = ("api-key", "authorization", "x-goog-api-key")
_POOL_SIZE = 32  # as many as there are worker threads
_BASE_URL = " It redirects: the backend's base_url must be the address to which it leads."
_NO_LIMIT = 1 << 62  # bytes
_LEAST_SHARE = 0.1  # the part of the paid call's time limit that must be left when the call begins

_REFUSALS: dict[int, type[BackendError]] = {
    400: Rejected,
    401: Unauthorised,
    402: PaymentRequired,
    403: Unauthorised,
    404: NotFound,
    410: Gone,
    413: Rejected,
    415: Rejected,
    422: Rejected,
    429: Busy,
}

_CAN_NOT_BE_DONE = dict.fromkeys((405, 409, 501), Rejected)
"""Statuses that refuse a delete. For a create they would prove nothing."""

Believed = Callable[[dict[str, Any]], bool]
"""Whether the body of an error status is what was requested."""


@dataclass(frozen=True)
class Answer:
    """A JSON object from which our key has been removed."""

    body: dict[str, Any]
    told: ToldHeaders = field(default_factory=ToldHeaders)
    is_accepted: bool = False  #: status 202: the task goes on
    made: str | None = None  #: the part of a new job's address that follows the address it was created at


class BackendHttp:
    """Calls below one base URL, signed by `sign`.

    Args:
        base_url: everything before the path; the paths given to the methods begin with `/`.
        sign: gives the authentication headers, fresh for each call, since tokens expire.
        params: query parameters of every call.
        elsewhere: the way to other origins that the backend names.
        most_bytes: the largest download in bytes.
    """

    def __init__(
        self,
        base_url: str,
        sign: Callable[[], Mapping[str, str]],
        params: Mapping[str, str],
        elsewhere: Elsewhere | None = None,
        most_bytes: int = _NO_LIMIT,
    ) -> None:
        self._base_url = base_url
        self._origin = read_address(base_url).origin
        self._sign = sign
        self._params = dict(params)
        self._elsewhere = elsewhere or Elsewhere()
        self._most_bytes = most_bytes
        self._session = new_session(_POOL_SIZE, base_url)

    def get(
        self,
        path: str,
        *,
        even_if_refused: Believed | None = None,
        seconds: float = _CALL_DEADLINE,
        **params: str,
    ) -> Answer:
        """`even_if_refused`: accepts a body under an error's status, as some servers send it. `seconds`: for the whole call."""
        deadline = Deadline(seconds)
        with deadline.watching(), contextlib.closing(self._ask(path, params, deadline)) as response:
            if response.status_code >= 400 and even_if_refused is not None:
                return _believed(response, even_if_refused)
            _refuse_all_but_success(response)
            try:
                return _answer(response, deadline)
            except Unavailable as error:
                raise Unavailable(
                    f"The video API's answer can't be read: {error}", status=error.status
                ) from None

    @contextlib.contextmanager
    def stream(self, path: str, **params: str) -> Iterator[tuple[HttpContent, ToldHeaders, Redactor]]:
        """An answer that may be longer than `LARGEST_ANSWER`, read piece by piece."""
        deadline = Deadline(_CALL_DEADLINE)
        with deadline.watching(), contextlib.closing(self._ask(path, params, deadline)) as response:
            _refuse_all_but_success(response)
            redactor = _redactor_of(response)
            yield (
                _content(response, deadline, _NO_LIMIT, redactor),
                ToldHeaders.read(response.headers, redactor),
                redactor,
            )

    def delete(self, path: str, method: str = "DELETE") -> dict[str, Any] | None:
        """The body of a success: empty if there is none, None if it is not a JSON object. `method`: for APIs with another
        call for this.

        Raises Rejected if this job, or any job, can't be deleted.
        """
        deadline = Deadline(_CALL_DEADLINE)
        headers = self._headers()
        with deadline.watching(), _translated(deadline):
            response = self._session.request(
                method,
                self._base_url + path,
                params=self._params,
                headers=headers,
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )
            with contextlib.closing(response):
                if not 200 <= response.status_code < 300:
                    raise _refusal(response, _CAN_NOT_BE_DONE)
                content = _beginning(response)
                if not content.strip():
                    return {}
                body = _object(content)
                cleaned: dict[str, Any] | None = body if body is None else _redactor_of(response).data(body)
                return cleaned

    @contextlib.contextmanager
    def open(self, path: str, deadline: float, **params: str) -> Iterator[HttpContent]:
        """A body to stream. `path` may be a full URL, which some gateways give.

        Raises VideoTooLarge if the announced length exceeds the limit.
        """
        watch = Deadline(deadline)
        with watch.watching(), contextlib.ExitStack() as stack:
            yield self._opened(path, params, watch, stack)

    def address_of(self, path: str) -> str:
        return self._base_url + path

    def open_address(self, address: str, deadline: float) -> AbstractContextManager[HttpContent]:
        """The same for an address from the backend, which may be relative to the backend's own."""
        return self.open(str(_address(address, self._base_url)), deadline)

    def post_once(
        self, path: str, deadline: float, *, upload: Upload | None = None, **content: Any
    ) -> Answer:
        """The paid call: one connection of its own, no redirect, no retry, one time limit for everything.

        Raises NotSent or a refusal only if that proves that nothing was created. Raises UnknownOutcome for everything
        else that is not a readable success.
        """
        watch = Deadline(deadline)
        headers = self._headers()
        if watch.left < deadline * _LEAST_SHARE:
            raise NotSent("The call was not made, because its authentication took too long.")
        if upload is not None:
            headers["Content-Type"], content = upload.content_type, {"data": upload}
        status: int | None = None
        with new_session(1, self._base_url) as session, watch.watching():
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
                        made = _made(response)
                        return replace(_answer(response, watch, may_be_empty=made is not None), made=made)
                    redactor = _redactor_of(response)
                    message = error_message(_beginning(response), redactor)
            except _TROUBLE as error:
                if _was_never_sent(error, watch):
                    raise NotSent(f"The video API could not be reached: {_reason(error)}.") from None
                raise UnknownOutcome(_cut_off(watch)) from None
            except Unavailable as error:
                raise UnknownOutcome(
                    f"The video API answered {status}, but the answer can't be read: {error}", status=status
                ) from None
            raise UnknownOutcome(
                f"The video API answered {status}{message.in_words}, which does not say whether it made the job."
                f"{_BASE_URL if status in REDIRECTS else ''}",
                status=status,
                code=message.code,
                detail=message.text,
                request_id=ToldHeaders.read(response.headers, redactor).request_id,
            )

    def _headers(self) -> dict[str, str]:
        """The headers of a call. Raises NotSent if it can't be authenticated, whatever error the library raises."""
        try:
            signed = self._sign()
        except BackendError:
            raise
        except Exception as error:
            raise NotSent(
                f"The call was not made, because its authentication failed ({type(error).__name__})."
            ) from error
        return {"Accept-Encoding": "identity", "User-Agent": "reelkeep", **signed}

    def _ask(self, path: str, params: Mapping[str, str], deadline: Deadline) -> requests.Response:
        """GET below the base URL. Follows redirects within its origin; gives any other answer."""
        url = self._base_url + path
        query = {**self._params, **params}
        headers = self._headers()
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._get(url, query, headers, deadline)
            address = _led_to(response, url)
            if address is None:
                return response
            if address.origin != self._origin:
                raise Unavailable(
                    "The video API redirects to another host. The app follows that only for a video."
                )
            url, query = str(address), {}
        raise _too_many_redirects()

    def _opened(
        self, path: str, params: Mapping[str, str], watch: Deadline, stack: contextlib.ExitStack
    ) -> HttpContent:
        """Follows redirects. Our key is sent only until a redirect leaves the base URL's origin, and not again if one returns."""
        own = path.startswith("/")
        url = self._base_url + path if own else path
        address = _address(url, None)
        if address.origin != self._origin:
            return self._from_elsewhere(address, watch, stack, _MOST_REDIRECTS)
        query = {**self._params, **params} if own else {}
        headers = self._headers()
        for hop in range(_MOST_REDIRECTS + 1):
            response = stack.enter_context(contextlib.closing(self._get(url, query, headers, watch)))
            led_to = _led_to(response, url)
            if led_to is None:
                _refuse_all_but_success(response)
                if response.status_code == 206 and not is_whole(response.headers):
                    raise Unavailable("The video API sends only a part of the video.", status=206)
                return _content(response, watch, self._most_bytes, _redactor_of(response))
            if led_to.origin != self._origin:
                return self._from_elsewhere(led_to, watch, stack, _MOST_REDIRECTS - hop - 1)
            url, query = str(led_to), {}
        raise _too_many_redirects()

    def _from_elsewhere(
        self, address: WebAddress, watch: Deadline, stack: contextlib.ExitStack, redirects: int
    ) -> HttpContent:
        try:
            raw = self._elsewhere.open(address, self._origin[0], watch, stack, redirects)
        except Refused as error:
            raise Unavailable(str(error), status=error.status) from None
        return HttpContent(raw, raw.headers, watch, self._most_bytes, None, lambda: _translated(watch))

    def _get(
        self, url: str, query: Mapping[str, str], headers: Mapping[str, str], deadline: Deadline
    ) -> requests.Response:
        with _translated(deadline):
            return self._session.get(
                url,
                params=query,
                headers=headers,
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Always None: we follow redirects ourselves; requests would read the address and the body first."""


def new_session(pool_size: int, url: str) -> requests.Session:
    """A session for the host of this URL. It adds no key and no cookie, and follows no redirect."""
    session, environment = _Session(), Environment.for_url(url)
    session.trust_env = False  # a key from ~/.netrc must not replace ours
    session.proxies.update(environment.proxies)
    session.verify = environment.certificates
    adapter = DeadlineAdapter(pool_size)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    # A server's cookies must not be sent with later calls, which may be for another job or owner.
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    return session


def _address(text: str, base: str | None) -> WebAddress:
    """An address from the backend. Raises Unavailable."""
    try:
        return read_address(text, base)
    except ValueError as error:
        raise Unavailable(f"The video API names an address that can't be used: {error}.") from None


def _led_to(response: requests.Response, url: str) -> WebAddress | None:
    """Where a redirect leads; None for another answer. Closes a redirect. Raises Unavailable."""
    if response.status_code not in REDIRECTS:
        return None
    response.close()
    # The library decodes header bytes as Latin-1; servers mean UTF-8.
    location = response.headers.get("location", "").encode("latin-1", "replace").decode("utf-8", "replace")
    if not location:
        raise Unavailable("The video API redirects without an address.", status=response.status_code)
    return _address(location, url)


def _too_many_redirects() -> Unavailable:
    return Unavailable(f"The video API redirects more than {_MOST_REDIRECTS} times.")


# What the libraries raise for an unusable connection, address or answer.
_TROUBLE = (requests.RequestException, HTTPError, OSError, ValueError, RecursionError)


@contextlib.contextmanager
def _translated(deadline: Deadline) -> Iterator[None]:
    """Translates the libraries' errors into ours. Their messages are dropped, from tracebacks too: they contain URLs with
    queries.
    """
    try:
        yield
    except _TROUBLE as error:
        if _was_never_sent(error, deadline):
            raise NotSent(f"The video API could not be reached: {_reason(error)}.") from None
        raise Unavailable(_cut_off(deadline)) from None


def _was_never_sent(error: BaseException, deadline: Deadline) -> bool:
    """Whether it is proven that nothing was sent: we saw no connection, and the libraries confirm it or the time was over."""
    return not deadline.connected and (deadline.expired or _is_no_connection(error))


def _is_no_connection(error: BaseException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(
        error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError
    ) or isinstance(reason, NewConnectionError)


def _content(response: requests.Response, deadline: Deadline, most: int, redactor: Redactor) -> HttpContent:
    return HttpContent(
        response.raw, response.headers, deadline, most, redactor, lambda: _translated(deadline)
    )


def _made(response: requests.Response) -> str | None:
    """The part of the new job's address that follows the address it was created at, if a header tells that address."""
    url = urlsplit(str(response.request.url))
    for name in _TELL_AN_ADDRESS:
        told = response.headers.get(name, "")
        try:
            path = urlsplit(urljoin(url.geturl(), told)).path
        except ValueError:
            continue
        below = path.removeprefix(url.path.rstrip("/") + "/")
        if told and below != path:
            return _redactor_of(response).text(unquote(below.partition("/")[0]))
    return None


def _answer(response: requests.Response, deadline: Deadline, may_be_empty: bool = False) -> Answer:
    """Raises Unavailable if the body is cut off, too large, or not a JSON object. An object that is complete is believed
    however the transfer ends: then the length that was announced is wrong. No body is none only of a 202, unless
    `may_be_empty`."""
    content, trouble = _as_far_as_it_comes(response, LARGEST_ANSWER + 1)
    body = _object(content) if len(content) <= LARGEST_ANSWER else None
    if body is None and (trouble is not None or deadline.expired):
        raise Unavailable(_cut_off(deadline))
    is_accepted, redactor = response.status_code == 202, _redactor_of(response)
    if body is None and (content.strip() or not (is_accepted or may_be_empty)):
        said = error_message(content[:_LARGEST_ERROR], redactor).in_words
        what = f"not a JSON object{said}" if content.strip() else "empty"
        raise Unavailable(f"its body is {what}.", status=response.status_code)
    return Answer(redactor.data(body or {}), ToldHeaders.read(response.headers, redactor), is_accepted)


def _believed(response: requests.Response, is_it: Believed) -> Answer:
    """The body of an error status, if it is what was requested. Otherwise raises the error."""
    content = _beginning(response, LARGEST_ANSWER)
    redactor = _redactor_of(response)
    body = _object(content)
    cleaned: dict[str, Any] | None = None if body is None else redactor.data(body)
    if cleaned is not None and is_it(cleaned):
        return Answer(cleaned, ToldHeaders.read(response.headers, redactor))
    message = error_message(content, redactor) if cleaned is None else message_in(cleaned)
    raise _refusal_with(response, message, {})


def _object(content: bytes) -> dict[str, Any] | None:
    """Also an object that is JSON in a JSON text, or alone in a list."""
    try:
        body = json.loads(content)
        body = json.loads(body) if isinstance(body, str) else body
    except (ValueError, RecursionError):
        return None
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    return body if isinstance(body, dict) else None


def _beginning(response: requests.Response, most: int = _LARGEST_ERROR) -> bytes:
    """The first bytes of any body, as far as they come."""
    return _as_far_as_it_comes(response, most)[0]


def _as_far_as_it_comes(response: requests.Response, most: int) -> tuple[bytes, Exception | None]:
    """The first bytes of a body, and what broke it off."""
    content = bytearray()
    try:
        while len(content) < most and (more := response.raw.read1(most - len(content), decode_content=True)):
            content += more
    except _TROUBLE as error:
        return bytes(content), error
    return bytes(content), None


def _redactor_of(response: requests.Response) -> Redactor:
    """Removes the secrets that authenticated the request."""
    given = [str(response.request.headers.get(name, "")) for name in _SECRET_HEADERS]
    return Redactor(secret.rpartition(" ")[2] for secret in given)


def _refuse_all_but_success(response: requests.Response) -> None:
    if not 200 <= response.status_code < 300:
        raise _refusal(response)


def _refusal(
    response: requests.Response, besides: Mapping[int, type[BackendError]] = MappingProxyType({})
) -> BackendError:
    return _refusal_with(response, error_message(_beginning(response), _redactor_of(response)), besides)


def _refusal_with(
    response: requests.Response, message: BackendMessage, besides: Mapping[int, type[BackendError]]
) -> BackendError:
    status = response.status_code
    kind = {**_REFUSALS, **besides}.get(status, Unavailable)
    if kind is Unavailable and message.code == "429":
        kind = Busy  # seen for real: a 429 inside a 502
    if is_wrong_key(status, message.text):
        kind = Unauthorised
    told = ToldHeaders.read(response.headers, _redactor_of(response))
    return kind(
        f"The video API answered {status}{message.in_words}.",
        status=status,
        code=message.code,
        detail=message.text,
        request_id=told.request_id,
        retry_after=told.wait,
    )


def _reason(error: BaseException) -> str:
    """Why there was no connection, in our own words."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate was not accepted"
    if "NameResolution" in repr(error):
        return "its host name can't be resolved"
    if "refused" in repr(error):
        return "it refused the connection"
    return "it did not answer in time" if isinstance(error, requests.Timeout) else "the connection failed"


def _cut_off(deadline: Deadline) -> str:
    return (
        "The video API took longer than the time limit."
        if deadline.expired
        else "The connection to the video API broke."
    )
