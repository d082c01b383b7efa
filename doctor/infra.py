"""What infra/ sets, read from its templates: for comparing a deployed app with them."""

from __future__ import annotations

import json
import re
from pathlib import Path

INFRA = Path(__file__).resolve().parents[1] / "infra"


def fixed_settings(infra: Path = INFRA) -> dict[str, str | None]:
    """What every app gets, by name; None where the value is the deployment's own. Raises OSError and ValueError."""
    text = (infra / "app.bicep").read_text(encoding="utf-8")
    block = text[text.index("resource appSettings ") :]
    block = block[block.index("union(") : block.index("    settings,")]
    found: dict[str, str | None] = {}
    for name, value in re.findall(r"^ +(\w+): (.+?)(?: //.*)?$", block, re.MULTILINE):
        literal = re.fullmatch(r"'([^'$]*)'", value)
        found[name] = literal[1] if literal else None
    return found


def references(infra: Path = INFRA) -> dict[str, str]:
    """Settings that are Key Vault references, and the parameters whose values lie in the vault."""
    text = (infra / "main.bicep").read_text(encoding="utf-8")
    found = re.findall(r"empty\((\w+)\) \? \{\} : \{ (\w+): '@Microsoft\.KeyVault\(", text)
    return {setting: parameter for parameter, setting in found}


def optional_settings(infra: Path = INFRA) -> set[str]:
    """What an app gets where its parameters say so. Raises OSError and ValueError."""
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
    """The roles that a template assigns, or has its hook assign: ids by the names that it has for them."""
    text = (infra / f"{template}.bicep").read_text(encoding="utf-8")
    return dict(re.findall(r"^var (\w+) = '([0-9a-f-]{36})'", text, re.MULTILINE))
