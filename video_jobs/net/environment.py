"""The proxy and the certificates that the environment names for a host.

Read once for each client: requests reads all variables again for each call, a seventh of the processor time that a
storage call takes.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import requests.utils


class Environment(NamedTuple):
    proxies: dict[str, str]  #: by scheme; empty: none
    certificates: str | bool  #: the path of a bundle; True: the library's own

    @classmethod
    def for_url(cls, url: str) -> Environment:
        certificates = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        return cls(requests.utils.get_environ_proxies(url), certificates)
