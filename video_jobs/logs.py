"""What may be logged: our own lines. The libraries' lines repeat URLs, signatures and all."""

from __future__ import annotations

import logging


def quieten_libraries() -> None:
    for name in ("azure", "requests", "msal"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings name the URL of a download, which may be a signed one.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
