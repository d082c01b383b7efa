"""Images at addresses that clients name."""

from __future__ import annotations

from typing import Protocol


class ImageSource(Protocol):
    def fetch(self, address: str, most_bytes: int, seconds: float) -> bytes:
        """What lies at an https address of the public internet, whole. Raises NotFetched, in words that do not repeat it."""
