"""What App Service sends of who has signed in."""

from __future__ import annotations

import base64
import json
from typing import Any


def header(auth_typ: Any = "aad", claims: Any = None, **more: Any) -> str:
    """As App Service writes it."""
    given = claims if claims is not None else []
    if isinstance(given, dict):
        given = [{"typ": name, "val": value} for name, value in given.items()]
    return encoded({"auth_typ": auth_typ, "claims": given, "name_typ": "", "role_typ": "", **more})


def encoded(whole: Any) -> str:
    return base64.b64encode(json.dumps(whole).encode()).decode()
