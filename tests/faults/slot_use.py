"""How much of a video API's slots the gate puts to use: `python -m tests.faults.slot_use`.

The real handlers run in simulated time (`tests/timeline.py`).
"""

from __future__ import annotations

import logging
import random
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from local.simulator.server import Simulator
from tests.pipeline import Pipeline
from tests.timeline import STANDSTILL, SimulatedHost, render_ahead
from video_jobs.domain.job import Job

RUN_SECONDS = 60.0
_BETWEEN_ARRIVALS = (0.1, 0.5)  # seconds


@dataclass(frozen=True)
class SlotUse:
    """What a run came to."""

    used: float  #: share of the slots' time from the first create to the last end in which they generated
    refused: int  #: creates beyond the limit, which the API answered with 429
    overtaken: int  #: jobs that got their slot after one that had arrived later
    overtaken_by: float  #: seconds by which a create came before one of a job that arrived earlier, at most
    looks: float  #: a job, at the backend
    succeeded: int
    took: float  #: simulated seconds


def measure(
    simulator: Simulator, dialect: str, *, jobs: int, limit: int = 2, spread: float = 0.0, seed: int = 1
) -> SlotUse:
    """Bring so many jobs of 60 seconds, give or take `spread`, before a limit of slots.

    The simulator's clock must stand still (`STANDSTILL`). Raises what a handler raises.
    """
    world = simulator.world
    world.reset()
    simulator.faults.clear()
    render_ahead(simulator, dialect)
    limits = {"running_limit": limit, "videos_running_limit": limit}
    world.change({"queue_seconds": 0, "run_seconds": RUN_SECONDS, **limits})
    state = random.getstate()
    random.seed(seed)  # the jitter of the code that runs
    try:
        pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT=str(limit))
        chance = random.Random(seed)
        host = SimulatedHost(pipeline, chance, lambda request: RUN_SECONDS + chance.uniform(-spread, spread))
        arrived = host.bring([{}] * jobs, _BETWEEN_ARRIVALS)
    finally:
        random.setstate(state)
    return _result(pipeline, arrived, host.let_in, limit)


def _result(pipeline: Pipeline, arrived: list[Job], let_in: list[str], limit: int) -> SlotUse:
    made = pipeline.simulator.world.everything()
    began = made[0].created_at
    ended = max(job.created_at + job.run_seconds for job in made)
    generating = sum(job.run_seconds for job in made)
    created_at = {job.id: job.created_at for job in made}
    jobs = [pipeline.job(job) for job in sorted(arrived, key=_arrival)]
    creates = [created_at[job.backend_job_id or ""] for job in jobs]
    places = [let_in.index(job.id) for job in jobs]
    return SlotUse(
        used=generating / (limit * (ended - began)),
        refused=sum(call["status"] == 429 for call in pipeline.calls("create")),
        overtaken=sum(place < before for place, before in zip(places, accumulate(places, max), strict=True)),
        overtaken_by=max(before - at for at, before in zip(creates, accumulate(creates, max), strict=True)),
        looks=len(pipeline.calls("get")) / len(jobs),
        succeeded=sum(job.status.value == "succeeded" for job in jobs),
        took=ended - began,
    )


def _arrival(job: Job) -> datetime:
    return job.created_at


def main() -> None:
    """Print the figures for 200 jobs before a limit of 2."""
    logging.disable(logging.CRITICAL)
    with Simulator(speed=STANDSTILL) as simulator:
        for spread in (0.0, 15.0):
            began = time.monotonic()
            use = measure(simulator, "azure-sora", jobs=200, spread=spread)
            sys.stdout.write(
                f"200 jobs of {RUN_SECONDS:.0f} s give or take {spread:.0f}, limit 2: slots used {use.used:.1%}, "
                f"{use.refused} requests over the limit, {use.overtaken} overtaken (creates by {use.overtaken_by:.2f} s at most), {use.looks:.1f} polls a job, "
                f"{use.succeeded} succeeded in {use.took:.0f} s ({time.monotonic() - began:.0f} s real)\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
