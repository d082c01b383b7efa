"""The settings that the app would see here: those of the environment, and those of local.settings.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from doctor.findings import Finding, right, warning, wrong

FILE = "local.settings.json"

_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CONNECTION|STORAGE$", re.IGNORECASE)
_SHORTEST_SECRET = 6  # characters: a shorter value occurs inside other words


@dataclass(frozen=True)
class Environment:
    values: Mapping[str, str]
    from_file: frozenset[str]  #: names whose value is the file's
    findings: tuple[Finding, ...]  #: about the file
    elsewhere: str = "the environment"  #: where the others come from

    def origin(self, name: str) -> str:
        return FILE if name in self.from_file else self.elsewhere

    def secrets(self) -> Iterator[str]:
        """All values that must not be printed, judged by the settings' names."""
        for name, value in self.values.items():
            if _SECRET_NAME.search(name):
                for piece in (value, *re.split(r"[,;\s\"]|AccountKey=|SharedAccessSignature=", value)):
                    if "://" not in piece:
                        piece = piece.rpartition(":")[2]  # owner:key
                    if len(piece) >= _SHORTEST_SECRET and not re.match(r"\w+://|\w+=[^=]", piece):
                        yield piece


def read_environment(environment: MutableMapping[str, str], folder: Path) -> Environment:
    """Like Core Tools: settings in the environment win, and the file adds the others. They are added to the environment
    itself, since libraries read theirs there (AZURE_CLIENT_ID, HTTPS_PROXY).
    """
    path = folder / FILE
    if not path.is_file():
        return Environment(environment, frozenset(), ())
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        values = document["Values"]
        encrypted = bool(document.get("IsEncrypted"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        words = f"{path} can't be read: it must be a JSON object with the settings under Values."
        return Environment(
            environment, frozenset(), (wrong("file", words, "Begin with local.settings.example.json."),)
        )
    if encrypted:
        words = f"{path} is encrypted, and only Core Tools can read it."
        return Environment(environment, frozenset(), (wrong("file", words, "Run: func settings decrypt"),))
    if not isinstance(values, dict):
        return Environment(environment, frozenset(), (wrong("file", f"Values in {path} must be an object."),))
    findings = []
    no_text = sorted(name for name, value in values.items() if not isinstance(value, str))
    if no_text:
        words = f"{path}: only text can be a setting, and these are none: {', '.join(no_text)}."
        findings.append(wrong("file", words, "Put each value into quotation marks."))
    given = {name: value for name, value in values.items() if isinstance(value, str)}
    added = {name: value for name, value in given.items() if name not in environment}
    kept = sorted(name for name, value in given.items() if name in environment and environment[name] != value)
    environment.update(added)
    findings.append(right("file", f"{path} gives {len(added)} settings that the environment does not have."))
    if kept:
        words = (
            f"The environment has its own values for these settings, and they are used: {', '.join(kept)}."
        )
        findings.append(warning("file", words))
    return Environment(environment, frozenset(added), tuple(findings))
