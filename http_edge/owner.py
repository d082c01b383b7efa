"""Whose jobs are these? One place decides."""

from __future__ import annotations

import azure.functions as func

DEFAULT_OWNER = "default"


def owner_of(request: func.HttpRequest) -> str:
    """The partition that the caller's jobs lie in. Nobody signs in yet, so there is one."""
    return DEFAULT_OWNER
