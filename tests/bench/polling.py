"""How often a job is polled, and how soon its end is seen: the app's schedule against fixed ones.

All of them live through the same jobs, in simulated time (`tests/timeline.py`). How long a job takes is drawn as
real ones are spread: most of them about their kind's median, a few far beyond it. The schedule knows nothing of
that but what the jobs before have taught it in the same run.
"""

from __future__ import annotations

import logging
import math
import random
import statistics
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import poll_job.poll
from local.simulator.server import Simulator
from tests.bench.report import say, table, verdict
from tests.pipeline import Pipeline
from tests.timeline import STANDSTILL, SimulatedHost, render_ahead
from video_jobs.domain.job import Job

MOST_POLLS = 18.0  # a job, on average
LATEST = 5.0  # seconds from generated to the start of the fetch, in the median

JOBS = 100  # of each kind
SEED = 1

_SPREAD = 0.15  # of the logarithm of a duration
_OUTLIERS = 0.05
_OUTLIER = (1.5, 4.0)  # times as long
_BETWEEN_ARRIVALS = (20.0, 40.0)  # seconds
_DIALECT = "azure-sora"  # which tells neither progress nor when to ask again


@dataclass(frozen=True)
class Profile:
    """Jobs of one kind, told by the seconds of video that they ask for."""

    seconds: int
    median: float  #: seconds that the video API works on one

    @property
    def name(self) -> str:
        return f"{self.median:.0f} s"

    def durations(self) -> Iterator[float]:
        """The same ones for every schedule."""
        chance = random.Random(f"{SEED} {self.seconds}")
        while True:
            duration = self.median * math.exp(chance.gauss(0, _SPREAD))
            yield duration * (chance.uniform(*_OUTLIER) if chance.random() < _OUTLIERS else 1)


PROFILES = (Profile(1, 60), Profile(2, 90), Profile(3, 120), Profile(4, 180))


@dataclass(frozen=True)
class Measured:
    """Of each profile, in its order."""

    looks: list[float]  #: a job
    latencies: list[list[float]]  #: seconds from generated to the start of the fetch, of each job

    @property
    def mean_polls(self) -> float:
        return statistics.fmean(self.looks)

    @property
    def median_latency(self) -> float:
        return statistics.median(latency for each in self.latencies for latency in each)


def measure(
    simulator: Simulator, every: float | None = None, *, jobs: int = JOBS, left_out: int = 0
) -> Measured:
    """So many jobs of each profile, looked at `every` so many seconds, or as the app does it.

    `left_out`: of the first jobs of each profile, which only teach. The simulator's clock must stand still
    (`STANDSTILL`).
    """
    orders: list[dict[str, Any]] = [{"seconds": profile.seconds} for profile in PROFILES]
    simulator.world.reset()
    simulator.faults.clear()
    render_ahead(simulator, _DIALECT, *orders)
    simulator.world.change({"queue_seconds": 0, "running_limit": None})
    durations = {profile.seconds: profile.durations() for profile in PROFILES}
    chance = random.Random(SEED)
    arriving = orders * jobs
    chance.shuffle(arriving)
    state = random.getstate()
    random.seed(SEED)  # the jitter of the code that runs
    try:
        with _fixed(every):
            pipeline = Pipeline(simulator, _DIALECT, VIDEO_RUNNING_LIMIT="0")
            host = SimulatedHost(pipeline, chance, lambda request: next(durations[request.seconds]))
            arrived = host.bring(arriving, _BETWEEN_ARRIVALS)
    finally:
        random.setstate(state)
    return _measured(pipeline, host, [pipeline.job(job) for job in arrived], left_out)


def _measured(pipeline: Pipeline, host: SimulatedHost, arrived: list[Job], left_out: int) -> Measured:
    made = {job.id: job for job in pipeline.simulator.world.everything()}
    looks = Counter(call["job_id"] for call in pipeline.calls("get"))
    measured = Measured([], [])
    for profile in PROFILES:
        jobs = [job for job in arrived if job.request.seconds == profile.seconds][left_out:]
        generated = [made[job.backend_job_id or ""] for job in jobs]
        measured.looks.append(statistics.fmean(looks[job.id] for job in generated))
        measured.latencies.append(
            [
                host.fetch_began[job.id].timestamp() - (made.created_at + made.run_seconds)
                for job, made in zip(jobs, generated, strict=True)
            ]
        )
    return measured


@contextmanager
def _fixed(every: float | None) -> Iterator[None]:
    """Looks a fixed time apart, in place of the app's schedule."""
    real = poll_job.poll.poll_delay  # type: ignore[attr-defined]
    if every is not None:
        delay = timedelta(seconds=every)
        poll_job.poll.poll_delay = lambda *_, **__: delay  # type: ignore[attr-defined]
    try:
        yield
    finally:
        poll_job.poll.poll_delay = real  # type: ignore[attr-defined]


def run() -> None:
    say(f"Looks at a job, and seconds from generated to the start of its fetch: {JOBS} jobs of each kind")
    logging.disable(logging.CRITICAL)
    with Simulator(speed=STANDSTILL) as simulator:
        found = {
            "the app's": measure(simulator),
            "every 5 s": measure(simulator, 5.0),
            "every 20 s": measure(simulator, 20.0),
        }
    logging.disable(logging.NOTSET)
    rows = []
    for name, measured in found.items():
        for profile, looks, latencies in zip(PROFILES, measured.looks, measured.latencies, strict=True):
            rows.append([name, profile.name, f"{looks:.1f}", *_spread(latencies)])
        every = [latency for each in measured.latencies for latency in each]
        rows.append([name, "all", f"{measured.mean_polls:.1f}", *_spread(every)])
    table("Looks", ["schedule", "kind", "polls a job", "median", "nine in ten", "longest"], rows)
    learned = found["the app's"]
    looks, latency = learned.mean_polls, learned.median_latency
    say(f"  polls a job, on average: {verdict(looks, f'≤ {MOST_POLLS:g}', looks <= MOST_POLLS)}")
    say(f"  seconds from generated to fetch, median: {verdict(latency, f'≤ {LATEST:g}', latency <= LATEST)}")


def _spread(latencies: list[float]) -> list[str]:
    ordered = sorted(latencies)
    late = ordered[math.ceil(0.9 * len(ordered)) - 1]
    return [f"{statistics.median(ordered):.1f} s", f"{late:.1f} s", f"{ordered[-1]:.1f} s"]


if __name__ == "__main__":
    run()
