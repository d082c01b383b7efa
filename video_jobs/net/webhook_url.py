"""Which URLs may be a webhook, as far as their text tells. Where a name leads is checked at each delivery.

The check is strict: if two readers of one URL disagree about its host, somebody may reach a host that is forbidden.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from video_jobs.net.addresses import is_loopback, is_public

LONGEST_URL = 2000
"""Characters."""

_URL = re.compile(r"^(?P<scheme>[a-z]+)://(?P<authority>[^/?]*)(?P<path>/[^?]*)?(?P<query>\?.*)?")
_AUTHORITY = re.compile(r"^(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HERE = "localhost"
_LOCAL_NAMES = frozenset({_HERE, "localdomain", "local", "internal", "intranet", "lan", "arpa", "onion"})
_LOWEST_PORT = 1024  # except 443: services on lower ports could misread a request
_DEFAULT_PORTS = {"https": 443, "http": 80}


class HookUrl(NamedTuple):
    """Its parts, each checked."""

    scheme: str
    host: str  #: a name, or an address without brackets; lower case
    port: int
    target: str  #: path and query, as they go into the request

    @property
    def netloc(self) -> str:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def read_hook_url(text: str, *, allow_http_loopback: bool) -> HookUrl:
    """Raises ValueError, which says how to mend the URL and repeats nothing of it."""
    if len(text) > LONGEST_URL:
        raise ValueError(f"is longer than {LONGEST_URL} characters")
    if not text.isascii() or not text.isprintable() or re.search(r'[\s\\"<>^`{|}]', text):
        raise ValueError(
            "must be a URL in visible ASCII: other characters percent-encoded, the host as xn--… where it has any"
        )
    if "#" in text:
        raise ValueError("must have no fragment (#…)")
    scheme, colon, rest = text.partition(":")
    url = _URL.fullmatch(f"{scheme.lower()}{colon}{rest}")
    if url is None or url["scheme"] not in _DEFAULT_PORTS:
        raise ValueError("must begin with https:// and name a host, like https://example.com/hooks")
    if "@" in url["authority"]:
        raise ValueError("must hold no user name or password")
    authority = _AUTHORITY.fullmatch(url["authority"].lower())
    if authority is None:
        raise ValueError("must name a host, like https://example.com/hooks")
    host, here = _host(authority["host"])
    if url["scheme"] == "http" and not (here and allow_http_loopback):
        raise ValueError(
            "must begin with https://; plain HTTP is for this machine only, and only where the setting "
            "WEBHOOK_ALLOW_HTTP_LOOPBACK is true"
        )
    if url["scheme"] == "https" and here:
        raise ValueError("must lead to the public internet, not to this machine")
    usual = _DEFAULT_PORTS[url["scheme"]]
    port = int(authority["port"] or usual)
    if port != usual and not _LOWEST_PORT <= port < 1 << 16:
        raise ValueError(f"must have the port {usual}, or one from {_LOWEST_PORT} on")
    return HookUrl(url["scheme"], host, port, (url["path"] or "/") + (url["query"] or ""))


def _host(text: str) -> tuple[str, bool]:
    """The host, and whether it is this machine. Raises ValueError."""
    labels = text.split(".")
    if text.startswith("[") or _NUMBER.fullmatch(labels[-1]):
        return _literal(text)
    if text == _HERE:
        return text, True
    if not all(_LABEL.fullmatch(label) for label in labels) or len(text) > 253:
        raise ValueError("must name a host of letters, digits and hyphens between dots")
    if len(labels) < 2 or labels[-1] in _LOCAL_NAMES:
        raise ValueError("must name a host of the public internet by its full name, like example.com")
    return text, False


def _literal(text: str) -> tuple[str, bool]:
    """An IP address, in the only spelling that all readers understand in the same way."""
    try:
        # Four plain decimals, or IPv6 in brackets: no octal, hexadecimal, short or scoped form gets through.
        address = IPv6Address(text[1:-1]) if text.startswith("[") else IPv4Address(text)
    except ValueError:
        raise ValueError("must name its host, or write its address in the usual form") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError("must name its host, or write its address in the usual form")
    if is_loopback(address):
        return str(address), True
    if not is_public(address):
        raise ValueError("must lead to the public internet, not to a private or reserved address")
    return str(address), False
