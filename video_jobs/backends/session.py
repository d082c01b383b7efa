"""Connections to a video API: a session that adds nothing of its own, and what its failures mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.cookies import RequestsCookieJar
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.exceptions import HTTPError, NewConnectionError

from video_jobs.domain.errors import NotSent, Unavailable
from video_jobs.net.deadline import Deadline, DeadlineAdapter
from video_jobs.net.environment import Environment

TROUBLE = (requests.RequestException, HTTPError, OSError, ValueError, RecursionError)
"""What the libraries raise for an unusable connection, address or answer."""


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


@contextlib.contextmanager
def translated(deadline: Deadline) -> Iterator[None]:
    """Translates the libraries' errors into ours. Their messages are dropped, from tracebacks too: they contain URLs with
    queries.
    """
    try:
        yield
    except TROUBLE as error:
        if was_never_sent(error, deadline):
            raise NotSent(f"The video API could not be reached: {reason_of(error)}.") from None
        raise Unavailable(cut_off(deadline)) from None


def was_never_sent(error: BaseException, deadline: Deadline) -> bool:
    """Whether it is proven that nothing was sent: we saw no connection, and the libraries confirm it or the time was over."""
    return not deadline.connected and (deadline.expired or _is_no_connection(error))


def _is_no_connection(error: BaseException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return (
        isinstance(
            error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError
        )
        or isinstance(reason, NewConnectionError)
        or _is_of_the_environment(error)
    )


def _is_of_the_environment(error: BaseException) -> bool:
    """Whether the proxy or the file of certificates is unusable: a file that is missing is an OSError without a number."""
    return isinstance(error, InvalidURL | InvalidSchema) or (type(error) is OSError and error.errno is None)


def reason_of(error: BaseException) -> str:
    """Why there was no connection, in our own words."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate was not accepted"
    if _is_of_the_environment(error):
        return "the proxy or the certificates that the app's environment names can't be used"
    if "NameResolution" in repr(error):
        return "its host name can't be resolved"
    if "refused" in repr(error):
        return "it refused the connection"
    return "it did not answer in time" if isinstance(error, requests.Timeout) else "the connection failed"


def cut_off(deadline: Deadline) -> str:
    """Why an answer did not come whole, in our own words."""
    return (
        "The video API took longer than the time limit."
        if deadline.expired
        else "The connection to the video API broke."
    )
