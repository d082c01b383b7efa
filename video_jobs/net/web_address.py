"""Web addresses that another server names: read once, strictly, as the HTTP library itself parses them.

If two readers of one address disagree about its host, a key may reach a stranger: `urlsplit` takes the host
of `http://a\\@b` to be `b`, and urllib3, which makes the connection, takes it to be `a`.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

LONGEST = 8000
"""Characters of an address. Signed ones are long; a request line of more than 8 KiB is refused by most servers."""

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_AUTHORITY = re.compile(r"[a-z]{4,5}://[^/?#]*", re.IGNORECASE)
_LEGAL = "%!$&'()*+,;=:@/?~"  # in path and query, besides letters, digits and `_.-`
_PORTS = {"http": 80, "https": 443}


class WebAddress(NamedTuple):
    """An absolute http or https address without credentials."""

    scheme: str
    host: str  #: a name or an IP address, without brackets; lower case
    port: int
    target: str  #: path and query as they were written; what no request may hold is percent-encoded

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.target}"


def read_address(text: str, base: str | None = None) -> WebAddress:
    """`base`: the address that named this one, which may be relative to it. Raises ValueError, whose text repeats nothing of it.

    A server behind a proxy that adds TLS names itself with http. So what an https address names at the same host and port, or
    at the usual port, is read as https.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    if _FORBIDDEN.search(text):
        raise ValueError("it holds a backslash or a control character")
    try:
        whole = urljoin(base, text) if base is not None else text
        parts = parse_url(whole)
        host = (parts.host or "").strip("[]").lower()
        scheme = (parts.scheme or "").lower()
    except (LocationParseError, ValueError):
        raise ValueError("it is no web address") from None
    if scheme not in _PORTS or not host or not host.isascii() or "%" in host:
        raise ValueError("it is no http or https address")
    if parts.auth is not None or "@" in host:
        raise ValueError("it holds a user name")
    if parts.port == 0:
        raise ValueError("it has the port 0")
    port = parts.port or _PORTS[scheme]
    if scheme == "http" and base is not None and base.startswith("https:"):
        if port == _PORTS["http"]:
            scheme, port = "https", _PORTS["https"]
        elif (host, port) == read_address(base).origin[1:]:
            scheme = "https"
    return WebAddress(scheme, host, port, _target_in(whole))


def _target_in(address: str) -> str:
    """Many addresses are signed as they are written, so even the case of `%2f` must stay."""
    written = _AUTHORITY.sub("", address.partition("#")[0], count=1)
    target = quote(written, safe=_LEGAL, errors="replace")
    return target if target.startswith("/") else f"/{target}"
