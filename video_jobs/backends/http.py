"""The HTTP client that every dialect uses: the same errors, a time limit for every call, no hidden retries."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests

from video_jobs.backends.answers import ToldHeaders
from video_jobs.backends.content import HttpContent, is_whole
from video_jobs.backends.elsewhere import REDIRECTS, Elsewhere, Refused, location_in
from video_jobs.backends.inline_video import split_address
from video_jobs.backends.redaction import Redactor
from video_jobs.backends.responses import (
    CAN_NOT_BE_DONE,
    Answer,
    Believed,
    beginning_of,
    json_object,
    read_answer,
    read_believed,
    redactor_of,
    refusal,
    refuse_all_but_success,
)
from video_jobs.backends.session import new_session, translated
from video_jobs.domain.errors import (
    BackendError,
    NotSent,
    Unavailable,
)
from video_jobs.net.deadline import Deadline
from video_jobs.net.pinned import CONNECT_TIMEOUT
from video_jobs.net.web_address import WebAddress, read_address

_READ_TIMEOUT = 60.0  # seconds of silence
_CALL_DEADLINE = 60.0  # seconds for a whole call other than a download
_MOST_REDIRECTS = 5
_POOL_SIZE = 32  # as many as there are worker threads
_NO_LIMIT = 1 << 62  # bytes


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
        self.params = dict(params)
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
                return read_believed(response, even_if_refused)
            refuse_all_but_success(response)
            try:
                return read_answer(response, deadline)
            except Unavailable as error:
                raise Unavailable(
                    f"The video API's answer can't be read: {error}", status=error.status
                ) from None

    @contextlib.contextmanager
    def stream(self, path: str, **params: str) -> Iterator[tuple[HttpContent, ToldHeaders, Redactor]]:
        """An answer that may be longer than `LARGEST_ANSWER`, read piece by piece."""
        deadline = Deadline(_CALL_DEADLINE)
        with deadline.watching(), contextlib.closing(self._ask(path, params, deadline)) as response:
            refuse_all_but_success(response)
            redactor = redactor_of(response)
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
        headers = self.headers()
        with deadline.watching(), translated(deadline):
            response = self._session.request(
                method,
                self._base_url + path,
                params=self.params,
                headers=headers,
                timeout=(CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )
            with contextlib.closing(response):
                if not 200 <= response.status_code < 300:
                    raise refusal(response, CAN_NOT_BE_DONE)
                content = beginning_of(response)
                if not content.strip():
                    return {}
                body = json_object(content)
                cleaned: dict[str, Any] | None = body if body is None else redactor_of(response).data(body)
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

    @contextlib.contextmanager
    def open_address(self, address: str, deadline: float) -> Iterator[HttpContent]:
        """The same for an address from the backend, which may be relative to the backend's own, or lead to a video inside
        an answer."""
        outside, number = split_address(address)
        with self.open(str(_address(outside, self._base_url)), deadline) as content:
            yield content if number is None else content.inside(number)

    def headers(self) -> dict[str, str]:
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
        query = {**self.params, **params}
        headers = self.headers()
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
        query = {**self.params, **params} if own else {}
        headers = self.headers()
        for hop in range(_MOST_REDIRECTS + 1):
            response = stack.enter_context(contextlib.closing(self._get(url, query, headers, watch)))
            led_to = _led_to(response, url)
            if led_to is None:
                refuse_all_but_success(response)
                if response.status_code == 206 and not is_whole(response.headers):
                    raise Unavailable("The video API sends only a part of the video.", status=206)
                return _content(response, watch, self._most_bytes, redactor_of(response))
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
        return HttpContent(raw, raw.headers, watch, self._most_bytes, None, lambda: translated(watch))

    def _get(
        self, url: str, query: Mapping[str, str], headers: Mapping[str, str], deadline: Deadline
    ) -> requests.Response:
        deadline.exact_target = None if query else _address(url, None).target
        with translated(deadline):
            response = self._session.get(
                url,
                params=query,
                headers=headers,
                timeout=(CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )
        if response.status_code == 404:
            # A balancer may lead another connection to another replica, which has what this one lacks.
            self._session.close()
        return response


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
    location = location_in(response.headers)
    if not location:
        raise Unavailable("The video API redirects without an address.", status=response.status_code)
    return _address(location, url)


def _too_many_redirects() -> Unavailable:
    return Unavailable(f"The video API redirects more than {_MOST_REDIRECTS} times.")


def _content(response: requests.Response, deadline: Deadline, most: int, redactor: Redactor) -> HttpContent:
    return HttpContent(
        response.raw, response.headers, deadline, most, redactor, lambda: translated(deadline), response.url
    )
