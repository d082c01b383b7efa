"""Tables for people to read."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def say(text: str) -> None:
    """What is going on, at once."""
    print(text, flush=True)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 0) -> None:
    """The first column stands to the left, numbers to the right, the last `words` columns to the left again."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    left = {0, *range(len(head) - words, len(head))}

    def line(row: Sequence[str]) -> str:
        cells = (
            text.ljust(width) if at in left else text.rjust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        return ("  " + "  ".join(cells)).rstrip()

    rule = "  " + "-" * (sum(widths) + 2 * len(widths) - 2)
    say("\n".join(["", title, line(head), rule, *map(line, rows), ""]))


def verdict(value: float, goal: str, reached: bool) -> str:
    return f"{value:.4g} (goal {goal}: {'reached' if reached else 'missed'})"


def spread(values: Sequence[float]) -> str:
    """The middle half of the values, as a share of their median."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{(high - low) / middle:.0%}"
