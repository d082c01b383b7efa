"""How soon a video's download begins once it is generated: the real handlers in simulated time (`tests/timeline.py`).

Beside what Durable Functions were measured to do, which wake themselves within one process and poll every five seconds.
"""

from __future__ import annotations

import itertools
import logging
import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from local.simulator.server import Simulator
from tests.bench.report import say, table, verdict
from tests.pipeline import Pipeline
from tests.timeline import STANDSTILL, SimulatedHost, render_ahead

MEAN, WORST = 4.0, 8.0  # seconds

SEEDS = 10  # and thrice as many for one job alone
TAUGHT = 4  # jobs that come before, one by one, where it shall be known how long they take
_DIALECT = "azure-sora"
_SPREAD = 0.03  # of a duration


@dataclass(frozen=True)
class Case:
    name: str
    run_seconds: float
    together: int
    known: bool
    durable: str


CASES = (
    Case("20 jobs of 60 s at once, the first of their kind", 60, 20, False, "4.4 / 6.4"),
    Case("20 jobs of 60 s at once, known", 60, 20, True, "4.4 / 6.4"),
    Case("a job of 60 s, the first of its kind", 60, 1, False, ""),
    Case("a job of 120 s, the first of its kind", 120, 1, False, "5.4"),
    Case("a job of 120 s, known", 120, 1, True, "5.4"),
    Case("a job of 600 s, the first of its kind", 600, 1, False, ""),
)


@dataclass(frozen=True)
class Measured:
    latencies: list[float]  #: seconds from generated to the start of the fetch, of each job
    polls: float  #: a job

    @property
    def mean(self) -> float:
        return statistics.fmean(self.latencies)

    @property
    def late(self) -> float:
        """Nineteen in twenty are no later."""
        return self.latencies[math.ceil(0.95 * len(self.latencies)) - 1]

    @property
    def worst(self) -> float:
        return max(self.latencies)


def measure(simulator: Simulator, case: Case, seeds: Sequence[int] = range(SEEDS)) -> Measured:
    """The case once with each seed. The simulator's clock must stand still (`STANDSTILL`)."""
    latencies: list[float] = []
    polls: list[int] = []
    for seed in seeds:
        for latency, asked in _live_through(simulator, case, seed):
            latencies.append(latency)
            polls.append(asked)
    return Measured(sorted(latencies), statistics.fmean(polls))


def _live_through(simulator: Simulator, case: Case, seed: int) -> list[tuple[float, int]]:
    """Seconds to the start of the fetch, and polls, of each job that counts."""
    simulator.world.reset()
    simulator.faults.clear()
    render_ahead(simulator, _DIALECT)
    simulator.world.change({"queue_seconds": 0, "running_limit": None})
    chance, state = random.Random(seed), random.getstate()
    random.seed(seed)  # the jitter of the code that runs
    before = TAUGHT if case.known else 0
    pauses = itertools.chain(
        [chance.uniform(0, 10)],
        [case.run_seconds * 2 + chance.uniform(0, 60)] * before,
        itertools.repeat(0.05),
    )
    try:
        pipeline = Pipeline(simulator, _DIALECT, VIDEO_RUNNING_LIMIT="0")
        host = SimulatedHost(
            pipeline, chance, lambda _: case.run_seconds * chance.uniform(1 - _SPREAD, 1 + _SPREAD)
        )
        arrived = host.bring([{}] * (before + case.together), pauses)
    finally:
        random.setstate(state)
    made = {job.id: job for job in simulator.world.everything()}
    asked = Counter(call["job_id"] for call in pipeline.calls("get"))
    found = []
    for job in arrived[before:]:
        generated = made[pipeline.job(job).backend_job_id or ""]
        began = host.fetch_began[job.id].timestamp()
        found.append((began - generated.created_at - generated.run_seconds, asked[generated.id]))
    return found


def run() -> None:
    say(f"Seconds from generated to the start of the fetch: {SEEDS} times each, in simulated time")
    logging.disable(logging.CRITICAL)
    with Simulator(speed=STANDSTILL) as simulator:
        found = {
            case: measure(simulator, case, range(SEEDS if case.together > 1 else 3 * SEEDS)) for case in CASES
        }
    logging.disable(logging.NOTSET)
    rows = [
        [
            case.name,
            f"{each.mean:.1f} s",
            f"{each.late:.1f} s",
            f"{each.worst:.1f} s",
            f"{each.polls:.1f}",
            case.durable,
        ]
        for case, each in found.items()
    ]
    table(
        "From generated to fetched", ["", "mean", "19 in 20", "worst", "polls", "Durable, mean / worst"], rows
    )
    together = [each for case, each in found.items() if case.together > 1]
    alone = [each for case, each in found.items() if case.together == 1 and case.run_seconds <= 120]
    mean, worst = max(each.mean for each in together), max(each.worst for each in together)
    late = max(each.late for each in alone)
    say(f"  mean of 20 at once: {verdict(mean, f'≤ {MEAN:g} s', mean <= MEAN)}")
    say(f"  worst of 20 at once: {verdict(worst, f'≤ {WORST:g} s', worst <= WORST)}")
    say(f"  one alone of up to two minutes, 19 in 20: {verdict(late, f'≤ {WORST:g} s', late <= WORST)}")


if __name__ == "__main__":
    run()
