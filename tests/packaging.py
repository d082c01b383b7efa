"""What would be deployed, as azd and VS Code read `.funcignore`: by git's rules."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def packed(scratch: Path) -> Path:
    """A folder with what azd would send."""
    folder = scratch / "package"
    for path in by_git(ROOT, scratch):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


def by_git(root: Path, scratch: Path) -> set[str]:
    """What git would see in the folder if `.funcignore` were its only list."""
    git = ["git", f"--git-dir={scratch / 'git'}", f"--work-tree={root}"]
    subprocess.run([*git, "init", "--quiet"], check=True, env=_only_git(scratch))
    listing = [*git, "ls-files", "--others", "-z", f"--exclude-from={root / '.funcignore'}"]
    found = subprocess.run(
        listing, check=True, env=_only_git(scratch), cwd=root, capture_output=True, text=True
    )
    return set(filter(None, found.stdout.split("\0")))


def _only_git(home: Path) -> dict[str, str]:
    nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return {"PATH": os.environ["PATH"], "HOME": str(home), **nowhere}
