"""Checks the connection to a host step by step: its name, its port, its certificate."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3.util.ssl_ import create_urllib3_context

from doctor.findings import Finding, right, warning, wrong

_TIMEOUT = 8.0  # seconds for a connection, and again for its TLS
_SOON = timedelta(days=14)

# OpenSSL's X509_V_ERR_ numbers, which have been the same for decades.
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_ROOT, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 18, 19, 62, 64


def check_way(url: str, setting: str | None) -> list[Finding]:
    """Whether the host of the URL can be reached. `setting` is the name of the setting that has the URL; None: the URL is
    a provider's, and no setting has it."""
    proxy = select_proxy(url, get_environ_proxies(url))
    if proxy:
        return [_proxy(proxy)]
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        advice = "Is there a way to a DNS server, and to a private zone if it is in one?"
        if setting is not None:
            advice = f"Is {setting} spelt right? {advice}"
        return [
            wrong(
                "host",
                f"{host} can't be resolved: there is no such name in the DNS that is asked here.",
                advice,
            )
        ]
    addresses = sorted({str(entry[4][0]) for entry in found})
    named = f"{host} is {addresses[0]}" + (f" and {len(addresses) - 1} more" if len(addresses) > 1 else "")
    setting = setting or "VIDEO_BACKENDS"  # which can name another address
    try:
        connection = socket.create_connection((host, port), timeout=_TIMEOUT)
    except ConnectionRefusedError:
        advice = f"Does the server run? Is the port in {setting} right?"
        return [wrong("host", f"{named}, and refuses connections on port {port}.", advice)]
    except OSError as error:
        slow = "does not answer in time" if isinstance(error, TimeoutError) else "can't be reached"
        advice = "Does a firewall, a network rule or a missing route stand in the way?"
        return [wrong("host", f"{named}, and {slow} on port {port}.", advice)]
    with connection:
        reached = right("host", f"{named}{_kind(addresses[0])}, port {port} is open")
        return [reached] if parts.scheme != "https" else [reached, _check_tls(connection, host, setting)]


def _proxy(address: str) -> Finding:
    """The proxy's address may contain a password, so no part of an unreadable address is shown."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if host is None:
        words = "the proxy that the environment names has no address that can be read."
        return wrong(
            "host", words, "Write it as http://HOST:PORT; in a password, what is no letter or digit as %XX."
        )
    return right("host", f"reached through the proxy {host}:{port}")


def is_local(url: str) -> bool:
    """Whether the URL's host name means this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _kind(address: str) -> str:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.is_loopback:
        return " (this machine)"
    return " (a private address)" if ip.is_private else ""


def _check_tls(connection: socket.socket, host: str, setting: str) -> Finding:
    address = connection.getpeername()
    try:
        with _trusting().wrap_socket(connection, server_hostname=host) as secured:
            ends = str((secured.getpeercert() or {}).get("notAfter", ""))
    except ssl.SSLCertVerificationError as error:
        return _distrust(error, host, address, setting)
    except (OSError, ValueError) as error:
        words = f"{host} breaks the TLS handshake off ({type(error).__name__})."
        return wrong(
            "TLS", words, f"Does this port speak HTTPS? If it is plain HTTP, write http:// in {setting}."
        )
    ends_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)
    left = ends_at - datetime.now(UTC)
    if left < _SOON:
        words = f"the certificate is accepted, but ends in {left.days} days, on {ends_at:%Y-%m-%d}."
        return warning("TLS", words, "Renew it, or tell whoever runs the server.")
    return right("TLS", f"the certificate is for {host} and valid until {ends_at:%Y-%m-%d}")


def _trusting() -> ssl.SSLContext:
    """Trusts the same certificates as requests: those that the environment names."""
    named = Path(
        os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    )
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    with contextlib.suppress(OSError):  # then no certificate is trusted, as in requests
        if named.is_dir():
            context.load_verify_locations(capath=str(named))
        else:
            context.load_verify_locations(cafile=str(named))
    return context


def _distrust(
    error: ssl.SSLCertVerificationError, host: str, address: tuple[str, int], setting: str
) -> Finding:
    facts = _certificate_facts(host, address)
    if error.verify_code == _EXPIRED:
        words = f"the certificate of {host} has expired{facts.get('ended', '')}."
        return wrong(
            "TLS", words, "Renew it, or tell whoever runs the server. Is this machine's clock right?"
        )
    if error.verify_code == _NOT_YET_VALID:
        return wrong("TLS", f"the certificate of {host} is not valid yet.", "Is this machine's clock right?")
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        words = f"the certificate is for another name than {host}{facts.get('names', '')}."
        return wrong(
            "TLS", words, f"Write the name that it is for in {setting}, or give the server another one."
        )
    words = f"the certificate of {host} comes from an authority that is not known here, or its chain is incomplete."
    if error.verify_code in (_SELF_SIGNED, _SELF_SIGNED_ROOT):
        words = f"the certificate of {host} is self-signed, or of an authority that nobody here knows."
    advice = (
        "If the server is yours, or a proxy of your network looks inside: name its CA's file in the setting "
        "REQUESTS_CA_BUNDLE. Else it is not the server that it claims to be."
    )
    return wrong("TLS", words, advice)


def _certificate_facts(host: str, address: tuple[str, int]) -> dict[str, str]:
    """What a refused certificate says about itself; nothing if it can't be read."""
    from cryptography import x509

    probe_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    probe_context.check_hostname = False
    probe_context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(address[:2], timeout=_TIMEOUT) as connection,
            probe_context.wrap_socket(connection, server_hostname=host) as secured,
        ):
            certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
        facts = {"ended": f", on {certificate.not_valid_after_utc:%Y-%m-%d}"}
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(entry.value) for entry in named][:3]
        return {**facts, "names": f": for {', '.join(names)}"}
    except x509.ExtensionNotFound:
        return facts
    except (OSError, ValueError):
        return {}
