"""Entity tags, and what If-None-Match says of them."""

import pytest

from http_edge.etags import etag_of, has_already, names

TAG = '"abc"'


@pytest.mark.parametrize(
    "text", [TAG, f"W/{TAG}", f'"x", {TAG}', f'{TAG},"x"', f'W/"x" , W/{TAG}', "*", " * ", f'"a,b", {TAG}']
)
def test_these_name_the_tag(text: str) -> None:
    assert names(text, TAG)
    assert has_already({"if-none-match": text}, TAG)


@pytest.mark.parametrize(
    "text", ["", '"x"', "abc", "'abc'", '"ABC"', '"abc', 'abc"', '"xabc"', '"*"', "W/", "\x00", '"' * 10_000]
)
def test_these_do_not(text: str) -> None:
    assert not names(text, TAG)


def test_no_header_names_nothing() -> None:
    assert not has_already({}, TAG)


def test_the_tag_is_strong_and_of_the_content_alone() -> None:
    assert etag_of(b"x") == etag_of(b"x") != etag_of(b"y")
    assert etag_of(b"x").startswith('"')
