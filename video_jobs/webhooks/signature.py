"""Sign an event as Standard Webhooks requires."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime


def signed_headers(secrets: Sequence[bytes], event: str, now: datetime, body: bytes) -> dict[str, str]:
    """One signature for each secret, the newest first: a receiver needs to know only one of them."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((event.encode("ascii"), timestamp.encode("ascii"), body))
    macs = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return {
        "webhook-id": event,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join("v1," + base64.b64encode(mac).decode("ascii") for mac in macs),
    }
