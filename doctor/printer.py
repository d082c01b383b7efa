"""The report as people read it: aligned lines, colour on a terminal only, and never a secret."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from doctor.findings import Finding, Mark

_SIGNS = {Mark.RIGHT: "✓", Mark.WARNING: "!", Mark.WRONG: "✗", Mark.UNKNOWN: "?"}
_PLAIN_SIGNS = {**_SIGNS, Mark.RIGHT: "+", Mark.WRONG: "x"}  # for a terminal that can't show the others
_COLOURS = {Mark.RIGHT: "32", Mark.WARNING: "33", Mark.WRONG: "31", Mark.UNKNOWN: "36"}
_SUBJECT = 13  # columns
_WIDTH = 110  # columns, if the terminal does not tell
_SHORTEST_SECRET = 8  # characters: a shorter secret is part of many words, which would become unreadable
_SIGNATURE = re.compile(r"\b(sig|signature|token|code|key)=[^&\s\"']+", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """Of a table."""

    cells: tuple[str, ...]
    mark: Mark | None = None
    below: str = ""  #: a line of its own, as long as it likes


class Printer:
    """Prints the report and counts the findings.

    Args:
        secrets: values that must not be printed, in whichever text they occur.
    """

    def __init__(self, out: TextIO, environment: Mapping[str, str], secrets: Iterable[str]) -> None:
        terminal = out.isatty()
        self._out = out
        self._colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self._width = max(60, shutil.get_terminal_size((_WIDTH, 24)).columns if terminal else _WIDTH)
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        self._signs, self._arrow, self._rest = _SIGNS, "→", "…"
        if not _can_say(out, "✓✗→…"):
            self._signs, self._arrow, self._rest = _PLAIN_SIGNS, "->", "..."
        self.counts = dict.fromkeys(Mark, 0)

    @property
    def all_right(self) -> bool:
        return not self.counts[Mark.WRONG]

    def title(self, text: str) -> None:
        self.line()
        self.line(self._in_colour("1", self._clean(text)))

    def findings(self, findings: Iterable[Finding]) -> None:
        """Print each finding at once, since a check may take seconds."""
        for finding in findings:
            self.finding(finding)

    def finding(self, finding: Finding) -> None:
        self.counts[finding.mark] += 1
        sign = self._in_colour(_COLOURS[finding.mark], self._signs[finding.mark])
        subject = self._clean(finding.subject)
        indent = " " * (_SUBJECT + 6)
        first, *others = self._wrapped(finding.words, len(indent))
        self.line(f"  {sign} {subject:<{_SUBJECT}}  {first}")
        for text in others:
            self.line(indent + text)
        if finding.advice:
            first, *others = self._wrapped(finding.advice, len(indent) + 3)
            self.line(f"{indent}{self._arrow} {first}")
            for text in others:
                self.line(f"{indent}  {text}")

    def paragraph(self, text: str) -> None:
        for line in self._wrapped(text, 2):
            self.line(f"  {line}")

    def command(self, text: str) -> None:
        """A line to copy, which is never wrapped."""
        self.line(f"    {self._clean(text)}")

    def table(self, header: Sequence[str], rows: Sequence[Row]) -> None:
        """Aligned columns."""
        cells = [[self._clean(cell) for cell in row] for row in (header, *(row.cells for row in rows))]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells
        ]
        self.line(f"    {lines[0]}".rstrip())
        for row, line in zip(rows, lines[1:], strict=True):
            sign = " " if row.mark is None else self._in_colour(_COLOURS[row.mark], self._signs[row.mark])
            self.line(f"  {sign} {line}".rstrip())
            if row.below:
                self.line(f"        {self._clean(row.below)}")

    def line(self, text: str = "") -> None:
        print(text, file=self._out, flush=True)

    def _wrapped(self, text: str, indent: int) -> list[str]:
        return textwrap.wrap(
            self._clean(text), max(self._width - indent, 40), break_long_words=False, break_on_hyphens=False
        ) or [""]

    def _clean(self, text: str) -> str:
        """On one line, without control characters, since much of the text comes from other servers."""
        text = "".join(c if c.isprintable() else " " for c in hidden(text, self._secrets))
        text = text.replace("…", self._rest)
        encoding = self._out.encoding or "utf-8"
        return text.encode(encoding, "replace").decode(encoding)

    def _in_colour(self, colour: str, text: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets, and without anything that looks like a signature."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[removed]")
    return _SIGNATURE.sub(r"\1=[removed]", text)


def _can_say(out: TextIO, text: str) -> bool:
    try:
        text.encode(out.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
