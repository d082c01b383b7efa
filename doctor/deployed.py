"""Compares a deployed app with infra/: what differs, and whether the app could start with its settings."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from doctor.azure_cli import DeployedApp
from doctor.environment import Environment
from doctor.findings import Finding, right, unknown, warning, wrong
from doctor.infra import fixed_settings, http_concurrency, optional_settings, references, role_ids
from doctor.settings_check import NAMES

_AGAIN = "azd provision sets it again."
_REFERENCE = "@microsoft.keyvault("
# Azure does not show what a reference resolves to. These have its form, so that the other settings can be checked.
_STAND_INS = {
    "OPENAI_COMPAT_API_KEYS": "k" * 32,
    "WEBHOOK_SECRETS": f"whsec_{base64.b64encode(bytes(32)).decode()}",
    "WEBHOOK_URL": "https://example.com/",
}
_ROLE_NAMES = {
    "blobDataOwner": "Storage Blob Data Owner",
    "queueDataContributor": "Storage Queue Data Contributor",
    "tableDataContributor": "Storage Table Data Contributor",
    "metricsPublisher": "Monitoring Metrics Publisher",
    "cognitiveServicesUser": "Cognitive Services User",
    "keyVaultSecretsUser": "Key Vault Secrets User",
}
_OPENAI_USER = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"  # enough for the first Sora


def environment_of(app: DeployedApp) -> Environment:
    """The settings as the app sees them, with a placeholder for each secret that Azure has resolved."""
    values = {"WEBSITE_SITE_NAME": app.name, **({"WEBSITE_SKU": "FlexConsumption"} if app.is_flex else {})}
    if app.signs_in:
        values["WEBSITE_AUTH_ENABLED"] = "True"
    for name, value in app.settings.items():
        resolved = _is_reference(value) and app.references.get(name) == "Resolved"
        values[name] = _STAND_INS.get(name, "a-key-in-a-vault") if resolved else value
    return Environment(values, frozenset(), (), f"the app '{app.name}'")


def compare(app: DeployedApp) -> Iterator[Finding]:
    yield right("app", f"'{app.name}' in {app.group}, {len(app.settings)} settings")
    yield from _site(app)
    found = [*_fixed(app), *_by_hand(app), *_secrets(app)]
    yield from found or [right("infra", "the settings are those that infra/ sets")]
    yield from _roles(app)


def _site(app: DeployedApp) -> Iterator[Finding]:
    state = app.site.get("state")
    if state not in (None, "Running"):
        yield wrong("app", f"It is {state}.", f"az functionapp start --name {app.name} -g {app.group}")
    if app.site.get("httpsOnly") is not True:
        yield warning("https", "The app answers to plain HTTP, keys and all; infra/ turns that off.", _AGAIN)
    if not app.is_flex:
        yield warning("plan", "It is not on Flex Consumption, which infra/ is written for.")
        return
    config = app.site.get("functionAppConfig") or {}
    runtime = config.get("runtime") or {}
    if runtime.get("name") != "python":
        yield wrong("runtime", f"The app's runtime is {runtime.get('name')}, and this app is Python.", _AGAIN)
    triggers = (config.get("scaleAndConcurrency") or {}).get("triggers") or {}
    at_once, wanted = (triggers.get("http") or {}).get("perInstanceConcurrency"), http_concurrency()
    if at_once is None:
        words = "HTTP concurrency is not set: Python serves one request an instance, and each waiting client takes one."
        yield wrong("concurrency", words, f"Set it to {wanted}; {_AGAIN}")
    elif at_once != wanted:
        yield warning("concurrency", f"HTTP concurrency is {at_once}, and infra/ says {wanted}.", _AGAIN)
    else:
        yield right("concurrency", f"{wanted} requests an instance")


def _fixed(app: DeployedApp) -> Iterator[Finding]:
    for name, value in fixed_settings().items():
        there = app.settings.get(name)
        if there is None:
            to = "" if value is None else f" to {value}"
            yield wrong("infra", f"{name} is missing; infra/ sets it{to}.", _AGAIN)
        elif value is not None and there != value:
            yield warning("infra", f"{name} is '{there}', and infra/ says '{value}'.", _AGAIN)
    if app.settings.get("AzureWebJobsStorage"):
        words = (
            "AzureWebJobsStorage is set, a key's connection string, and infra/ signs in with the identity."
        )
        yield warning("infra", words, "Take it away: az functionapp config appsettings delete")
    clients = {
        str(each.get("clientId"))
        for each in (app.identity.get("userAssignedIdentities") or {}).values()
        if each.get("clientId")
    }
    for name in ("AzureWebJobsStorage__clientId", "AZURE_CLIENT_ID"):
        if clients and app.settings.get(name) and app.settings[name] not in clients:
            yield wrong("identity", f"{name} names no identity that the app has.", _AGAIN)
    if app.is_flex and "FUNCTIONS_WORKER_RUNTIME" in app.settings:
        yield wrong("infra", "FUNCTIONS_WORKER_RUNTIME is set, which Flex Consumption rejects.", "Delete it.")


def _by_hand(app: DeployedApp) -> Iterator[Finding]:
    known = {*fixed_settings(), *optional_settings(), "AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"}
    listed = app.settings.get("VIDEO_BACKENDS", "")
    for name in sorted(app.settings.keys() - known):
        what = "the app reads it" if name in NAMES or f'"{name}"' in listed else "the app does not read it"
        words = f"{name} was set by hand ({what}): the next deployment of infra/ takes it away."
        yield warning("infra", words, "Put it into `settings` of infra/main.parameters.json.")


def _secrets(app: DeployedApp) -> Iterator[Finding]:
    for name, value in sorted(app.settings.items()):
        status = app.references.get(name)
        if _is_reference(value):
            if status != "Resolved":
                words = f"{name} refers to a Key Vault, and Azure says: {status or 'nothing'}."
                advice = "Does the secret exist, and does the identity have the role Key Vault Secrets User?"
                yield wrong("vault", words, advice)
        elif value and name in references():
            words = f"{name} stands in the settings in plain text; infra/ keeps it in a Key Vault."
            yield warning("vault", words, f"azd env set-secret {name}, then azd provision")


def _roles(app: DeployedApp) -> Iterator[Finding]:
    if app.role_ids is None:
        yield unknown("roles", "What roles the identity has can't be read with your account.")
        return
    wanted = {**role_ids("storage-access"), **role_ids("telemetry")}
    by_token = app.settings.get("AZURE_OPENAI_ENDPOINT") and not app.settings.get("AZURE_OPENAI_API_KEY")
    if by_token and _OPENAI_USER not in app.role_ids:
        wanted["cognitiveServicesUser"] = role_ids("main")["cognitiveServicesUser"]
    if any(map(_is_reference, app.settings.values())):
        wanted |= role_ids("vault-role")
    missing = [_ROLE_NAMES[name] for name, role in wanted.items() if role not in app.role_ids]
    if missing:
        words = f"The app's identity lacks: {', '.join(missing)}."
        yield wrong("roles", words, "Give them: azd provision")
    else:
        yield right("roles", f"the identity has the {len(wanted)} roles that it needs")


def _is_reference(value: str) -> bool:
    return _REFERENCE in value.lower()
