"""Joins the page's modules into one script and its style sheets into one: the Functions host refuses many requests at once.

Each module becomes a function, so that names don't collide. It understands the imports and exports that the page uses:
named imports, `import * as`, and `export` before a declaration, each on its own line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{ ([^}]+) \}) from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const|let) (\w+))", re.MULTILINE)


def script_of(entry: Path) -> bytes:
    """The module and everything that it imports, in the order of need. Raises ValueError for circular imports, or
    for an import or export of another form."""
    done: dict[Path, str] = {}
    _add(entry, done, ())
    return "\n".join(done.values()).encode()


def style_of(sheets: Iterable[Path]) -> bytes:
    return b"\n".join(sheet.read_bytes() for sheet in sheets)


def _add(module: Path, done: dict[Path, str], importers: tuple[Path, ...]) -> None:
    if module in importers:
        raise ValueError(f"{module.name} imports itself, by way of {importers[-1].name}")
    if module in done:
        return
    source = module.read_text(encoding="utf-8")
    for _, _, name in _IMPORT.findall(source):
        _add(module.with_name(f"{name}.js"), done, (*importers, module))
    exports = ", ".join(name for _, name in _EXPORT.findall(source))
    body = _EXPORT.sub(r"\1", _IMPORT.sub(_as_constant, source))
    if odd := re.search(r"^(?:import|export)\b.*", body, re.MULTILINE):
        raise ValueError(f"{module.name} has an import or export of another form: {odd[0]}")
    done[module] = (
        f"// {module.name}\nconst ${module.stem} = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();\n"
    )


def _as_constant(statement: re.Match[str]) -> str:
    whole, names, module = statement.groups()
    return f"const {whole or '{ ' + names + ' }'} = ${module};\n"
