"""The keys of the OpenAI-compatible API, each with the owner of its jobs.

The Functions host checks its own keys only, and doesn't read `Authorization: Bearer`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from video_jobs.domain.job import DEFAULT_OWNER

SETTING = "OPENAI_COMPAT_API_KEYS"

_SHORTEST, _LONGEST = 16, 256  # characters of a key
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_KEY = re.compile(r"[\x21-\x7e]+")
_OF_ANOTHER_LIST = re.compile(r"""[;"'\[\]{}]""")  # JSON, quoted texts, or entries between semicolons
_HASH = "sha256"
_MAKE_ONE = "openssl rand -hex 32"


@dataclass(frozen=True)
class ApiKey:
    owner: str
    digest: str = field(repr=False)  #: SHA-256 of the key, in hex


class ApiKeys(NamedTuple):
    """The valid keys. If there is none, the API is off."""

    keys: tuple[ApiKey, ...] = ()

    def find(self, presented: str) -> ApiKey | None:
        """The key that was sent, or None. Takes the same time for every key, valid or not."""
        digest = hashlib.sha256(presented.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def read_compat_api_keys(environment: Mapping[str, str], problems: list[str]) -> ApiKeys:
    """Entries between commas or white space: `key`, `owner:key`, `sha256:HEX` or `owner:sha256:HEX`.

    Adds to `problems` what is wrong and how to mend it, by an entry's number: its text may be a secret.
    """
    keys: list[ApiKey] = []
    for number, entry in enumerate(re.split(r"[\s,]+", environment.get(SETTING, "").strip(" \t\r\n,")), 1):
        if not entry:
            continue
        try:
            key = _read(entry)
        except ValueError as error:
            problems.append(f"{SETTING}: entry {number} {error}.")
            continue
        if any(key.digest == other.digest for other in keys):
            problems.append(
                f"{SETTING}: entry {number} is a key that stands there already. Remove it, or make another: {_MAKE_ONE}."
            )
        keys.append(key)
    return ApiKeys(tuple(keys))


def _read(entry: str) -> ApiKey:
    """Raises ValueError, whose text does not repeat the entry."""
    if _OF_ANOTHER_LIST.search(entry):
        raise ValueError(
            "has a semicolon, a quote or a bracket, which no key may have: put commas between the entries and no quotes "
            "around them"
        )
    *before, last = entry.split(":")
    hashed = before[-1:] == [_HASH]
    names = before[:-1] if hashed else before
    if len(names) > 1:
        raise ValueError(
            "has too many colons: an entry is key, owner:key, or either with sha256:HEX in place of the key"
        )
    owner = names[0] if names else DEFAULT_OWNER
    if not _OWNER.fullmatch(owner):
        raise ValueError(
            "has an owner that can't be one: 1 to 64 letters, digits, dots, hyphens and underscores, beginning "
            "and ending with a letter or digit"
        )
    if hashed:
        if not re.fullmatch("[0-9A-Fa-f]{64}", last):
            raise ValueError(
                'is no SHA-256 in hex, which has 64 digits; make it with: printf %s "$KEY" | sha256sum'
            )
        return ApiKey(owner, last.lower())
    if not _KEY.fullmatch(last) or len(last) > _LONGEST:
        raise ValueError(f"is no key: 16 to {_LONGEST} visible ASCII characters; make one with: {_MAKE_ONE}")
    if len(last) < _SHORTEST:
        raise ValueError(
            f"is too short: a key has {_SHORTEST} characters or more, so that nobody guesses it; make one with: "
            f"{_MAKE_ONE}"
        )
    return ApiKey(owner, hashlib.sha256(last.encode("ascii")).hexdigest())
