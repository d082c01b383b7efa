"""Live through a scenario once to number its effects, then once for each effect and each way to strike it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.simulator.server import Simulator
from tests.faults.effects import Effects, Strike, strikes_at
from tests.faults.machine import Machine
from tests.faults.promises import broken_promises
from tests.faults.scenarios import Play
from tests.pipeline import API_KEY, Pipeline

MakePipeline = Callable[[Simulator, str], Pipeline]


@dataclass
class Exploration:
    """What came of it."""

    effects: list[str] = field(default_factory=list)
    explored: int = 0
    broken: list[str] = field(default_factory=list)


def live_through(
    simulator: Simulator,
    dialect: str,
    play: Play,
    strikes: Mapping[int, Strike],
    pipeline: MakePipeline = Pipeline,
    variants: int = 1,
) -> tuple[Effects, list[str]]:
    """One life; gives its effects, and the promises that were broken in it."""
    simulator.world.reset()
    simulator.faults.clear()
    simulator.world.change({"queue_seconds": 2, "run_seconds": 6})
    effects = Effects(strikes)
    machine = Machine(pipeline(simulator, dialect), effects, variants=variants)
    try:
        broken = broken_promises(machine, play(machine))
    except AssertionError as error:
        broken = [f"{type(error).__name__}: {error}"]
    return effects, broken


def explore(
    simulator: Simulator, dialect: str, play: Play, variants: int = 1, *, every: int = 1
) -> Exploration:
    """All crash points, or one of so many."""
    live_through(simulator, dialect, play, {}, variants=variants)  # renders its videos, once
    effects, broken = live_through(simulator, dialect, play, {}, variants=variants)
    found = Exploration(effects.names, 1, [f"undisturbed: {words}" for words in broken])
    for number, strike in points_of(effects.names)[::every]:
        _, broken = live_through(simulator, dialect, play, {number: strike}, variants=variants)
        found.explored += 1
        name = effects.names[number - 1]
        found.broken += [f"effect {number} ({name}) {strike.value}: {words}" for words in broken]
    return found


def points_of(effects: list[str]) -> list[tuple[int, Strike]]:
    """Each effect's number with each kind of strike."""
    return [(number, strike) for number, name in enumerate(effects, 1) for strike in strikes_at(name)]


_simulator = Simulator(api_key=API_KEY, speed=0.001)  # of a process that explores


def start_process() -> None:
    logging.disable(logging.CRITICAL)
    _simulator.start()


def explore_life(life: tuple[Play, str, int]) -> Exploration:
    """All crash points of one life, in a process that was started so."""
    play, dialect, variants = life
    return explore(_simulator, dialect, play, variants)
