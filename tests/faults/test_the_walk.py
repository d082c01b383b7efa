"""The walk of one job in docs/architecture.md: each effect that it names happens, in that order, and no other."""

from __future__ import annotations

import re

from tests.documents import text_of
from tests.faults.effects import Effects
from tests.faults.machine import Machine
from tests.faults.scenarios import submit
from tests.pipeline import Pipeline
from video_jobs.domain.job import Status


def walked() -> list[str]:
    section = text_of("docs/architecture.md").split("## One job, step by step")[1].split("\n## ")[0]
    return re.findall(r"^\| \d+ \| [^|]*\| [^|]*\(`([a-z_.]+)`\)", section, re.MULTILINE)


def test_the_walk_names_every_effect_of_a_job_in_order(sora: Pipeline) -> None:
    effects = Effects()
    machine = Machine(sora, effects, sweeping=False)
    job = submit(machine, "walk")
    machine.run_to_the_end()
    assert machine.job(job).status is Status.SUCCEEDED
    polls = [n for n, name in enumerate(effects.names) if name == "backend.get"]
    once = effects.names[: polls[0]] + effects.names[polls[-1] :]  # the polls before the last one are alike
    assert walked() == once, effects.names
