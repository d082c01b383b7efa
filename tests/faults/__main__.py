"""`make faults`: every crash point of every scenario, in both dialects; backends that answer anything; slots in use;
storage transactions.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.bench import transactions
from tests.faults import slot_use
from tests.faults.exploration import explore_life, start_process
from tests.faults.hostile_backend import live_many
from tests.faults.scenarios import LIVES

HOSTILE_LIVES = 1000
MOST_PROCESSES = 8  # each holds about 130 MB


def main() -> int:
    logging.disable(logging.CRITICAL)
    print("==> crash points", flush=True)
    began, explored, effects, broken = time.monotonic(), 0, 0, 0
    workers = min(os.cpu_count() or 1, MOST_PROCESSES)
    with ProcessPoolExecutor(workers, get_context("spawn"), start_process) as processes:
        for (play, dialect, variants), found in zip(LIVES, processes.map(explore_life, LIVES), strict=True):
            explored += found.explored
            effects += len(found.effects)
            broken += len(found.broken)
            kept = "all promises kept" if not found.broken else f"{len(found.broken)} broken"
            print(
                f"  {play.__name__:<32} {dialect:<14} {variants} video{'s' if variants > 1 else ' '} "
                f"{len(found.effects):>4} effects {found.explored:>5} lives  {kept}",
                flush=True,
            )
            for words in found.broken:
                print(f"      {words}")
    took = time.monotonic() - began
    print(f"  {effects} effects, {explored} crash points explored, {broken} promises broken, {took:.0f} s")
    print("==> backends that answer anything", flush=True)
    began = time.monotonic()
    try:
        live_many(HOSTILE_LIVES)
    except AssertionError as error:
        broken += 1
        print(f"  a promise is broken: {error}")
    print(f"  {HOSTILE_LIVES} lives, {time.monotonic() - began:.0f} s")
    print("==> slots in use, in simulated time", flush=True)
    slot_use.main()
    print("==> storage transactions", flush=True)
    transactions.run()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
