"""What a deployment would make, as Bicep's own compiler foretells it without Azure: resources, settings, outputs.

The parameters come from main.parameters.json, filled in from an environment as azd does it.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
COMPILER = ROOT.parent / "shared" / "azure" / "bicep"
NOBODY = "00000000-0000-0000-0000-00000000000"

pytestmark = [
    pytest.mark.skipif(
        not COMPILER.is_file(), reason="Bicep's compiler is not there, which foretells a deployment"
    ),
    pytest.mark.exhaustive,  # each compiles: make azure runs them too
]

PLAIN = {
    "AZURE_ENV_NAME": "demo",
    "AZURE_LOCATION": "swedencentral",
    "AZURE_PRINCIPAL_ID": f"{NOBODY}d",
    "VIDEO_RESOURCE_NAME": "my-openai",
    "VIDEO_RESOURCE_GROUP": "rg-my-openai",
}
ALL_ON = {
    **PLAIN,
    "AZURE_OPENAI_ENDPOINT": "https://gateway.example",
    "VIDEO_MAX_BYTES": "1048576",
    "OPENROUTER_API_KEY": "a-key",
    "SIGN_IN_CLIENT_ID": f"{NOBODY}c",
    "RETENTION_DAYS": "30",
    "INSTANCE_MEMORY_MB": "512",
    "ALWAYS_READY_HTTP": "1",
    "ALWAYS_READY_POLL": "2",
    "KEY_VAULT_NAME": "my-vault",
    "KEY_VAULT_RESOURCE_GROUP": "rg-vault",
    "COOL_AFTER_DAYS": "90",
    "PRIVATE_NETWORK": "true",
    "ALERT_EMAIL": "operator@example.com",
    "BUDGET_AMOUNT": "20",
    "BUDGET_START": "2026-11-01",
}


def literal(value: Any) -> str:
    """In Bicep's words."""
    if isinstance(value, dict):
        return "{\n" + "".join(f"{name}: {literal(item)}\n" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, bool | int):
        return str(value).lower()
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${") + "'"


def filled_in(value: Any, kind: str, environment: dict[str, str]) -> Any:
    """As azd does it: `${NAME=default}`, and text that is a number or a word where the parameter wants one."""
    if isinstance(value, dict):
        return {name: filled_in(item, "string", environment) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    text = re.sub(
        r"\$\{(\w+)(?:=([^}]*))?\}", lambda found: environment.get(found[1]) or found[2] or "", value
    )
    return {"int": int, "bool": lambda word: word == "true"}.get(kind, str)(text)


@functools.cache
def foretold(folder: Path, names: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    document = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))
    kinds = dict(re.findall(r"^param (\w+) (\w+)", (INFRA / "main.bicep").read_text(), re.MULTILINE))
    lines = [f"using '{Path(os.path.relpath(INFRA / 'main.bicep', folder)).as_posix()}'"]
    for name, given in document["parameters"].items():
        lines.append(f"param {name} = {literal(filled_in(given['value'], kinds[name], dict(names)))}")
    (folder / "main.bicepparam").write_text("\n".join(lines), encoding="utf-8")
    where = [
        "--subscription-id",
        f"{NOBODY}1",
        "--tenant-id",
        f"{NOBODY}2",
        "--location",
        "swedencentral",
        "--deployment-name",
        "demo",
    ]
    ran = subprocess.run(
        [COMPILER, "snapshot", folder / "main.bicepparam", "--mode", "overwrite", *where],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr[:500]
    snapshot: dict[str, Any] = json.loads((folder / "main.snapshot.json").read_text(encoding="utf-8"))
    assert snapshot["diagnostics"] == []
    return snapshot


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return foretold(tmp_path_factory.mktemp("plain"), tuple(PLAIN.items()))


@pytest.fixture(scope="module")
def all_on(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return foretold(tmp_path_factory.mktemp("all_on"), tuple(ALL_ON.items()))


def kinds(snapshot: dict[str, Any]) -> Counter[str]:
    return Counter(resource["type"].removeprefix("Microsoft.") for resource in snapshot["predictedResources"])


def only(snapshot: dict[str, Any], kind: str, name: str = "") -> Any:
    """The one resource of that type, whose name ends so."""
    [found] = [
        resource
        for resource in snapshot["predictedResources"]
        if resource["type"] == f"Microsoft.{kind}" and resource["name"].endswith(name)
    ]
    return found


def roles(snapshot: dict[str, Any]) -> Counter[str]:
    text = [
        str(resource["properties"]["roleDefinitionId"])
        for resource in snapshot["predictedResources"]
        if resource["type"] == "Microsoft.Authorization/roleAssignments"
    ]
    return Counter(each[-36:] for each in text)


def test_a_plain_deployment_makes_nothing_that_nobody_asked_for(plain: dict[str, Any]) -> None:
    made = kinds(plain)
    assert made["Web/sites"] == made["Web/serverfarms"] == made["Storage/storageAccounts"] == 1
    off = ("Network", "Consumption", "Insights/scheduledQueryRules", "Insights/metricAlerts")
    assert [kind for kind in made if kind.startswith(off)] == []
    assert made["Web/sites/config"] == 1  # the settings, and no sign-in
    site = only(plain, "Web/sites")["properties"]
    assert site["functionAppConfig"]["scaleAndConcurrency"] == {
        "instanceMemoryMB": 2048,
        "maximumInstanceCount": 40,
        "alwaysReady": [],
        "triggers": {"http": {"perInstanceConcurrency": 50}},
    }
    rules = only(plain, "Storage/storageAccounts/managementPolicies")["properties"]["policy"]["rules"]
    assert [rule["name"] for rule in rules] == ["delete-old-inputs"]


def test_the_app_and_whoever_deploys_hold_each_role_of_storage_and_the_app_those_of_the_rest(
    plain: dict[str, Any],
) -> None:
    assert sorted(roles(plain).values()) == [1, 1, 2, 2, 2]  # Insights, vault; blobs, queues, tables


def settings_of(snapshot: dict[str, Any]) -> str:
    return str(only(snapshot, "Web/sites/config", "/appsettings")["properties"])


def test_the_video_resource_gives_the_endpoint_and_a_setting_that_is_given_goes_before_it(
    plain: dict[str, Any], all_on: dict[str, Any]
) -> None:
    assert "'AZURE_OPENAI_ENDPOINT', format('https://{0}.openai.azure.com'" in settings_of(plain)
    assert "'AZURE_OPENAI_DEPLOYMENT', 'sora'" in settings_of(plain)
    assert "VIDEO_MAX_BYTES" not in settings_of(plain)
    assert "'AZURE_OPENAI_ENDPOINT', 'https://gateway.example'" in settings_of(all_on)
    assert "'VIDEO_MAX_BYTES', '1048576'" in settings_of(all_on)
    assert "'RETENTION_DAYS', '30'" in settings_of(all_on)
    assert "'SIGN_IN', 'easy-auth'" in settings_of(all_on)
    assert "a-key" not in settings_of(all_on)


def test_what_is_asked_for_is_made(all_on: dict[str, Any]) -> None:
    made = kinds(all_on)
    assert made["Network/privateEndpoints"] == made["Network/privateDnsZones"] == 3
    assert made["Network/virtualNetworks"] == made["Consumption/budgets"] == 1
    assert (made["Insights/scheduledQueryRules"], made["Insights/metricAlerts"]) == (9, 2)
    site = only(all_on, "Web/sites")["properties"]
    assert site["functionAppConfig"]["scaleAndConcurrency"]["instanceMemoryMB"] == 512
    assert site["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"] == [
        {"name": "http", "instanceCount": 1},
        {"name": "function:poll_job", "instanceCount": 2},
    ]
    assert "/subnets/app" in site["virtualNetworkSubnetId"]
    sign_in = only(all_on, "Web/sites/config", "/authsettingsV2")["properties"]
    assert sign_in["globalValidation"]["unauthenticatedClientAction"] == "Return401"
    storage = only(all_on, "Storage/storageAccounts")["properties"]
    assert (storage["publicNetworkAccess"], storage["networkAcls"]["defaultAction"]) == ("Disabled", "Deny")
    rules = only(all_on, "Storage/storageAccounts/managementPolicies")["properties"]["policy"]["rules"]
    assert [rule["name"] for rule in rules] == ["delete-old-inputs", "cool-old-videos"]
    assert only(all_on, "Consumption/budgets")["properties"]["amount"] == 20


def test_no_resource_takes_a_shared_key_and_names_are_as_azure_wants_them(all_on: dict[str, Any]) -> None:
    assert only(all_on, "Storage/storageAccounts")["properties"]["allowSharedKeyAccess"] is False
    assert only(all_on, "Insights/components")["properties"]["DisableLocalAuth"] is True
    assert re.fullmatch("[a-z0-9]{3,24}", only(all_on, "Storage/storageAccounts")["name"])
    assert re.fullmatch("[a-z0-9-]{3,24}", only(all_on, "KeyVault/vaults")["name"])
    assert re.fullmatch("[a-z0-9-]{2,60}", only(all_on, "Web/sites")["name"])


def test_nothing_is_made_outside_the_group_that_azd_down_deletes(all_on: dict[str, Any]) -> None:
    """azd deletes every group in which a deployment has made anything, a video resource's group too."""
    made = [resource["id"] for resource in all_on["predictedResources"]]
    assert [
        each for each in made if "rg-demo" not in each or "rg-my-openai" in each or "rg-vault" in each
    ] == []


def test_the_roles_at_resources_of_others_are_told_to_the_hook(
    plain: dict[str, Any], all_on: dict[str, Any]
) -> None:
    group = f"/subscriptions/{NOBODY}1/resourceGroups"
    video = f"a97b65f3-24c7-4388-baec-2e87135dc908={group}/rg-my-openai/providers/Microsoft.CognitiveServices/accounts/my-openai"
    vault = (
        f"4633458b-17de-408a-b874-0445c86b69e6={group}/rg-vault/providers/Microsoft.KeyVault/vaults/my-vault"
    )
    assert plain["outputs"]["ROLES_ELSEWHERE"] == video
    assert all_on["outputs"]["ROLES_ELSEWHERE"] == f"{video} {vault}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"VIDEO_RESOURCE_GROUP": ""}, "VIDEO_RESOURCE_NAME and VIDEO_RESOURCE_GROUP belong together"),
        (
            {"KEY_VAULT_GROUP": "", "KEY_VAULT_NAME": "v"},
            "KEY_VAULT_NAME and KEY_VAULT_RESOURCE_GROUP belong",
        ),
        ({"BUDGET_AMOUNT": "20"}, "BUDGET_AMOUNT needs BUDGET_START"),
    ],
)
def test_what_is_given_by_half_is_refused_in_words(given: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        foretold(tmp_path, tuple({**PLAIN, **given}.items()))


def test_a_deployment_tells_the_address_of_the_page(plain: dict[str, Any], all_on: dict[str, Any]) -> None:
    assert "/api/studio" in str(plain["outputs"]["STUDIO_URL"])
    assert "/.auth/login/aad?post_login_redirect_uri=" in str(all_on["outputs"]["STUDIO_URL"])
