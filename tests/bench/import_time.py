"""What the app's own code adds to a cold start, beyond the libraries that it can't do without."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from tests.bench.report import say, spread, table, verdict

ROUNDS = 15
GOAL = 60.0  # milliseconds

# Both in one interpreter, and in processor time, since nothing here waits: two processes of the same code
# differ by more than what is measured.
_TIMED = (
    "from time import process_time as now; began = now(); {}; between = now();"
    " import function_app; print(between - began, now() - between)"
)
_EXPENSIVE = "azure.identity"  # only for those who sign in with an identity
_PRESENT = f"import sys, function_app; print({_EXPENSIVE!r} in sys.modules)"

# As the app imports them. `import pydantic` alone loads next to nothing of it: the rest comes with a model.
_LIBRARIES = (
    "import azure.functions, azure.storage.blob, azure.storage.queue, azure.data.tables, imagesize, requests;"
    " from pydantic import BaseModel, ConfigDict, TypeAdapter;"
    " type('Model', (BaseModel,), {'model_config': ConfigDict(defer_build=True)})"
)


def run() -> None:
    say(f"Import time: {ROUNDS} fresh interpreters each, in turn")
    with (
        tempfile.TemporaryDirectory(prefix="reelkeep-bench-") as whole,
        tempfile.TemporaryDirectory(prefix="reelkeep-bench-") as without_app,
    ):
        _fresh("import function_app", whole)
        _fresh(_LIBRARIES, without_app)
        compiled, uncompiled = [], []
        for _ in range(ROUNDS):
            compiled.append(_milliseconds(whole))
            # A deployed package that nobody may write to is compiled at every start.
            uncompiled.append(_milliseconds(without_app, "-B"))
        identity = _fresh(_PRESENT, whole) == "True"
    libraries = [first for first, _ in compiled]
    measured = {
        "the libraries alone": libraries,
        "the app above them": [second for _, second in compiled],
        "the same, uncompiled": [second for _, second in uncompiled],
    }
    base = statistics.median(libraries)
    rows = [
        [
            name,
            f"{min(values):.0f} ms",
            f"{statistics.median(values):.0f} ms",
            spread(values),
            f"{statistics.median(values) / base:.2f}",
        ]
        for name, values in measured.items()
    ]
    table("Import time", ["", "best", "median", "spread", "ratio"], rows)
    above = statistics.median(measured["the app above them"])
    say(f"  above the libraries, median, ms: {verdict(above, f'≤ {GOAL:.0f}', above <= GOAL)}")
    say(f"  {_EXPENSIVE} is imported: {'yes, and should not be' if identity else 'no, as it should be'}")


def _milliseconds(bytecode: str, *options: str) -> tuple[float, float]:
    """What the libraries took, and what the app took after them."""
    first, second = _fresh(_TIMED.format(_LIBRARIES), bytecode, *options).split()
    return float(first) * 1000, float(second) * 1000


def _fresh(code: str, bytecode: str, *options: str) -> str:
    """What the code prints in an interpreter of its own, which keeps its bytecode in the folder `bytecode`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env=environment | {"PYTHONPYCACHEPREFIX": bytecode},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
