"""Entity tags, and whether a client has the answer already (RFC 9110, sections 8.8.3 and 13.1.2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def etag_of(content: bytes) -> str:
    """A strong tag."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def has_already(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the request has an If-None-Match that names the tag."""
    return names(headers.get("if-none-match", ""), etag)


def names(text: str, etag: str) -> bool:
    """Whether an If-None-Match names the tag, alone, in a list, weakly, or as `*`.

    A malformed header names nothing, so the client gets the whole answer.
    """
    return text.strip() == "*" or etag in _TAG.findall(text)
