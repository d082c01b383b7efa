"""Reads who signed in from the header of App Service's authentication: base64 of JSON with provider and claims.

https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities describes it. Claims have the long
names that the platform maps them to, or the provider's own names if mapping is off.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from video_jobs.domain.errors import InvalidRequest

PRINCIPAL_HEADER = "X-MS-CLIENT-PRINCIPAL"

_OBJECT = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_TENANT = ("http://schemas.microsoft.com/identity/claims/tenantid", "tid")
_SUBJECT = ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "sub")


def owner_named_in(header: str) -> str:
    """`u_` and 40 hexadecimal digits: the same for a person at each sign-in.

    It is made of Entra's object id and tenant id, which are the same in every app. Other providers promise only a stable
    subject. Names and addresses are not used: they may pass to another person. Raises InvalidRequest for an unusable header.
    """
    try:
        principal = json.loads(base64.b64decode(header + "=" * (-len(header) % 4), validate=True))
    except (ValueError, RecursionError):
        raise _unreadable("it is not JSON in base64") from None
    provider = principal.get("auth_typ") if isinstance(principal, dict) else None
    if not (isinstance(provider, str) and provider and isinstance(principal.get("claims"), list)):
        raise _unreadable("it lacks auth_typ or claims")
    claims = principal["claims"]
    person = _value_of(claims, _OBJECT)
    named = (
        ["object", _value_of(claims, _TENANT), person] if person else ["subject", _value_of(claims, _SUBJECT)]
    )
    if named[-1] is None:
        raise _unreadable("it has no claim that names a person: objectidentifier or nameidentifier")
    whole = json.dumps([provider, *named])
    return f"u_{hashlib.sha256(whole.encode()).hexdigest()[:40]}"


def _value_of(claims: list[Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        values = {
            claim.get("val") if isinstance(claim.get("val"), str) else ""
            for claim in claims
            if isinstance(claim, dict) and claim.get("typ") == name
        }
        if len(values) > 1 or "" in values:
            raise _unreadable(f"its claim {name} is empty, or there are several")
        if values:
            return values.pop()
    return None


def _unreadable(why: str) -> InvalidRequest:
    return InvalidRequest.of(
        PRINCIPAL_HEADER,
        f"App Service's authentication is on, but this header does not say who signed in: {why}. Sign in again; if "
        f"that does not help, the operator should check the app's identity provider",
        code="invalid_sign_in",
    )
