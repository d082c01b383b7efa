"""Videos at other hosts than the backend's own: fetched without our key, and only from where nobody is misled to.

A gateway answers with the address of the bytes, or redirects to it. Such an address comes from outside and may lead
anywhere: to the cloud's metadata, to a machine of the operator's own network. So it must be public, the connection
goes to the very address that was checked, and https is never left. Of what such a host says, nothing is quoted. The
operator may name private hosts that are meant (`download_origins`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, ReadTimeoutError

from video_jobs.net.addresses import Address, is_public
from video_jobs.net.deadline import Deadline
from video_jobs.net.pinned import NotAllowed, NotReachable, Resolve, checked_addresses, pool_to, resolve
from video_jobs.net.web_address import WebAddress, read_address

REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "reelkeep"}


class Refused(Exception):
    """It could not be opened. The message is in our words; `status` is the other host's, where it answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Elsewhere:
    """Opens addresses at other origins.

    Args:
        trusted: origins, as `WebAddress.origin`, that may be private.
        resolve, is_public, ca_file: for tests, which have no public addresses.
    """

    def __init__(
        self,
        trusted: Collection[tuple[str, str, int]] = (),
        *,
        resolve: Resolve = resolve,
        is_public: Callable[[Address], bool] = is_public,
        ca_file: str | None = None,
    ) -> None:
        self._trusted = frozenset(trusted)
        self._resolve = resolve
        self._is_public = is_public
        self._ca_file = ca_file

    def open(
        self,
        address: WebAddress,
        scheme_before: str,
        deadline: Deadline,
        stack: contextlib.ExitStack,
        redirects: int,
    ) -> BaseHTTPResponse:
        """A success with its body to come; connections are closed with `stack`. Raises Refused.

        `scheme_before` is that of whoever named the address: from https nothing leads to plain http.
        """
        for _ in range(redirects + 1):
            response = self.get(address, scheme_before, deadline, stack)
            status = response.status
            if status not in REDIRECTS:
                if status == 206:
                    raise Refused("The video is at another host, which sends a part of it only.", status)
                if 200 <= status < 300:
                    return response
                raise Refused(f"The video is at another host, which answered {status}.", status)
            try:
                led_to = read_address(response.headers.get("location", ""), str(address))
            except ValueError as error:
                raise Refused(
                    f"The video's host redirects to an address that can't be used: {error}."
                ) from None
            scheme_before, address = address.scheme, led_to
        raise Refused("The video's host redirects too often.")

    def get(
        self, address: WebAddress, scheme_before: str, deadline: Deadline, stack: contextlib.ExitStack
    ) -> BaseHTTPResponse:
        """Any answer, redirects too. Raises Refused."""
        if scheme_before == "https" and address.scheme == "http":
            raise Refused(
                "The video is at another host without TLS, to which nothing is followed from https."
            )
        trusted = address.origin in self._trusted
        allowed: Callable[[Address], bool] = (lambda _: True) if trusted else self._is_public
        try:
            found = checked_addresses(address.host, address.port, deadline, self._resolve, allowed)
        except NotAllowed:
            raise Refused(
                "The video is at another host that is not of the public internet, and nothing is fetched from there. "
                "If it is yours, name it in the backend's download_origins."
            ) from None
        except NotReachable as error:
            raise Refused(f"The video is at another host. {error}") from None
        for candidate in found:
            pool = pool_to(candidate, address.scheme, address.host, address.port, deadline, self._ca_file)
            stack.callback(pool.close)
            try:
                response: BaseHTTPResponse = pool.urlopen(
                    "GET",
                    address.target,
                    headers={"Host": address.netloc, **_HEADERS},
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    preload_content=False,
                )
            except ReadTimeoutError:
                raise _too_long() from None
            except (HTTPError, OSError, ValueError):
                continue
            stack.callback(response.close)
            if deadline.expired:  # which looks to the library like the end of the headers
                break
            return response
        if deadline.expired:
            raise _too_long()
        raise Refused("The video is at another host, and no connection to it came about, or it broke.")


def _too_long() -> Refused:
    return Refused("The video is at another host, which took longer than it may.")
