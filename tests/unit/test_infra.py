"""infra/ compiles, fits Azure's types, and sets what the app and the host read: no less, no more, and no secret."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from doctor.environment import Environment
from doctor.infra import fixed_settings, optional_settings, references, role_ids
from doctor.settings_check import NAMES, _runtime
from doctor.storage_check import _ROLES
from video_jobs.settings.app import Settings

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
TOOLS = ROOT.parent / "shared" / "azure"  # Bicep's compiler and Azure's types, where somebody has put them

HOST_READS = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureFunctionsJobHost__extensions__queues__batchSize",
    "AzureFunctionsJobHost__extensions__queues__newBatchThreshold",
    "AzureWebJobsDisableHomepage",
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
    "PYTHON_THREADPOOL_THREAD_COUNT",
}
REFUSED_IN_AZURE = {"WEBHOOK_ALLOW_HTTP_LOOPBACK"}
SECRETS = {
    "ARK_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "FAL_KEY",
    "GEMINI_API_KEY",
    "OPENAI_COMPAT_API_KEYS",
    "OPENROUTER_API_KEY",
    "REPLICATE_API_TOKEN",
    "RUNWAYML_API_SECRET",
    "WEBHOOK_SECRETS",
    "WEBHOOK_URL",
    "XAI_API_KEY",
}
ROLE_IDS = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Cognitive Services User": "a97b65f3-24c7-4388-baec-2e87135dc908",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
}


@functools.cache
def bicep(name: str) -> str:
    return (INFRA / f"{name}.bicep").read_text(encoding="utf-8")


def parameters() -> dict[str, object]:
    document = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))
    return {name: given["value"] for name, given in document["parameters"].items()}


def set_by_infra() -> set[str]:
    """Every setting that the templates or their parameters name."""
    return {*fixed_settings(), *optional_settings()}


# --- settings ------------------------------------------------------------------------------------


def test_each_setting_of_infra_is_read_by_the_app_or_the_host() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "video_jobs").rglob("*.py"))
    assert "AZURE_CLIENT_ID" in set_by_infra()
    assert {name for name in set_by_infra() - HOST_READS if name not in code} == set()


def test_each_setting_of_the_app_can_be_set_by_infra() -> None:
    assert set(NAMES) - REFUSED_IN_AZURE - set_by_infra() == set()


def test_each_secret_is_a_reference_to_the_vault_and_a_secure_parameter() -> None:
    assert references().keys() == SECRETS
    for parameter in references().values():
        for name in ("main", "vault"):
            assert re.search(rf"@secure\(\)\nparam {parameter} string", bicep(name)), (parameter, name)
    given = parameters()["settings"]
    assert isinstance(given, dict)
    assert not SECRETS & given.keys()


def test_each_reference_names_a_secret_that_the_vault_gets() -> None:
    named = set(re.findall(r"secrets/([\w-]+)\)'", bicep("main")))
    assert named == set(re.findall(r"secretName: '([\w-]+)'", bicep("vault")))


def test_each_parameter_can_be_set_and_is_one() -> None:
    assert parameters().keys() == set(re.findall(r"^param (\w+)", bicep("main"), re.MULTILINE))


def test_a_parameter_that_is_not_set_has_its_default() -> None:
    defaults = dict(re.findall(r"^param (\w+) \w+ = '?([^'\n]*)'?$", bicep("main"), re.MULTILINE))
    for name, value in parameters().items():
        if isinstance(value, str) and "=" in value:
            assert re.fullmatch(r"\$\{[A-Z_]+=(.*)\}", value)[1] == defaults[name], name  # type: ignore[index]


def test_flex_gets_no_setting_that_it_rejects_and_storage_no_key() -> None:
    other_plans = {
        "FUNCTIONS_EXTENSION_VERSION",
        "FUNCTIONS_WORKER_PROCESS_COUNT",
        "FUNCTIONS_WORKER_RUNTIME",
        "SCM_DO_BUILD_DURING_DEPLOYMENT",
        "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
        "WEBSITE_CONTENTSHARE",
        "WEBSITE_RUN_FROM_PACKAGE",
        "WEBSITE_VNET_ROUTE_ALL",
    }
    assert not set_by_infra() & {*other_plans, "AzureWebJobsStorage"}
    for property_name in ("alwaysOn", "ftpsState", "linuxFxVersion"):
        assert property_name not in bicep("app")
    assert "allowSharedKeyAccess: false" in bicep("storage")


def test_what_is_always_ready_is_a_function_of_the_app() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("*_*/blueprint.py"))
    ready = re.findall(r"name: 'function:(\w+)'", bicep("main"))
    assert ready
    assert set(ready) <= set(re.findall(r'function_name\("(\w+)"\)', code))


def test_the_app_takes_what_infra_sets() -> None:
    account = "https://stexample.{}.core.windows.net/"
    Settings.from_environment(
        {
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": "00000000-0000-0000-0000-000000000001",
            "AzureWebJobsStorage__accountName": "stexample",
            **{f"AzureWebJobsStorage__{kind}ServiceUri": account.format(kind) for kind in _KINDS},
            "AZURE_OPENAI_ENDPOINT": "https://example.openai.azure.com",
            "AZURE_OPENAI_DEPLOYMENT": "sora",
            "RETENTION_DAYS": "0",
        }
    )


_KINDS = ("blob", "queue", "table")


# --- roles -----------------------------------------------------------------------------------------


def assigned(name: str) -> set[str]:
    """Ids of the roles that a template assigns."""
    text = bicep(name)
    variables = dict(re.findall(r"^var (\w+) = '([0-9a-f-]{36})'", text, re.MULTILINE))
    return {
        variables[name] for name in re.findall(r"'Microsoft.Authorization/roleDefinitions', (\w+)\)", text)
    }


def test_each_role_that_the_doctor_asks_for_is_assigned() -> None:
    assert assigned("storage-access") == {ROLE_IDS[role] for role in _ROLES.values()}
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "video_jobs").rglob("*.py"))
    assert {"Key Vault Secrets User", "Cognitive Services User"} <= set(
        re.findall(r"role ([A-Z][\w ]+ User)", code)
    )
    assert assigned("vault-role") == {ROLE_IDS["Key Vault Secrets User"]}
    elsewhere = {ROLE_IDS["Cognitive Services User"], ROLE_IDS["Key Vault Secrets User"]}
    assert set(role_ids("main").values()) == elsewhere
    assert assigned("telemetry") == {ROLE_IDS["Monitoring Metrics Publisher"]}


def test_the_app_and_whoever_deploys_get_the_roles_of_storage() -> None:
    granted = re.findall(r"module \w+ 'storage-access.bicep'[^}]+principalId: ([\w.]+)", bicep("main"))
    assert granted == ["identity.outputs.principalId", "deployerId"]
    assert re.search(r"dependsOn: \[storageAccess, vaultRole\]", bicep("main"))


# --- what other tools say -----------------------------------------------------------------------------


def tool(name: str) -> Path:
    path = TOOLS / name
    if not path.is_file():
        pytest.skip(f"{path.relative_to(ROOT.parent)} is not there: it checks infra/ without Azure")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("command", [("build", "--stdout"), ("lint",)])
def test_infra_compiles_without_a_warning(command: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [tool("bicep"), *command, "--no-restore", INFRA / "main.bicep"],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    if command[0] == "build":
        assert json.loads(ran.stdout)["resources"]


def test_every_resource_is_as_azures_types_want_it() -> None:
    ran = subprocess.run(
        [sys.executable, tool("check_bicep.py"), *sorted(INFRA.glob("*.bicep"))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    # A property of that name is in no type there; the compiler's own types have it.
    wrong = [line for line in ran.stdout.splitlines() if ".description: not a property of " not in line]
    assert (wrong, ran.stderr) == ([], "")
    assert re.search(r"\(\d\d resources checked\)$", ran.stdout)


@pytest.mark.parametrize(("sku", "demanded"), [("FlexConsumption", False), ("Dynamic", True)])
def test_the_doctor_demands_the_worker_runtime_everywhere_but_on_flex(sku: str, demanded: bool) -> None:
    environment = Environment({"WEBSITE_SITE_NAME": "app", "WEBSITE_SKU": sku}, frozenset(), ())
    said = [finding for finding in _runtime(environment) if "FUNCTIONS_WORKER_RUNTIME" in str(finding)]
    assert bool(said) == demanded


# --- alerts --------------------------------------------------------------------------------------------


def alert_rules() -> list[tuple[str, str]]:
    """Each alert's name, and its module."""
    return [
        (re.findall(r"name: '([\w-]+)'", module)[0], module)
        for module in re.findall(r"module \w+ 'alert.bicep' = \{(.*?)\n\}", bicep("alerts"), re.DOTALL)
    ]


def test_a_mail_says_what_happened_and_to_what() -> None:
    for name, module in alert_rules():
        assert re.search(r"says: '[A-Z].{20,}\.'", module), name
        named = set(re.findall(r"'(\w+)'", (re.findall(r"names: \[(.*)\]", module) or [""])[0]))
        query = (INFRA / "queries" / f"{name}.kql").read_text(encoding="utf-8")
        told = query.rpartition("| project ")[2]
        assert named <= {*re.findall(r"\w+", told), "name", "resultCode"}, (
            name
        )  # the last are columns of `requests`
        assert bool(named) == (name not in ("sweeper-silent", "queue-late")), name
    assert bicep("alerts").count("description: '") == 2  # of the metrics


def test_a_line_that_comes_once_is_looked_for_longer_than_it_takes_to_arrive() -> None:
    each_minute = {"sweeper-silent", "gate-to-mend", "queue-late"}
    windows = {name: re.findall(r"window: 'PT(\d+)M'", module)[0] for name, module in alert_rules()}
    assert {name for name, minutes in windows.items() if int(minutes) < 15} == each_minute


def test_each_alert_has_its_query_and_its_entry_in_the_runbook() -> None:
    queried = [name for name, _ in alert_rules()]
    loaded = re.findall(r"loadTextContent\('queries/([\w-]+)\.kql'\)", bicep("alerts"))
    assert queried == loaded
    measured = re.findall(r"name: 'reelkeep-(storage-[\w-]+)'", bicep("alerts"))
    assert {*loaded, "one-job"} == {path.stem for path in (INFRA / "queries").glob("*.kql")}
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^## ([\w-]+)$(.*?)(?=^## |\Z)", runbook, re.MULTILINE | re.DOTALL))
    assert set(entries) == {*loaded, *measured}
    for name, entry in entries.items():
        assert [part in entry for part in ("**It means**", "**Check**", "**Do**")] == [True] * 3, name


def test_the_doctor_wants_on_flex_what_infra_sets_there() -> None:
    def said(values: dict[str, str]) -> list[str]:
        there = {"WEBSITE_SITE_NAME": "app", "WEBSITE_SKU": "FlexConsumption", **values}
        return [finding.words for finding in _runtime(Environment(there, frozenset(), ()))]

    fixed = {name: value or "6" for name, value in fixed_settings().items()}
    assert said(fixed) == []
    [words] = said({**fixed, "AzureWebJobsDisableHomepage": ""})
    assert words.startswith("AzureWebJobsDisableHomepage")


def test_infra_takes_as_many_messages_at_once_as_the_app_does_elsewhere() -> None:
    queues = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]
    main = (INFRA / "main.bicep").read_text(encoding="utf-8")
    assert f"param queueBatchSize int = {queues['batchSize']}\n" in main
    assert f"param queueNewBatchThreshold int = {queues['newBatchThreshold']}\n" in main


# --- how it is deployed ------------------------------------------------------------------------------


def test_the_deployment_workflow_is_off_and_signs_in_without_a_secret() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8"))
    assert workflow[True] == {"workflow_dispatch": None}  # YAML 1.1 reads `on` so
    assert workflow["jobs"]["deploy"]["if"] == "${{ vars.DEPLOY == 'true' }}"
    assert workflow["permissions"] == {"contents": "read", "id-token": "write"}
    assert "client-secret" not in str(workflow)


def test_azd_ends_with_the_address_of_the_page() -> None:
    project = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
    assert "output STUDIO_URL string" in bicep("main")
    assert all("STUDIO_URL" in shell["run"] for shell in project["hooks"]["postup"].values())
    [service] = project["services"]
    assert f"'azd-service-name': '{service}'" in bicep("app")


def test_the_deployment_workflow_gives_all_that_can_be_set() -> None:
    """What it left out would fall back to its default, since each deployment writes all settings anew."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8"))
    known = set(re.findall(r"\$\{([A-Z_]+)", (INFRA / "main.parameters.json").read_text(encoding="utf-8")))
    given = workflow["jobs"]["deploy"]["env"]
    assert known - given.keys() <= {"AZURE_PRINCIPAL_ID"}  # azd finds it out
    for name in known & given.keys() - {"AZURE_PRINCIPAL_TYPE"}:
        kind = "secrets" if name in SECRETS else "vars"
        assert given[name] == f"${{{{ {kind}.{name} }}}}", name


def test_azd_is_one_that_reads_funcignore_as_git_does() -> None:
    project = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
    assert project["requiredVersions"]["azd"] == ">= 1.23.13"
    patterns = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("!") for line in patterns)


def test_what_people_are_told_to_set_is_a_parameter() -> None:
    given = (INFRA / "main.parameters.json").read_text(encoding="utf-8")
    known = set(re.findall(r"\$\{([A-Z_]+)", given))
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").glob("*.md")):
        told = re.findall(r"azd env set(?:-secret)? ([A-Z][A-Z_]+)", page.read_text(encoding="utf-8"))
        assert set(told) <= known, page.name
    table = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").split("set with `azd env set`")[1]
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", table.split("\n\n")[0]))
    assert named - {"SIGN_IN", "VIDEO_BACKENDS"} <= known
    assert known - named - set(NAMES) <= {
        "AZURE_ENV_NAME",
        "AZURE_LOCATION",
        "AZURE_PRINCIPAL_ID",
        "AZURE_PRINCIPAL_TYPE",
    }


def test_each_page_of_the_runbook_and_the_how_tos_names_outputs_that_there_are() -> None:
    outputs = set(re.findall(r"^output (\w+)", bicep("main"), re.MULTILINE))
    outputs |= set(re.findall(r"\$\{([A-Z_]+)", (INFRA / "main.parameters.json").read_text(encoding="utf-8")))
    named = ("tutorial-azure.md", "operations.md", "runbook.md")
    pages = [*(ROOT / "docs" / name for name in named), *(ROOT / "docs" / "how-to").glob("*.md")]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        own = set(re.findall(r"\b([A-Z][A-Z_]+)=", text))
        assert set(re.findall(r"\$([A-Z][A-Z_]+)", text)) - own <= outputs, page.name
