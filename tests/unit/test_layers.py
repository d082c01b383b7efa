"""What import-linter can't say: the package below the function folders knows nothing of the Functions programming model."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_module_below_the_function_folders_imports_azure_functions() -> None:
    modules = list((ROOT / "video_jobs").rglob("*.py"))
    assert len(modules) > 50
    assert [path.name for path in modules if "azure.functions" in imported(path)] == []


def test_the_package_has_at_most_a_dozen_rooms() -> None:
    rooms = {path.name for path in (ROOT / "video_jobs").iterdir() if path.name != "__pycache__"}
    assert len(rooms - {"__init__.py"}) <= 12


def test_no_test_module_imports_another() -> None:
    modules = list((ROOT / "tests").rglob("test_*.py"))
    assert len(modules) > 80
    importing = re.compile(r"^\s*(from|import) tests\.\S*test_", re.MULTILINE)
    assert [path.name for path in modules if importing.search(path.read_text())] == []
