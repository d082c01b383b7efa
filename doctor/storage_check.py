"""Checks storage: a probe for each of its three kinds, and a sentence that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from doctor.findings import Finding, Mark, right, warning, wrong
from doctor.network import check_way, is_local
from doctor.storage_probes import Doing, ProbeFailed, probe_blobs, probe_queues, probe_tables
from doctor.wire import Wire
from video_jobs.ports import Clock
from video_jobs.storage.connection import NotFromStorage, StorageServices, error_code

_SETTING = "AzureWebJobsStorage"
_ROLES = {
    "tables": "Storage Table Data Contributor",
    "queues": "Storage Queue Data Contributor",
    "blobs": "Storage Blob Data Owner",
}
_MADE = {
    "tables": "a table was made, written, read, changed, listed and deleted",
    "queues": "a queue was made, a message sent, received and deleted",
    "blobs": "a container was made, a blob written, read, also through a signed URL, and deleted",
}
_EMULATOR = "If it is Azurite: start it, with --skipApiVersionCheck."
_OFF, _TOO_FAR_OFF = (
    timedelta(minutes=2),
    timedelta(minutes=14),
)  # a signature is valid for a quarter of an hour


def check_storage(storage: StorageServices, clock: Clock) -> Iterator[Finding]:
    probes: tuple[tuple[str, str, Callable[[datetime, Doing], None]], ...] = (
        ("tables", storage.tables.url, lambda now, doing: probe_tables(storage.tables, now, doing)),
        ("queues", storage.queues.url, lambda now, doing: probe_queues(storage.queues, now, doing)),
        (
            "blobs",
            storage.blobs.url,
            lambda now, doing: probe_blobs(storage.blobs, now, storage.account_key, doing),
        ),
    )
    for kind, url, probe in probes:
        yield from check_kind(kind, url.partition("?")[0], storage.account_key is None, probe, clock)


def check_kind(
    kind: str, url: str, identity: bool, probe: Callable[[datetime, Doing], None], clock: Clock
) -> Iterator[Finding]:
    """`identity`: whether an identity signs in, without a key."""
    setting = f"{_SETTING}__accountName" if identity else _SETTING
    way = [finding for finding in check_way(url, setting) if finding.mark is not Mark.RIGHT]
    for finding in way:
        advice = f"{finding.advice} {_EMULATOR}" if is_local(url) else finding.advice
        yield replace(finding, subject=kind, advice=advice)
    if any(finding.mark is Mark.WRONG for finding in way):
        return
    skew = _skew(url, clock)
    if skew is not None and abs(skew) > _OFF:
        yield _clock_finding(kind, skew)
    step = ""

    def doing(what: str) -> None:
        nonlocal step
        step = what

    try:
        probe(clock(), doing)
    except AzureError as error:
        words, advice = explain(error, kind, identity)
        yield wrong(kind, f"{words} (while {step})", advice)
    except ProbeFailed as error:
        yield wrong(
            kind, f"{error} (while {step})", _advice_for_signed(identity) if "signed" in step else None
        )
    else:
        yield right(kind, _MADE[kind])


def _skew(url: str, clock: Clock) -> timedelta | None:
    """How far the service's clock is ahead of ours; None if the service does not tell."""
    date = Wire(url, dict).get(url).date
    return None if date is None else date - clock()


def _clock_finding(kind: str, skew: timedelta) -> Finding:
    minutes = abs(skew) // timedelta(minutes=1)
    words = f"this machine's clock is {minutes} minutes {'behind' if skew > timedelta() else 'ahead of'} the service's."
    advice = "Set it right (NTP): Azure refuses what is signed more than a quarter of an hour off."
    return (wrong if abs(skew) > _TOO_FAR_OFF else warning)(kind, words, advice)


def _advice_for_signed(identity: bool) -> str:
    if identity:
        return f"Give the identity the role {_ROLES['blobs']} on the whole account; do network rules let clients in?"
    return "Does the account allow access by its key? Do its network rules let clients in?"


def explain(error: AzureError, kind: str, identity: bool) -> tuple[str, str]:
    """What it means and what to do. The SDK's own text is left out: it may repeat a request with its signature."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None:
        if isinstance(error, ClientAuthenticationError):
            return "no identity can sign in here.", (
                "In Azure assign the app a managed identity (and name a user-assigned one in "
                f"{_SETTING}__clientId). On your machine: az login, or a connection string in {_SETTING}."
            )
        if isinstance(error, NotFromStorage):
            return "what answers is not this service of Azure Storage.", (
                f"Is the endpoint in {_SETTING} that of {kind}? Is there a proxy in between that answers with its own page?"
            )
        return (
            f"no answer came ({type(error).__name__}).",
            "Try again; does something on the way cut connections off?",
        )
    code = error_code(error)
    said = f"Azure Storage answered {status} {code}"
    if code == "KeyBasedAuthenticationNotPermitted":
        return f"{said}: the account takes no keys.", (
            f"Sign in with an identity: set {_SETTING}__accountName in place of {_SETTING}, and give it the roles."
        )
    if code == "AccountIsDisabled":
        return f"{said}: the account is disabled.", "Look at the subscription: is it paid for?"
    if code in ("InvalidHeaderValue", "InvalidApiVersion"):
        return f"{said}: it does not know this version of the protocol.", (
            "With Azurite: start it with --skipApiVersionCheck."
        )
    if status in (401, 403):
        return _refused(said, code, kind, identity)
    if status == 404:
        return f"{said}: there is no such account or kind of storage here.", (
            f"Is the endpoint in {_SETTING} that of {kind}? Some kinds of account have no tables and queues."
        )
    if status >= 500 or status == 429:
        return f"{said}: it can't right now.", "Try again in a minute; is the account being throttled?"
    return f"{said}.", f"Look the code up among Azure Storage's error codes; is the endpoint that of {kind}?"


def _refused(said: str, code: str, kind: str, identity: bool) -> tuple[str, str]:
    role = _ROLES[kind]
    if not identity:
        return f"{said}: the key is not taken, or the network is not let in.", (
            f"Copy the connection string again into {_SETTING} (was the key rotated?). If it is current: do the "
            "account's network rules let this machine in, and is the clock right?"
        )
    if code == "AuthorizationPermissionMismatch":
        return f"{said}: the identity has no role for {kind}.", (
            f"Give it the role {role} on the storage account; it takes some minutes until it counts."
        )
    if code == "AuthorizationFailure":
        return f"{said}: the identity or this network is not let in.", (
            f"Do the account's network rules let this machine in? Does the identity have the role {role}?"
        )
    return f"{said}: the token is not taken.", (
        f"Is the account in the identity's tenant? Does the identity have the role {role}?"
    )
