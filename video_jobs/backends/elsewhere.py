"""Fetches videos from hosts other than the backend's: without our key, and only from public hosts or those in the settings.

A gateway answers with the video's address or redirects to it. Such an address comes from outside and may lead anywhere, for
example to the cloud's metadata service or into the operator's network. So the address must be public, the connection goes
to exactly the address that was checked, and https never changes to http. Messages quote nothing that such a host says. The
operator may allow private hosts (`download_origins`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping

from urllib3 import BaseHTTPResponse

from video_jobs.backends.content import is_whole
from video_jobs.net.addresses import Address, is_public
from video_jobs.net.deadline import Deadline
from video_jobs.net.pinned import NotAllowed, NotReachable, Resolve, get_from, resolve
from video_jobs.net.web_address import WebAddress, read_address

REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "reelkeep"}


class Refused(Exception):
    """The address could not be opened. The message is our own; `status` is the other host's, if it answered."""

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
        """A successful answer whose body is not read yet; `stack` closes its connections. Raises Refused.

        `scheme_before` is the scheme of the source that named the address: https never leads to http.
        """
        for _ in range(redirects + 1):
            response = self.get(address, scheme_before, deadline, stack)
            status = response.status
            if status not in REDIRECTS:
                if status == 206 and not is_whole(response.headers):
                    raise Refused("The video is at another host, which sends only a part of it.", status)
                if 200 <= status < 300:
                    return response
                raise Refused(f"The video is at another host, which answered {status}.", status)
            try:
                led_to = read_address(location_in(response.headers), str(address))
            except ValueError as error:
                raise Refused(
                    f"The video's host redirects to an address that can't be used: {error}."
                ) from None
            scheme_before, address = address.scheme, led_to
        raise Refused("The video's host redirects too often.")

    def get(
        self, address: WebAddress, scheme_before: str, deadline: Deadline, stack: contextlib.ExitStack
    ) -> BaseHTTPResponse:
        """Any answer, including redirects. Raises Refused."""
        if scheme_before == "https" and address.scheme == "http":
            raise Refused("The video is at another host without TLS. The app never goes from https to http.")
        trusted = address.origin in self._trusted
        allowed: Callable[[Address], bool] = (lambda _: True) if trusted else self._is_public
        try:
            return get_from(
                address,
                _HEADERS,
                deadline,
                stack,
                look_up=self._resolve,
                allowed=allowed,
                ca_file=self._ca_file,
            )
        except NotAllowed:
            raise Refused(
                "The video is at another host that is not on the public internet, so the app does not fetch it. "
                "If the host is yours, add it to the backend's download_origins."
            ) from None
        except NotReachable as error:
            raise Refused(f"The video is at another host. {error}") from None


def location_in(headers: Mapping[str, str]) -> str:
    """Where a redirect leads. The library decodes header bytes as Latin-1; servers mean UTF-8."""
    return headers.get("location", "").encode("latin-1", "replace").decode("utf-8", "replace")
