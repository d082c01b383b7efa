"""`python -m doctor --app`: a deployed app through the Azure CLI, for which a program of the same name stands in here."""

from __future__ import annotations

import copy
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doctor.__main__ import ALL_RIGHT, SOMETHING_WRONG, run
from doctor.infra import fixed_settings, role_ids

ID = "/subscriptions/s/resourceGroups/rg-demo/providers/Microsoft.Web/sites/func-demo"
CLIENT = "00000000-0000-0000-0000-000000000001"
SECRET = "sk-the-key-that-nobody-may-see-0123456789"
REFERENCE = "@Microsoft.KeyVault(SecretUri=https://kv-demo.vault.azure.net/secrets/{})"

OWN = {
    "AzureWebJobsStorage__clientId": CLIENT,
    "AzureWebJobsStorage__accountName": "stdemo",
    "AzureWebJobsStorage__blobServiceUri": "https://stdemo.blob.core.windows.net/",
    "AzureWebJobsStorage__queueServiceUri": "https://stdemo.queue.core.windows.net/",
    "AzureWebJobsStorage__tableServiceUri": "https://stdemo.table.core.windows.net/",
    "AZURE_CLIENT_ID": CLIENT,
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=0;IngestionEndpoint=https://example.com/",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"ClientId={CLIENT};Authorization=AAD",
    "AzureFunctionsJobHost__extensions__queues__batchSize": "6",
    "AzureFunctionsJobHost__extensions__queues__newBatchThreshold": "2",
}

AZ = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "asked").open("a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
arguments = " ".join(sys.argv[1:])
for beginning, answer in json.loads((here / "answers.json").read_text()):
    if beginning in arguments:
        if isinstance(answer, str):
            sys.exit(answer)
        print(json.dumps(answer))
        sys.exit(0)
sys.exit("az does not know: " + arguments)
"""


class Azure:
    """What the stand-in answers: an app as infra/ makes it, for a test to break."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, str] = {
            **{name: value or OWN[name] for name, value in fixed_settings().items()},
            "OPENROUTER_API_KEY": REFERENCE.format("openrouter-api-key"),
            "WEBHOOK_SECRETS": REFERENCE.format("webhook-secrets"),
            "RETENTION_DAYS": "30",
        }
        self.resource: dict[str, Any] = {
            "id": ID,
            "identity": {"userAssignedIdentities": {"/id": {"clientId": CLIENT, "principalId": "p"}}},
            "properties": {
                "state": "Running",
                "httpsOnly": True,
                "functionAppConfig": {
                    "runtime": {"name": "python", "version": "3.13"},
                    "scaleAndConcurrency": {"triggers": {"http": {"perInstanceConcurrency": 50}}},
                },
            },
        }
        self.references = {"OPENROUTER_API_KEY": "Resolved", "WEBHOOK_SECRETS": "Resolved"}
        templates = ("storage-access", "telemetry", "vault-role")
        self.roles = [role for template in templates for role in role_ids(template).values()]
        self.groups = ["rg-demo"]
        self.others: list[tuple[str, Any]] = []
        program = folder / "az"
        program.write_text(AZ.format(python=sys.executable))
        program.chmod(0o755)

    def visit(self, *arguments: str) -> tuple[int, str]:
        listed = [
            {"name": name, "value": value, "slotSetting": False} for name, value in self.settings.items()
        ]
        told = [{"name": name, "properties": {"status": status}} for name, status in self.references.items()]
        assigned = [{"roleDefinitionId": f"/subscriptions/s/roleDefinitions/{role}"} for role in self.roles]
        answers = [
            *self.others,
            ("resource list", [{"resourceGroup": group} for group in self.groups]),
            ("resource show", self.resource),
            ("functionapp config appsettings list", listed),
            ("configreferences", {"value": told}),
            ("authsettingsV2", {"properties": {"platform": {"enabled": True}}}),
            ("role assignment list", assigned),
        ]
        (self.folder / "answers.json").write_text(json.dumps(answers))
        out = io.StringIO()
        code = run(["--app", "func-demo", *arguments], {}, self.folder, out)
        assert SECRET not in out.getvalue()
        return code, " ".join(out.getvalue().split())

    def asked(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "asked").read_text().splitlines()]


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Azure:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Azure(tmp_path)


def test_an_app_as_infra_makes_it_is_all_right_and_was_only_read(azure: Azure) -> None:
    code, text = azure.visit()
    assert (code, "the settings are those that infra/ sets" in text) == (ALL_RIGHT, True)
    assert "50 requests an instance" in text
    assert "the identity has the 5 roles that it needs" in text
    assert "signed in to with the app's identity, a user-assigned one" in text
    assert "signed with 1 secret" in text
    assert {"show", "list", "get"} >= {next(w for w in asked if w in VERBS) for asked in azure.asked()}


VERBS = ("show", "list", "get", "set", "delete", "create", "update", "put", "patch", "post")


def broken(**changes: Any) -> Callable[[Azure], None]:
    def breaks(azure: Azure) -> None:
        for name, value in changes.items():
            if value is None:
                del azure.settings[name]
            else:
                azure.settings[name] = value

    return breaks


def site(change: Callable[[dict[str, Any]], None]) -> Callable[[Azure], None]:
    def breaks(azure: Azure) -> None:
        azure.resource = copy.deepcopy(azure.resource)
        change(azure.resource["properties"])

    return breaks


def attribute(name: str, value: Any) -> Callable[[Azure], None]:
    return lambda azure: setattr(azure, name, value)


@pytest.mark.parametrize(
    ("breaks", "said", "code"),
    [
        (broken(AZURE_CLIENT_ID=None), "AZURE_CLIENT_ID is missing; infra/ sets it.", SOMETHING_WRONG),
        (
            broken(FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=None),
            "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is missing; infra/ sets it to 33554432.",
            SOMETHING_WRONG,
        ),
        (
            broken(AzureWebJobsDisableHomepage="false"),
            "AzureWebJobsDisableHomepage is 'false', and infra/ says 'true'.",
            ALL_RIGHT,
        ),
        (broken(FUNCTIONS_WORKER_RUNTIME="python"), "which Flex Consumption rejects", SOMETHING_WRONG),
        (broken(AzureWebJobsStorage=f"AccountKey={SECRET}"), "AzureWebJobsStorage is set", SOMETHING_WRONG),
        (broken(AZURE_CLIENT_ID="0"), "AZURE_CLIENT_ID names no identity that the app has", SOMETHING_WRONG),
        (
            broken(OPENROUTER_API_KEY=SECRET),
            "OPENROUTER_API_KEY stands in the settings in plain text",
            ALL_RIGHT,
        ),
        (broken(MY_OWN="1"), "MY_OWN was set by hand (the app does not read it)", ALL_RIGHT),
        (broken(RETENTION_DAYS="soon"), "RETENTION_DAYS is 'soon'", SOMETHING_WRONG),
        (
            attribute(
                "references", {"OPENROUTER_API_KEY": "AccessToKeyVaultDenied", "WEBHOOK_SECRETS": "Resolved"}
            ),
            "OPENROUTER_API_KEY refers to a Key Vault, and Azure says: AccessToKeyVaultDenied.",
            SOMETHING_WRONG,
        ),
        (
            attribute("roles", []),
            "The app's identity lacks: Storage Blob Data Owner, Storage Queue Data Contributor, Storage Table Data "
            "Contributor, Monitoring Metrics Publisher, Key Vault Secrets User.",
            SOMETHING_WRONG,
        ),
        (
            broken(AZURE_OPENAI_ENDPOINT="https://r.openai.azure.com", AZURE_OPENAI_DEPLOYMENT="sora"),
            "The app's identity lacks: Cognitive Services User.",
            SOMETHING_WRONG,
        ),
        (
            site(lambda p: p["functionAppConfig"].pop("scaleAndConcurrency")),
            "Python serves one request an instance",
            SOMETHING_WRONG,
        ),
        (site(lambda p: p.update(state="Stopped")), "It is Stopped.", SOMETHING_WRONG),
        (site(lambda p: p.update(httpsOnly=False)), "answers to plain HTTP", ALL_RIGHT),
        (site(lambda p: p.pop("functionAppConfig")), "not on Flex Consumption", SOMETHING_WRONG),
        (attribute("groups", []), "There is no app 'func-demo' in the subscription", SOMETHING_WRONG),
        (attribute("groups", ["a", "b"]), "There are apps 'func-demo' in a, b.", SOMETHING_WRONG),
        (
            attribute("others", [("resource list", "ERROR: Please run 'az login' to setup account.")]),
            "Run: az login",
            SOMETHING_WRONG,
        ),
        (attribute("others", [("resource show", [1])]), "is not understood", SOMETHING_WRONG),
    ],
)
def test_what_differs_is_said(azure: Azure, breaks: Callable[[Azure], None], said: str, code: int) -> None:
    breaks(azure)
    found, text = azure.visit()
    assert said in text
    assert found == code


def test_roles_that_may_not_be_read_are_not_told(azure: Azure) -> None:
    azure.others = [("role assignment", "ERROR: (AuthorizationFailed)")]
    code, text = azure.visit()
    assert (code, "can't be read with your account" in text) == (ALL_RIGHT, True)


def test_sign_in_is_on_where_the_platform_says_so(azure: Azure) -> None:
    azure.settings["SIGN_IN"] = "easy-auth"
    _, text = azure.visit("--resource-group", "rg-demo")
    assert "whom the platform has signed in has jobs of their own" in text
    assert not any("resource list" in " ".join(asked) for asked in azure.asked())


def test_without_the_azure_cli_it_says_how_to_get_the_settings(azure: Azure) -> None:
    (azure.folder / "az").unlink()
    code, text = azure.visit()
    assert (code, "The Azure CLI (az) is not on this machine" in text) == (SOMETHING_WRONG, True)


@pytest.mark.parametrize("arguments", [["--app", "a;b"], ["--app", ""], ["--resource-group", "x"]])
def test_a_name_that_no_app_can_have_is_refused(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run(arguments, {}, tmp_path, io.StringIO())
