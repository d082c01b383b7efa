"""One signed POST to a receiver that a client named: over HTTPS, to the address that was checked, and to no other.

The name is resolved once, every answer is checked, and the connection goes to one of these answers, while TLS
proves the name. No redirect is followed, no proxy asked, nothing repeated, and of the answer only the status
is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from http.client import HTTPException

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.exceptions import SSLError as CertificateError
from urllib3.exceptions import TimeoutError as TimedOut

from video_jobs.domain.errors import Undelivered
from video_jobs.net.addresses import Address, is_loopback, is_public
from video_jobs.net.deadline import Deadline
from video_jobs.net.pinned import NotReachable, Resolve, checked_addresses, pool_to, resolve
from video_jobs.net.told import wait_hint
from video_jobs.net.webhook_url import HookUrl, read_hook_url
from video_jobs.webhooks.receivers import Receivers

DEADLINE = 20.0
"""Seconds for the whole of one delivery; Standard Webhooks says 15 to 30."""

Answer = tuple[int, float | None]
"""A status, and the seconds that the receiver wants us to wait."""


class HttpWebhookSender:
    """See `ports.WebhookSender`.

    Args:
        allow_http_loopback: whether a hook may be on this machine, over plain HTTP.
        deadline: seconds for one delivery, in which the name is also resolved.
        resolve, is_public, ca_file: for tests, which have no public addresses.
    """

    def __init__(
        self,
        *,
        allow_http_loopback: bool,
        deadline: float = DEADLINE,
        resolve: Resolve = resolve,
        is_public: Callable[[Address], bool] = is_public,
        ca_file: str | None = None,
    ) -> None:
        self._allow_http_loopback = allow_http_loopback
        self._receivers = Receivers(deadline)
        self._resolve = resolve
        self._is_public = is_public
        self._ca_file = ca_file

    def send(self, url: str, headers: Mapping[str, str], body: bytes, owner: str = "") -> int:
        try:
            hook = read_hook_url(url, allow_http_loopback=self._allow_http_loopback)
        except ValueError as error:
            raise Undelivered(f"The URL {error}.") from None
        status, retry_after = self._answer(hook, headers, body, owner)
        if 300 <= status < 400:
            raise Undelivered(f"It answered {status}: redirects are not followed.", status)
        if not 200 <= status < 300:
            raise Undelivered(f"It answered {status}.", status, retry_after)
        return status

    def _answer(self, hook: HookUrl, headers: Mapping[str, str], body: bytes, owner: str) -> Answer:
        """Raises Undelivered."""
        with self._receivers.telling(hook.netloc, owner) as seconds:
            deadline = Deadline(seconds)
            try:
                answer = self._post(hook, self._addresses(hook, deadline), headers, body, deadline)
            except Undelivered:
                # A connection that never comes about fails before the deadline.
                if deadline.left < seconds / 2:
                    self._receivers.timed_out(hook.netloc)
                raise
            self._receivers.answered(hook.netloc, seconds - deadline.left)
            return answer

    def _addresses(self, hook: HookUrl, deadline: Deadline) -> list[Address]:
        """Raises Undelivered."""
        allowed = self._is_public if hook.scheme == "https" else is_loopback
        try:
            return checked_addresses(hook.host, hook.port, deadline, self._resolve, allowed)
        except NotReachable as error:
            raise Undelivered(str(error)) from None

    def _post(
        self,
        hook: HookUrl,
        addresses: list[Address],
        headers: Mapping[str, str],
        body: bytes,
        deadline: Deadline,
    ) -> Answer:
        complete = {
            "Host": hook.netloc,
            "User-Agent": "reelkeep",
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            **headers,
        }
        problem = ""
        with deadline.watching():
            for address in addresses:
                try:
                    return self._post_to(address, hook, complete, body, deadline)
                except (HTTPError, HTTPException, OSError, ValueError) as error:
                    problem = _in_words(error, deadline)
                    if not isinstance(error, NewConnectionError | ConnectTimeoutError):
                        break  # it may have read what we sent
        raise Undelivered(problem)

    def _post_to(
        self, address: Address, hook: HookUrl, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Answer:
        pool = pool_to(address, hook.scheme, hook.host, hook.port, hook.target, deadline, self._ca_file)
        with contextlib.closing(pool):
            response: BaseHTTPResponse = pool.urlopen(
                "POST",
                hook.target,
                body,
                headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
            )
            with contextlib.closing(response):
                if deadline.expired:  # which looks to the library like the end of the headers
                    raise TimeoutError
                return response.status, wait_hint(response.headers)


def _in_words(error: BaseException, deadline: Deadline) -> str:
    """The libraries' error texts repeat the URL with its query."""
    if isinstance(error, NewConnectionError):  # a kind of TimedOut, too
        return "It refused the connection." if "refused" in str(error) else "No connection came about."
    if deadline.expired or isinstance(error, TimedOut | TimeoutError):
        return "It did not answer in time."
    if isinstance(error, CertificateError):
        return "Its TLS certificate was not accepted."
    return "The connection broke."
