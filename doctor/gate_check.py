"""Checks the gate of a video API: whether it lets jobs through and, if not, why."""

from __future__ import annotations

from datetime import datetime

from doctor.findings import Finding, right, unknown, warning, wrong
from video_jobs.domain.errors import StorageNotSetUp, StorageUnavailable, UnreadableRow
from video_jobs.domain.gate import ClosureReason
from video_jobs.ports import Gates
from video_jobs.settings.backends import BackendSettings


def check_gate(gates: Gates, backend: BackendSettings, now: datetime) -> Finding:
    try:
        gate = gates.get(backend.name).gate
    except StorageNotSetUp:
        return right("gate", "open, 0 jobs there: no app has started with this storage account yet")
    except StorageUnavailable as error:
        return unknown("gate", str(error))
    except UnreadableRow as error:
        return wrong("gate", str(error))
    resume = f"POST /api/backends/{backend.name}/resume"
    if gate.paused_since is not None:
        return warning(
            "gate", f"paused by an operator since {gate.paused_since:%Y-%m-%d %H:%M} UTC: jobs wait.", resume
        )
    if gate.closure is not None and gate.closure.until > now:
        words = f"closed until {gate.closure.until:%H:%M:%S} UTC: {gate.closure.reason}"
        if gate.closure.why in (ClosureReason.MISCONFIGURED, ClosureReason.ACCOUNT):
            return warning(
                "gate",
                words,
                f"Mend that; a job is tried as a probe every two minutes, at once with {resume}",
            )
        return warning("gate", words, "It opens by itself.")
    limit = backend.gate_limits.running
    used = (
        f"{len(gate.slots)} of {limit} slots in use"
        if limit
        else f"{len(gate.slots)} jobs there, and no limit"
    )
    probing = "; the next job is a probe" if gate.closure is not None else ""
    return right("gate", f"open, {used}{', others wait in line' if gate.contended else ''}{probing}")
