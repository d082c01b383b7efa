"""Who signed in: one owner a person, and nobody whom the header does not name."""

from __future__ import annotations

import base64
import re

import pytest

from http_edge.principal import owner_named_in
from tests.principals import encoded, header
from video_jobs.domain.errors import InvalidRequest

LONG = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
ENTRA = "http://schemas.microsoft.com/identity/claims/"


ADA = {f"{ENTRA}objectidentifier": "oid-1", f"{ENTRA}tenantid": "tid-1"}


def test_an_owner_is_a_name_that_tells_nothing_and_fits_every_key():
    assert re.fullmatch("u_[0-9a-f]{40}", owner_named_in(header(claims=ADA)))


@pytest.mark.parametrize(
    "same",
    [
        header(claims={**ADA, "name": "Ada", f"{LONG}nameidentifier": "of this app only"}),
        header(claims={"tid": "tid-1", "oid": "oid-1", "sub": "of this app only"}),
        header(
            claims=[
                *({"typ": n, "val": v} for n, v in ADA.items()),
                {"typ": "groups", "val": "a"},
                {"typ": "groups"},
            ]
        ),
        header(claims=ADA).rstrip("="),
        header(claims=ADA, name_typ="x", new_field={"a": [1]}),
    ],
)
def test_a_person_is_the_same_owner_at_each_sign_in_whatever_else_is_claimed(same: str) -> None:
    assert owner_named_in(same) == owner_named_in(header(claims=ADA))


def test_everybody_else_is_another_owner():
    people = [
        header(claims=ADA),
        header(claims={**ADA, f"{ENTRA}objectidentifier": "oid-2"}),
        header(claims={**ADA, f"{ENTRA}tenantid": "tid-2"}),
        header(claims={f"{ENTRA}objectidentifier": "oid-1"}),
        header("other", ADA),
        header(claims={f"{LONG}nameidentifier": "oid-1"}),
        header("google", {f"{LONG}nameidentifier": "1"}),
        header("github", {"sub": "1"}),
        header("git", {"sub": "hub1"}),
        header("github", {"sub": "日本 \ud800"}),
    ]
    assert len({owner_named_in(person) for person in people}) == len(people)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "=",
        "not base64!",
        "bm90IGpzb24=",
        "é",
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b"[" * 50_000).decode(),
        encoded(None),
        encoded([]),
        encoded("aad"),
        encoded({}),
        encoded({"auth_typ": "aad"}),
        encoded({"auth_typ": "aad", "claims": {"typ": "oid", "val": "1"}}),
        header(""),
        header(7, ADA),
        header(None, ADA),
        header(claims=[]),
        header(claims=["oid", None, 7, {"val": "1"}]),
        header(claims={"name": "Ada", "email": "ada@example.test"}),
        header(claims={"oid": ""}),
        header(claims={"oid": None}),
        header(claims={"oid": {"a": 1}}),
        header(claims=[{"typ": "oid", "val": "1"}, {"typ": "oid", "val": "2"}]),
        header(claims={**ADA, f"{ENTRA}tenantid": ""}),
        header("google", {f"{LONG}nameidentifier": ""}),
    ],
)
def test_a_header_that_names_nobody_is_refused_and_repeated_nowhere(said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        owner_named_in(said)
    assert refused.value.code == "invalid_sign_in"
    assert "ada@example.test" not in str(refused.value)
