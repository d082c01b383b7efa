"""`python -m tests.bench`: all measurements, or those named on the command line."""

from __future__ import annotations

import argparse

from tests.bench import (
    fetch_speed,
    idle,
    images,
    import_time,
    memory,
    polling,
    promptness,
    transactions,
    waiting_line,
)
from tests.bench.report import say

MEASUREMENTS = {
    "fetch_speed": fetch_speed.run,
    "memory": memory.run,
    "images": images.run,
    "import_time": import_time.run,
    "transactions": transactions.run,
    "polling": polling.run,
    "promptness": promptness.run,
    "waiting_line": waiting_line.run,
    "idle": idle.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="What Reelkeep costs.")
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of: {', '.join(MEASUREMENTS)} (default: all)"
    )
    names = parser.parse_args().names or list(MEASUREMENTS)
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(MEASUREMENTS)}")
    for name in names:
        say(f"==> {name}")
        MEASUREMENTS[name]()
        say("")


if __name__ == "__main__":
    main()
