"""Whose jobs are these? One place decides."""

from __future__ import annotations

import azure.functions as func

from http_edge.principal import PRINCIPAL_HEADER, owner_named_in
from video_jobs.domain.job import DEFAULT_OWNER
from video_jobs.wiring import get_services


def owner_of(request: func.HttpRequest) -> str:
    """The partition that the caller's jobs lie in: their own where the platform has signed them in, else one
    for all.

    Raises InvalidRequest where the platform's header can't be read: who is somebody must never become everybody.
    """
    said = request.headers.get(PRINCIPAL_HEADER)
    if said is None or not get_services().sign_in.is_trusted:
        return DEFAULT_OWNER
    return owner_named_in(said)
