"""The API's keys: read once, refused with words that repeat none of them, compared whole."""

from __future__ import annotations

import hashlib

import pytest

from openai_api.caller import caller_of
from openai_api.errors import OpenAiError
from video_jobs.settings.api_keys import ApiKeys, read_compat_api_keys

KEY = "a-key-of-20-letters-"
OTHER = "another-key-of-23-chars"
HASH = hashlib.sha256(KEY.encode()).hexdigest()


def read(text: str) -> ApiKeys:
    problems: list[str] = []
    keys = read_compat_api_keys({"OPENAI_COMPAT_API_KEYS": text}, problems)
    assert problems == []
    return keys


def refused(text: str) -> str:
    problems: list[str] = []
    read_compat_api_keys({"OPENAI_COMPAT_API_KEYS": text}, problems)
    assert len(problems) == 1
    return problems[0]


@pytest.mark.parametrize(
    ("entry", "owner"),
    [
        (KEY, "default"),
        (f"alice:{KEY}", "alice"),
        (f"sha256:{HASH}", "default"),
        (f"a.b_c-1:sha256:{HASH.upper()}", "a.b_c-1"),
    ],
)
def test_a_key_stands_there_itself_or_as_its_hash_with_an_owner_or_without(entry: str, owner: str):
    found = read(entry).find(KEY)
    assert found is not None
    assert found.owner == owner
    assert read(entry).find(KEY + "x") is None
    assert read(entry).find(HASH) is None


@pytest.mark.parametrize("between", [",", " ", "\n", " , \n\t"])
def test_keys_stand_between_commas_or_white_space(between: str):
    keys = read(f" {between.join([KEY, f'bob:{OTHER}'])}{between}")
    assert [found and found.owner for found in map(keys.find, (KEY, OTHER))] == ["default", "bob"]


@pytest.mark.parametrize("text", ["", " \n", ",,"])
def test_without_keys_there_is_none_to_find(text: str):
    assert read(text).keys == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fifteen-letters", "entry 1 is too short"),
        (f"{KEY} bob:short", "entry 2 is too short"),
        ("k" * 257, "entry 1 is no key"),
        (f"{KEY}é", "entry 1 is no key"),
        (f"sha256:{HASH[:-1]}", "entry 1 is no SHA-256"),
        (f"alice:sha256:{KEY}", "entry 1 is no SHA-256"),
        (f"a:b:{KEY}", "entry 1 has too many colons"),
        (f":{KEY}", "entry 1 has an owner that can't be one"),
        (f"../x:{KEY}", "entry 1 has an owner that can't be one"),
        (f"{'o' * 65}:{KEY}", "entry 1 has an owner that can't be one"),
        (f"{KEY};alice:{OTHER}", "entry 1 has a semicolon, a quote or a bracket"),
        (f'["{KEY}"]', "entry 1 has a semicolon, a quote or a bracket"),
        (f"'{KEY}'", "entry 1 has a semicolon, a quote or a bracket"),
        (f"{KEY}, bob:{KEY}", "entry 2 is a key that stands there already"),
        (f"{KEY}, bob:sha256:{HASH}", "entry 2 is a key that stands there already"),
    ],
)
def test_an_entry_that_can_not_be_is_refused_by_its_number_and_never_repeated(text: str, says: str):
    problem = refused(text)
    assert problem.startswith(f"OPENAI_COMPAT_API_KEYS: {says}")
    assert not any(part in problem for part in (KEY, HASH[:-1], "fifteen-letters", "k" * 257))


def test_keys_and_hashes_are_in_no_representation():
    shown = repr(read(f"{KEY} alice:{OTHER}"))
    assert KEY not in shown
    assert HASH not in shown


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer  {KEY} "])
def test_the_caller_is_the_keys_owner_whatever_else_is_said(header: str):
    headers = {"authorization": header, "x-ms-client-principal-id": "mallory", "x-functions-key": OTHER}
    assert caller_of(headers, read(f"alice:{KEY} bob:{OTHER}")).owner == "alice"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        "Bearer wrong-wrong-wrong",
        f"Bearer {KEY},{KEY}",
        "Bearer \udcff",
    ],
)
def test_a_wrong_or_missing_key_is_401_and_not_repeated(header: str | None):
    with pytest.raises(OpenAiError) as error:
        caller_of({} if header is None else {"authorization": header}, read(KEY))
    assert (error.value.status, error.value.code) == (401, "invalid_api_key")
    assert "wrong-" not in str(error.value)


def test_while_no_key_is_set_the_api_is_off_and_says_how_to_turn_it_on():
    with pytest.raises(OpenAiError, match="OPENAI_COMPAT_API_KEYS") as error:
        caller_of({"authorization": "Bearer "}, ApiKeys())
    assert error.value.status == 401
