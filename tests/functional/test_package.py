"""What is deployed is what the app needs: no more, no less, and it starts.

`.funcignore` is read in two ways: azd and VS Code follow git's rules (the last line that fits decides, and nothing is let
in below a folder that is left out); in Core Tools a line fits whatever begins like it, and what one line lets in stays in.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from modulefinder import ModuleFinder
from pathlib import Path

import pytest

from tests.packaging import by_git
from video_jobs.backends.providers import TASK_APIS

ROOT = Path(__file__).parents[2]
PATTERNS = [
    line
    for line in map(str.strip, (ROOT / ".funcignore").read_text().splitlines())
    if line and not line.startswith("#")
]
SETTINGS = {"function_app.py", "host.json", "requirements.txt"}
STATIC = ("web/static", "contract_api/static")


def by_core_tools(root: Path) -> set[str]:
    def pattern(line: str) -> re.Pattern[str]:
        parts = re.split(r"(\*\*|\*)", line.removeprefix("!").removeprefix("/"))
        return re.compile("".join({"**": ".+", "*": "[^/]+"}.get(part, re.escape(part)) for part in parts))

    let_in = [pattern(line) for line in PATTERNS if line.startswith("!")]
    left_out = [pattern(line) for line in PATTERNS if not line.startswith("!")]
    paths = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return {
        path
        for path in paths
        if any(each.match(path) for each in let_in) or not any(each.match(path) for each in left_out)
    }


def needed() -> set[str]:
    """The modules that the app imports, lazy imports included, its page's files and its settings."""
    finder = ModuleFinder(path=[str(ROOT)])
    finder.run_script(str(ROOT / "function_app.py"))
    modules = {
        Path(module.__file__).relative_to(ROOT).as_posix()
        for module in finder.modules.values()
        if module.__file__ is not None
    }
    static = {path.relative_to(ROOT).as_posix() for folder in STATIC for path in (ROOT / folder).iterdir()}
    providers = {f"video_jobs/backends/providers/{dialect}.py" for dialect in TASK_APIS}  # imported by name
    return modules | providers | static | SETTINGS


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return by_git(ROOT, tmp_path_factory.mktemp("git"))


def test_what_is_deployed_is_exactly_what_the_app_needs(packaged: set[str]) -> None:
    assert packaged == needed()


def test_core_tools_and_git_read_the_list_alike(tmp_path: Path, packaged: set[str]) -> None:
    here = tmp_path / "app"
    extra = {
        ".env",
        "local.settings.json",
        "local.settings.prod.json",
        "notes.txt",
        "key",
        "build/app.zip",
        "job_api/.env",
        "job_api/key.pem",
        "job_api/__pycache__/act.cpython-311.pyc",
        "video_jobs/net/__pycache__/pinned.cpython-311.pyc",
        "new_folder/__init__.py",
        "new_folder/host.json",
        "tests/function_app.py",
        "tests/requirements.txt",
        "docs/reference/api.md",
        "Makefile",
        "local/azurite/node_modules/a/LICENSE",
        ".venv/lib/host.json",
        ".git/HEAD",
    }
    for path in packaged | extra:
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).touch()
    shutil.copy(ROOT / ".funcignore", here)
    assert by_core_tools(here) == packaged
    assert by_git(here, tmp_path) == packaged


def test_what_is_deployed_has_all_the_apps_functions(tmp_path: Path, packaged: set[str]) -> None:
    for path in packaged:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    ask = (
        "import function_app; print(*sorted(f.get_function_name() for f in function_app.app.get_functions()))"
    )
    names = [
        subprocess.run([sys.executable, "-c", ask], cwd=place, check=True, capture_output=True, text=True)
        for place in (tmp_path, ROOT)
    ]
    assert names[0].stdout == names[1].stdout != "\n"
