"""One signed POST to a receiver that a client named: over HTTPS, to the address that was checked, and to no other.

The name is resolved once, every answer is checked, and the connection goes to one of these answers, while TLS
proves the name. No redirect is followed, no proxy asked, nothing repeated, and of the answer only the status
is read.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPException

from certifi import where
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.exceptions import SSLError as CertificateError
from urllib3.exceptions import TimeoutError as TimedOut

from video_jobs.backends.answers import wait_hint
from video_jobs.deadline import Deadline, WatchedHTTPConnection, WatchedHTTPSConnection
from video_jobs.errors import Undelivered
from video_jobs.webhooks.addresses import Address, is_loopback, is_public
from video_jobs.webhooks.url import HookUrl, addresses_of, read_hook_url

DEADLINE = 20.0
"""Seconds for the whole of one delivery; Standard Webhooks says 15 to 30."""

_CONNECT_TIMEOUT = 10.0  # seconds
_MOST_ADDRESSES = 3  # of one name that are tried, while none of them takes the connection

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a name. Raises OSError where it has none."""


Answer = tuple[int, float | None]
"""A status, and the seconds that the receiver wants us to wait."""


def resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class HttpWebhookSender:
    """See `ports.WebhookSender`.

    Args:
        allow_http_loopback: whether a hook may be on this machine, over plain HTTP.
        deadline: seconds for one delivery, the look-up of the name included.
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
        self._seconds = deadline
        self._resolve = resolve
        self._is_public = is_public
        self._ca_file = ca_file

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        try:
            hook = read_hook_url(url, allow_http_loopback=self._allow_http_loopback)
        except ValueError as error:
            raise Undelivered(f"The URL {error}.") from None
        deadline = Deadline(self._seconds)
        addresses = self._addresses(hook, deadline)
        status, retry_after = self._post(hook, addresses, headers, body, deadline)
        if 300 <= status < 400:
            raise Undelivered(f"It answered {status}: redirects are not followed.", status)
        if not 200 <= status < 300:
            raise Undelivered(f"It answered {status}.", status, retry_after)
        return status

    def _addresses(self, hook: HookUrl, deadline: Deadline) -> list[Address]:
        """Raises Undelivered where there is none, or one that is not allowed: then the others are no better."""
        answers = _within(deadline, lambda: self._resolve(hook.host, hook.port))
        try:
            addresses = addresses_of(answers)
        except ValueError:
            addresses = []
        if not addresses:
            raise Undelivered("Its host name has no address.")
        allowed = self._is_public if hook.scheme == "https" else is_loopback
        if not all(allowed(address) for address in addresses):
            raise Undelivered("Its host name leads to a private or reserved address, where nothing is sent.")
        return addresses[:_MOST_ADDRESSES]

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
        trouble = ""
        with deadline.watching():
            for address in addresses:
                try:
                    return self._post_to(address, hook, complete, body, deadline)
                except (HTTPError, HTTPException, OSError, ValueError) as error:
                    trouble = _in_words(error, deadline)
                    if not isinstance(error, NewConnectionError | ConnectTimeoutError):
                        break  # it may have read what we sent
        raise Undelivered(trouble)

    def _post_to(
        self, address: Address, hook: HookUrl, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Answer:
        host = f"[{address}]" if address.version == 6 else str(address)
        connecting = max(min(_CONNECT_TIMEOUT, deadline.left), 0.001)
        timeout = Timeout(connect=connecting, read=max(deadline.left, 0.001))
        pool: HTTPConnectionPool
        if hook.scheme == "https":
            # The same roots that the video APIs' certificates are checked with.
            trusted = ssl.create_default_context(cafile=self._ca_file or where())
            pool = HTTPSConnectionPool(
                host, hook.port, timeout=timeout, ssl_context=trusted, server_hostname=hook.host
            )
            pool.ConnectionCls = WatchedHTTPSConnection
        else:
            pool = HTTPConnectionPool(host, hook.port, timeout=timeout)
            pool.ConnectionCls = WatchedHTTPConnection
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


def _within(deadline: Deadline, look_up: Callable[[], list[str]]) -> list[str]:
    """The system's resolver has no deadline: one that hangs is left behind in its thread. Raises Undelivered."""
    answers: list[str] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.extend(look_up())
        except (OSError, UnicodeError) as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="resolve-webhook", daemon=True)
    thread.start()
    thread.join(deadline.left)
    if thread.is_alive():
        raise Undelivered("Its host name could not be looked up in time.")
    if errors:
        raise Undelivered("Its host name can't be looked up.")
    return answers


def _in_words(error: BaseException, deadline: Deadline) -> str:
    """The libraries' own words repeat the URL, query and all."""
    if isinstance(error, NewConnectionError):  # a kind of TimedOut, too
        return "It refused the connection." if "refused" in str(error) else "No connection came about."
    if deadline.expired or isinstance(error, TimedOut | TimeoutError):
        return "It did not answer in time."
    if isinstance(error, CertificateError):
        return "Its TLS certificate was not accepted."
    return "The connection broke."
