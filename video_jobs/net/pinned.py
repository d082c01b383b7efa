"""Connections to an address that was checked, and to no other.

A name is resolved once, each of its addresses is checked, and the connection goes to one of them, while TLS proves
the name. So it does not matter if the name server answers differently the second time. No proxy is used.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from ipaddress import ip_address

from certifi import where
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import HTTPError, ReadTimeoutError

from video_jobs.net.addresses import Address
from video_jobs.net.deadline import Deadline, WatchedHTTPConnection, WatchedHTTPSConnection
from video_jobs.net.web_address import WebAddress

CONNECT_TIMEOUT = 10.0  # seconds
_TOO_LONG = "It took longer than the time limit."
_MOST_ADDRESSES = 3  # of one name that are tried, while none of them takes the connection

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a name. Raises OSError if it has none."""


class NotReachable(Exception):
    """No answer came from the host. The message is in our words and does not name the host."""


class NotAllowed(NotReachable):
    """The name has an address to which the app may not connect."""


def resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked_addresses(
    host: str, port: int, deadline: Deadline, look_up: Resolve, allowed: Callable[[Address], bool]
) -> list[Address]:
    """The first few addresses of a name. Raises NotReachable, also if only one of them is not allowed."""
    try:
        addresses = [ip_address(answer) for answer in _within(deadline, lambda: look_up(host, port))]
    except ValueError:
        addresses = []
    if not addresses:
        raise NotReachable("Its host name has no address.")
    if not all(allowed(address) for address in addresses):
        raise NotAllowed(
            "Its host name leads to a private or reserved address, to which the app sends nothing."
        )
    return addresses[:_MOST_ADDRESSES]


def pool_to(
    address: Address,
    scheme: str,
    host: str,
    port: int,
    target: str,
    deadline: Deadline,
    ca_file: str | None = None,
) -> HTTPConnectionPool:
    """A pool of one connection to `address`, whose certificate, with https, must be for `host`.

    The deadline that is `watching` can end it, and lets it request `target` as it is written. Close it after use.
    """
    to = f"[{address}]" if address.version == 6 else str(address)
    connecting = max(min(CONNECT_TIMEOUT, deadline.left), 0.001)
    timeout = Timeout(connect=connecting, read=max(deadline.left, 0.001))
    deadline.exact_target = target
    pool: HTTPConnectionPool
    if scheme == "https":
        pool = HTTPSConnectionPool(
            to, port, timeout=timeout, ssl_context=_trusted(ca_file or where()), server_hostname=host
        )
        pool.ConnectionCls = WatchedHTTPSConnection
    else:
        pool = HTTPConnectionPool(to, port, timeout=timeout)
        pool.ConnectionCls = WatchedHTTPConnection
    return pool


def get_from(
    address: WebAddress,
    headers: Mapping[str, str],
    deadline: Deadline,
    stack: ExitStack,
    *,
    look_up: Resolve,
    allowed: Callable[[Address], bool],
    ca_file: str | None = None,
) -> BaseHTTPResponse:
    """Any answer to a GET, redirects too. Connections are closed with `stack`. Raises NotReachable."""
    for candidate in checked_addresses(address.host, address.port, deadline, look_up, allowed):
        pool = pool_to(
            candidate, address.scheme, address.host, address.port, address.target, deadline, ca_file
        )
        stack.callback(pool.close)
        try:
            response: BaseHTTPResponse = pool.urlopen(
                "GET",
                address.target,
                headers={"Host": address.netloc, **headers},
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
            )
        except ReadTimeoutError:
            raise NotReachable(_TOO_LONG) from None
        except (HTTPError, OSError, ValueError):
            continue
        stack.callback(response.close)
        if deadline.expired:  # to the library, this looks like the end of the headers
            break
        return response
    raise NotReachable(_TOO_LONG if deadline.expired else "The connection to it failed or broke.")


@cache
def _trusted(ca_file: str) -> ssl.SSLContext:
    """The root certificates that also check the video APIs. Reading them takes some milliseconds."""
    return ssl.create_default_context(cafile=ca_file)


def _within(deadline: Deadline, look_up: Callable[[], list[str]]) -> list[str]:
    """The system's resolver has no deadline: one that hangs is left behind in its thread. Raises NotReachable."""
    answers: list[str] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.extend(look_up())
        except (OSError, UnicodeError) as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="resolve", daemon=True)
    thread.start()
    thread.join(deadline.left)
    if thread.is_alive():
        raise NotReachable("Its host name could not be looked up in time.")
    if errors:
        raise NotReachable("Its host name can't be looked up.")
    return answers
