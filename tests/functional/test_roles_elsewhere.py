"""The roles at resources of other groups: given after a deployment and taken away before its end, by the Azure CLI."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VIDEO = (
    "/subscriptions/s/resourceGroups/rg-my-openai/providers/Microsoft.CognitiveServices/accounts/my-openai"
)
VAULT = "/subscriptions/s/resourceGroups/rg-vault/providers/Microsoft.KeyVault/vaults/my-vault"
GIVEN = {
    "ROLES_ELSEWHERE": f"role-1={VIDEO} role-2={VAULT}",
    "IDENTITY_PRINCIPAL_ID": "the-identity",
    "AZURE_SUBSCRIPTION_ID": "s",
}

AZ = """#!{python}
import json, pathlib, sys
with (pathlib.Path(__file__).parent / "asked").open("a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit({code})
"""

pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="there is no sh here")


def run(
    folder: Path, event: str, given: dict[str, str], code: int | None = 0
) -> tuple[int, str, list[list[str]]]:
    """As azd runs the hook, with an `az` that ends with this code, or without one."""
    if code is not None:
        (folder / "az").write_text(AZ.format(python=sys.executable, code=code))
        (folder / "az").chmod(0o755)
    (folder / "sh").symlink_to(shutil.which("sh") or "")
    hook = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))["hooks"][event]["posix"]
    ran = subprocess.run(
        [folder / hook["shell"], "-c", hook["run"]],
        cwd=ROOT,
        env={"PATH": str(folder), **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    asked = folder / "asked"
    lines = asked.read_text().splitlines() if asked.exists() else []
    return ran.returncode, ran.stdout + ran.stderr, [json.loads(line) for line in lines]


@pytest.mark.parametrize(("event", "verb"), [("postprovision", "create"), ("predown", "delete")])
def test_each_role_is_given_after_a_deployment_and_taken_away_before_the_end(
    event: str, verb: str, tmp_path: Path
) -> None:
    code, _, asked = run(tmp_path, event, GIVEN)
    assert code == 0
    assert [each[:3] for each in asked] == [["role", "assignment", verb]] * 2
    assert [each[each.index("--role") + 1] for each in asked] == ["role-1", "role-2"]
    assert [each[each.index("--scope") + 1] for each in asked] == [VIDEO, VAULT]
    for each in asked:
        assert "the-identity" in each
        assert each[each.index("--subscription") + 1] == "s"


def test_a_deployment_that_needs_no_such_role_needs_no_azure_cli(tmp_path: Path) -> None:
    assert run(tmp_path, "postprovision", {**GIVEN, "ROLES_ELSEWHERE": ""}, None) == (0, "", [])


def test_without_the_azure_cli_it_says_what_to_do(tmp_path: Path) -> None:
    code, said, _ = run(tmp_path, "postprovision", GIVEN, None)
    assert (code, "need the Azure CLI (az). Install it" in said) == (1, True)


def test_a_role_that_is_refused_ends_the_hook(tmp_path: Path) -> None:
    code, said, asked = run(tmp_path, "postprovision", GIVEN, 1)
    assert (code, len(asked)) == (1, 1)
    assert VIDEO in said


def test_what_can_not_be_taken_away_keeps_nobody_from_the_end(tmp_path: Path) -> None:
    code, said, asked = run(tmp_path, "predown", GIVEN, 3)
    assert (code, len(asked)) == (0, 2)
    assert "It is not, or there was none." in said


def test_the_end_needs_no_azure_cli(tmp_path: Path) -> None:
    code, said, _ = run(tmp_path, "predown", GIVEN, None)
    assert (code, "need the Azure CLI (az)" in said) == (0, True)


def test_the_script_for_windows_asks_for_the_same() -> None:
    texts = [
        (ROOT / "infra" / f"roles-elsewhere.{kind}").read_text(encoding="utf-8") for kind in ("sh", "ps1")
    ]
    plain = [re.sub(r"[\"`\\$]|env:|\s+", " ", text) for text in texts]
    commands = [
        re.findall(r"az role assignment (?:[^-]|-(?!-output))+", re.sub(" +", " ", text)) for text in plain
    ]
    assert commands[0] == commands[1]
    assert len(commands[0]) == 2
    hooks = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))["hooks"]
    for event, word in (("postprovision", "give"), ("predown", "take")):
        assert hooks[event]["windows"]["run"] == f"./infra/roles-elsewhere.ps1 {word}"
