"""Images at addresses that clients name."""

from __future__ import annotations

from typing import Protocol


class ImageSource(Protocol):
    def fetch(self, address: str, most_bytes: int, seconds: float) -> bytes:
        """The whole body at a public https address. Raises NotFetched, whose message does not repeat the address, and
        TooManyFetched."""
