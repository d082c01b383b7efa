"""The bindings: two timers."""

from __future__ import annotations

import azure.functions as func

from sweep_jobs.sweep import apply_retention, sweep_jobs
from video_jobs.wiring import get_services

blueprint = func.Blueprint()

_LONGEST_RETENTION = 240.0  # seconds of one run


@blueprint.function_name("sweep_jobs")
# Without the monitor: a sweep that was missed need not be made up for.
@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *", use_monitor=False)
def sweep_jobs_function(timer: func.TimerRequest) -> None:
    sweep_jobs(get_services())


@blueprint.function_name("apply_retention")
@blueprint.timer_trigger(arg_name="timer", schedule="0 7 * * * *")
def apply_retention_function(timer: func.TimerRequest) -> None:
    apply_retention(get_services(), _LONGEST_RETENTION)
