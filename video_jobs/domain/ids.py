"""Job ids: newest first by key, and unguessable."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECONDS_BITS = 50
_RANDOM_BITS = 80
_PREFIX = "job_"
JOB_ID_PATTERN = f"{_PREFIX}[{_CROCKFORD}]{{26}}"
_JOB_ID = re.compile(JOB_ID_PATTERN)

POSITIONS = 1 << (_MILLISECONDS_BITS + _RANDOM_BITS)
"""How many ids there can be."""


def new_job_id(now: datetime) -> str:
    """`job_` and 26 digits of Crockford base32: 50 bits of inverted milliseconds, then 80 random bits.

    The time is inverted because Table Storage lists rows in ascending key order, and people want the newest first.
    """
    return _job_id(now, secrets.randbits(_RANDOM_BITS))


def lowest_id_at(moment: datetime) -> str:
    """The lowest possible id of the moment's millisecond: older ids are higher, newer ones lower.

    A moment before 1970 counts as 1970.
    """
    return _job_id(max(moment, _EPOCH), 0)


def position_of(job_id: str) -> int:
    """The number of an id among all possible ids, from 0: the higher, the older."""
    position = 0
    for digit in job_id.removeprefix(_PREFIX):
        position = position << 5 | _CROCKFORD.index(digit)
    return position


def id_at(position: int) -> str:
    """The id with that number."""
    digits = ""
    for _ in range((_MILLISECONDS_BITS + _RANDOM_BITS) // 5):
        digits = _CROCKFORD[position & 31] + digits
        position >>= 5
    return _PREFIX + digits


def made_at(job_id: str) -> datetime:
    """When an id was made, to the millisecond."""
    inverted = position_of(job_id) >> _RANDOM_BITS
    return _EPOCH + timedelta(milliseconds=(1 << _MILLISECONDS_BITS) - 1 - inverted)


def is_job_id(text: str) -> bool:
    return _JOB_ID.fullmatch(text) is not None


def _job_id(moment: datetime, random: int) -> str:
    inverted = (1 << _MILLISECONDS_BITS) - 1 - int(moment.timestamp() * 1000)
    return id_at((inverted << _RANDOM_BITS) | random)
