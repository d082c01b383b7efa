"""Checks what every job needs: the settings and the three kinds of storage."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from video_jobs.domain.errors import InvalidSettings, StorageUnavailable
from video_jobs.wiring import get_services


class Health(TypedDict):
    """The answer when everything works."""

    status: Literal["healthy"]


def check_health() -> list[str]:
    """The problems, each with how to mend it; empty if everything works."""
    try:
        services = get_services()
    except InvalidSettings as error:
        return error.problems
    except StorageUnavailable as error:
        return [str(error)]
    reasons = [services.sign_in.problem] if services.sign_in.problem is not None else []
    for check in (services.jobs.ping, services.messages.ping, services.blobs.ping):
        try:
            check()
        except StorageUnavailable as error:
            reasons.append(str(error))
    return reasons
