"""What Azure knows of a deployed app, read with the Azure CLI and the account that is signed in there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PATIENCE = 90  # seconds for one answer; the CLI alone takes several to start
_LARGEST = 8 << 20  # characters of an answer
_LONGEST_SAID = 300  # characters of what the CLI says about a failure
_API = "2024-04-01"
_TYPE = "Microsoft.Web/sites"

APP_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,58}[A-Za-z0-9])?")


class AzureCliFailed(Exception):
    """The message says what went wrong, and what to do."""

    def __init__(self, words: str, advice: str) -> None:
        super().__init__(words)
        self.advice = advice


@dataclass(frozen=True)
class DeployedApp:
    name: str
    group: str
    site: Mapping[str, Any]  #: the resource's `properties`
    identity: Mapping[str, Any]  #: its `identity`
    settings: Mapping[str, str]
    references: Mapping[str, str]  #: settings that refer to a Key Vault, and how Azure fared with each
    signs_in: bool  #: App Service's authentication is on
    role_ids: frozenset[str] | None  #: of its identities; None where they can't be read

    @property
    def is_flex(self) -> bool:
        return "functionAppConfig" in self.site


def read_app(name: str, group: str | None) -> DeployedApp:
    """Raises AzureCliFailed."""
    group = group or _group_of(name)
    where = ["--name", name, "--resource-group", group]
    resource = _ask("resource", "show", *where, "--resource-type", _TYPE, "--api-version", _API)
    listed = _ask("functionapp", "config", "appsettings", "list", *where)
    try:
        settings = {str(each["name"]): str(each["value"] or "") for each in listed}
        site = dict(resource["properties"])
        identity = dict(resource.get("identity") or {})
        told: dict[str, str] = {}
        if any("@microsoft.keyvault(" in value.lower() for value in settings.values()):
            url = f"{resource['id']}/config/configreferences/appsettings?api-version={_API}"
            answer = _ask("rest", "--method", "get", "--url", url)
            told = {
                each["name"]: str(each["properties"].get("status") or "not told") for each in answer["value"]
            }
        signs_in = False
        if settings.get("SIGN_IN"):
            url = f"{resource['id']}/config/authsettingsV2?api-version={_API}"
            answer = _ask("rest", "--method", "get", "--url", url)
            signs_in = bool((answer["properties"].get("platform") or {}).get("enabled"))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise _not_understood("of the app") from None
    return DeployedApp(name, group, site, identity, settings, told, signs_in, _role_ids(identity))


def _group_of(name: str) -> str:
    found = _ask("resource", "list", "--name", name, "--resource-type", _TYPE)
    try:
        groups = [str(each["resourceGroup"]) for each in found]
    except (KeyError, TypeError):
        raise _not_understood("with the list of apps") from None
    if not groups:
        raise AzureCliFailed(
            f"There is no app '{name}' in the subscription that the Azure CLI uses.",
            "Look at its name in 'azd env get-values', and choose the subscription: az account set --subscription ID",
        )
    if len(groups) > 1:
        raise AzureCliFailed(
            f"There are apps '{name}' in {', '.join(groups)}.", "Say which: --resource-group NAME"
        )
    return groups[0]


def _role_ids(identity: Mapping[str, Any]) -> frozenset[str] | None:
    """None if the signed-in account may not read them."""
    people = [each.get("principalId") for each in (identity.get("userAssignedIdentities") or {}).values()]
    people.append(identity.get("principalId"))
    found: set[str] = set()
    for principal in filter(None, people):
        try:
            assigned = _ask("role", "assignment", "list", "--assignee", str(principal), "--all")
            found |= {str(each["roleDefinitionId"]).rpartition("/")[2] for each in assigned}
        except (AzureCliFailed, KeyError, TypeError):
            return None
    return frozenset(found)


def _ask(*arguments: str) -> Any:
    program = shutil.which("az")
    if program is None:
        raise AzureCliFailed(
            "The Azure CLI (az) is not on this machine, and it reads a deployed app's settings.",
            "Install it, then: az login. Or fetch the settings with Core Tools: func azure functionapp fetch-app-settings",
        )
    command = [program, *arguments, "--output", "json", "--only-show-errors"]
    what = " ".join(word for word in arguments[:4] if not word.startswith("-"))
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise AzureCliFailed(f"'az {what}' did not answer within {_PATIENCE} s.", "Try again.") from None
    except OSError as error:
        raise AzureCliFailed(
            f"'az' can't be started ({type(error).__name__}).", "Install it again."
        ) from None
    if ran.returncode != 0:
        said = " ".join(ran.stderr.split())[:_LONGEST_SAID]
        advice = (
            "Run: az login"
            if "az login" in said
            else "Are you signed in to the right subscription (az account show), and may you read the app?"
        )
        raise AzureCliFailed(f"'az {what}' failed: {said or 'it says nothing'}", advice)
    try:
        return json.loads(ran.stdout[:_LARGEST])
    except (ValueError, RecursionError):
        raise _not_understood(f"to 'az {what}'") from None


def _not_understood(what: str) -> AzureCliFailed:
    return AzureCliFailed(f"The Azure CLI's answer {what} is not understood.", "Is it current? az upgrade")
