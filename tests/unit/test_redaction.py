"""Our own key is found and taken out in every form in which a server may repeat it."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from video_jobs.backends.redaction import REMOVED, Redactor

KEY = 'sk/live+"0123"&456=='
REDACTOR = Redactor([KEY])


def every_letter(form: str) -> str:
    return "".join(form.format(ord(letter)) for letter in KEY)


FORMS = {
    "as it is": KEY,
    "in JSON": json.dumps(KEY)[1:-1],
    "in JSON with escaped slashes": json.dumps(KEY)[1:-1].replace("/", "\\/"),
    "in JSON, each letter": every_letter("\\u{:04x}"),
    "percent-encoded": quote(KEY, safe=""),
    "percent-encoded in small letters": quote(KEY, safe="").lower().replace("sk%2flive", "sk%2flive"),
    "percent-encoded, each letter": every_letter("%{:02X}"),
    "percent-encoded twice": quote(quote(KEY, safe=""), safe=""),
    "in HTML": html.escape(KEY),
    "in HTML, each letter": every_letter("&#{};"),
    "in another case": KEY.upper(),
    "percent-encoded within JSON": json.dumps(quote(KEY, safe=""))[1:-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_text_keeps_no_key_in_any_form(form: str) -> None:
    cleaned = REDACTOR.text(f"the key {FORMS[form]} is wrong")
    assert REMOVED in cleaned
    assert KEY not in cleaned
    assert FORMS[form] not in cleaned


def test_what_stands_around_a_key_stays() -> None:
    assert REDACTOR.text(f"the key {KEY} is wrong") == f"the key {REMOVED} is wrong"


@pytest.mark.parametrize(
    "text", ["", "100 % right & proper", "a\\b", "50%25", "&amp;&lt;", "\\u00e9", "%zz \\x"]
)
def test_a_text_without_a_key_is_not_changed(text: str) -> None:
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize("digits", [4000, 5000, 30_000])
def test_an_escape_that_no_number_can_hold_is_taken_out_as_a_whole(digits: int) -> None:
    cleaned = REDACTOR.text("&#" + "1" * digits + ";")
    assert len(cleaned) <= digits + 3


def test_a_text_that_is_too_long_to_be_kept_is_cut_before_it_is_looked_at() -> None:
    assert len(REDACTOR.text("%" * 1_000_000)) <= 40_000


def nested(leaf: Any, depth: int) -> Any:
    for level in range(depth):
        leaf = {f"level{level}": [leaf, 1, None]}
    return leaf


@moderately_many
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from([KEY, f"x{KEY}y", "other"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([KEY, "a", "b"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_no_place_in_a_body_keeps_a_key(body: Any) -> None:
    text = json.dumps(body)
    cleaned = REDACTOR.data(json.loads(text))
    assert json.dumps(KEY)[1:-1] not in json.dumps(cleaned)
    if json.dumps(KEY)[1:-1] not in text:
        assert cleaned == body


def test_depth_is_no_hiding_place() -> None:
    cleaned: Any = REDACTOR.data(nested(KEY, 20_000))
    while isinstance(cleaned, dict):
        [inside] = cleaned.values()
        cleaned = inside[0]
    assert cleaned == REMOVED


def test_what_is_too_short_to_be_a_key_does_not_spoil_words() -> None:
    assert Redactor(["e", "", "test"]).text("the test exists") == "the test exists"
