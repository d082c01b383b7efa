"""The cost of a job, as the video API gives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    amount: float  #: in whole units of the currency, to the millionth
    currency: str  #: ISO 4217, like USD
