"""Decides who owns the jobs of a request."""

from __future__ import annotations

import azure.functions as func

from http_edge.principal import PRINCIPAL_HEADER, owner_named_in
from video_jobs.domain.job import DEFAULT_OWNER
from video_jobs.wiring import get_services


def owner_of(request: func.HttpRequest) -> str:
    """The partition of the caller's jobs: one for each person whom the platform signed in, else `default` for all callers.

    Raises InvalidRequest if the platform's header can't be read: a signed-in person must never get the jobs of `default`.
    """
    said = request.headers.get(PRINCIPAL_HEADER)
    if said is None or not get_services().sign_in.is_trusted:
        return DEFAULT_OWNER
    return owner_named_in(said)
