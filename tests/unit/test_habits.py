"""What contributors and their tools rely on: versions, workflows, hooks."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from typing import Any

import yaml

from tests.documents import ROOT, text_of

GITHUB = ROOT / ".github"
MAKEFILE = text_of("Makefile")


def read(name: str) -> Any:
    return yaml.safe_load(text_of(name))


def steps() -> list[dict[str, Any]]:
    jobs = [
        job
        for path in GITHUB.glob("workflows/*.yml")
        for job in yaml.safe_load(path.read_text())["jobs"].values()
    ]
    actions = [yaml.safe_load(path.read_text())["runs"] for path in GITHUB.glob("actions/*/action.yml")]
    return [step for part in (*jobs, *actions) for step in part["steps"]]


def test_versions_have_dates_and_the_newest_is_the_projects() -> None:
    headings = re.findall(r"^## (.+)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    versions = [re.fullmatch(r"(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    dates = [date.fromisoformat(found[2]) for found in versions if found]
    assert len(dates) == len(versions) > 0
    assert dates == sorted(dates, reverse=True)
    assert versions[0] is not None
    assert versions[0][1] == tomllib.loads(text_of("pyproject.toml"))["project"]["version"]


def test_workflows_call_targets_that_exist_and_run_everything() -> None:
    called = {found[1] for step in steps() if (found := re.match(r"make (\S+)", step.get("run", "")))}
    assert called >= {"lint", "test", "test-runtime", "faults", "soak"}
    for target in called - {".venv/.dev-ready"}:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_actions_are_pinned_by_their_commit() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert len(used) > 5
    for name in used:
        assert name.startswith("./.github/") or re.search(r"@[0-9a-f]{40}$", name), name


def test_a_commit_is_held_to_the_tools_of_make_lint() -> None:
    hooks = [hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks}
    lint = MAKEFILE.split("\nlint:")[1].split("\n\n")[0]
    assert tools == set(re.findall(r"\$\(VENV\)/bin/([\w-]+)", lint))
    assert {hook["language"] for hook in hooks} == {"system"}


def test_the_dev_container_sets_up_what_the_tests_need() -> None:
    container = json.loads(text_of(".devcontainer/devcontainer.json"))
    assert container["postCreateCommand"] == "make .venv/.dev-ready"
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).exists()


def test_dependabot_watches_every_folder_with_dependencies() -> None:
    updates = read(".github/dependabot.yml")["updates"]
    watched = {
        folder for update in updates for folder in [update.get("directory"), *update.get("directories", [])]
    }
    locks = [path for path in ROOT.rglob("package-lock.json") if "node_modules" not in path.parts]
    assert {f"/{path.parent.relative_to(ROOT)}" for path in locks} <= watched
    assert {update["package-ecosystem"] for update in updates} >= {"pip", "npm", "github-actions"}
