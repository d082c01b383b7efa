"""Job ids: newest first by key, and unguessable."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECONDS_BITS = 50
_RANDOM_BITS = 80
JOB_ID_PATTERN = f"job_[{_CROCKFORD}]{{26}}"
_JOB_ID = re.compile(JOB_ID_PATTERN)


def new_job_id(now: datetime) -> str:
    """`job_` and 26 digits of Crockford base32: 50 bits of inverted milliseconds, then 80 random bits.

    Inverted, because Table Storage lists rows in ascending key order and people want the newest first.
    """
    return _job_id(now, secrets.randbits(_RANDOM_BITS))


def lowest_id_at(moment: datetime) -> str:
    """The lowest that an id of the moment's millisecond can be: older ids are higher, newer ones lower.

    A moment before 1970 counts as 1970.
    """
    return _job_id(max(moment, _EPOCH), 0)


def is_job_id(text: str) -> bool:
    return _JOB_ID.fullmatch(text) is not None


def _job_id(moment: datetime, random: int) -> str:
    inverted = (1 << _MILLISECONDS_BITS) - 1 - int(moment.timestamp() * 1000)
    number = (inverted << _RANDOM_BITS) | random
    digits = ""
    for _ in range((_MILLISECONDS_BITS + _RANDOM_BITS) // 5):
        digits = _CROCKFORD[number & 31] + digits
        number >>= 5
    return f"job_{digits}"
