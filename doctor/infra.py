"""Reads from the templates what infra/ sets, to compare a deployed app with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

INFRA = Path(__file__).resolve().parents[1] / "infra"


def fixed_settings(infra: Path = INFRA) -> dict[str, str | None]:
    """The settings of every app, by name; None if the value differs by deployment. Raises OSError and ValueError."""
    text = (infra / "app.bicep").read_text(encoding="utf-8")
    block = text[text.index("resource appSettings ") :]
    block = block[block.index("union(") : block.index("    settings,")]
    found: dict[str, str | None] = {}
    for name, value in re.findall(r"^ +(\w+): (.+?)(?: //.*)?$", block, re.MULTILINE):
        literal = re.fullmatch(r"'([^'$]*)'", value)
        found[name] = literal[1] if literal else None
    return found


def references(infra: Path = INFRA) -> dict[str, str]:
    """Settings that are Key Vault references, and the parameters whose values are in the vault."""
    text = (infra / "main.bicep").read_text(encoding="utf-8")
    found = re.findall(r"empty\((\w+)\) \? \{\} : \{ (\w+): '@Microsoft\.KeyVault\(", text)
    return {setting: parameter for parameter, setting in found}


def optional_settings(infra: Path = INFRA) -> set[str]:
    """The settings that an app gets only with certain parameters. Raises OSError and ValueError."""
    text = (infra / "main.bicep").read_text(encoding="utf-8")
    derived = text[text.index("    settings: union(") : text.index("    references: references")]
    document = json.loads((infra / "main.parameters.json").read_text(encoding="utf-8"))
    return {
        *re.findall(r"[{,] ([A-Z][A-Z0-9_]+): ", derived),
        *references(infra),
        *document["parameters"]["settings"]["value"],
    }


def http_concurrency(infra: Path = INFRA) -> int:
    text = (infra / "app.bicep").read_text(encoding="utf-8")
    found = re.search(r"perInstanceConcurrency: (\d+)", text)
    return int(found[1]) if found else 1


def role_ids(template: str, infra: Path = INFRA) -> dict[str, str]:
    """The roles that a template or its hook assigns: ids by the template's names for them."""
    text = (infra / f"{template}.bicep").read_text(encoding="utf-8")
    return dict(re.findall(r"^var (\w+) = '([0-9a-f-]{36})'", text, re.MULTILINE))
