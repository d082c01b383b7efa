"""What may be logged: our own lines. The libraries' lines repeat URLs, signatures and all."""

from __future__ import annotations

import logging


def quieten_libraries() -> None:
    for name in ("azure", "urllib3", "requests", "msal"):
        logging.getLogger(name).setLevel(logging.WARNING)
