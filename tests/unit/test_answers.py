"""Reading what video APIs answer: everything may be missing, wrong or hostile."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from video_jobs.backends.answers import BackendMessage, error_message, identifier, request_id, text
from video_jobs.net.told import moment, number, percent, wait_hint

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "type", "detail", "inner_error", "innererror", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (
            {"code": "bad", "message": "No.", "inner_error": {"code": "ResponsibleAIPolicyViolation"}},
            "ResponsibleAIPolicyViolation",
            "No.",
        ),
        ({"error": {"message": "No.", "innererror": {"code": "Inner"}}}, "Inner", "No."),
        ({"error": {"code": "404", "message": "Resource not found"}}, "404", "Resource not found"),
        ({"error": {"code": 400, "message": "Bad size"}}, "400", "Bad size"),
        ({"error": {"message": "Too many running tasks", "code": None}}, None, "Too many running tasks"),
        (
            {"error": {"message": "It does not exist.", "type": "video_generation_user_error", "code": None}},
            "video_generation_user_error",
            "It does not exist.",
        ),
        ({"detail": "Not found"}, None, "Not found"),
        (
            {"detail": [{"loc": ["body", "size"], "msg": "missing"}]},
            None,
            '[{"loc": ["body", "size"], "msg": "missing"}]',
        ),
        ({"error": "It is broken."}, None, "It is broken."),
        ({"error": None}, None, None),
        ({"error": {}, "message": "Outside."}, None, "Outside."),
        ({"error": {"code": "x", "inner_error": "text"}}, "x", None),
        ({}, None, None),
        ([], None, "[]"),
        ("It is broken.", None, "It is broken."),
        (None, None, None),
    ],
)
def test_every_shape_of_an_error_is_read(body: Any, code: str | None, words: str | None):
    assert error_message(json.dumps(body).encode()) == BackendMessage(code, words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", None),
        (b"   ", None),
        (b"upstream connect error", "upstream connect error"),
        (b"<html><head><title>\n 502 Bad Gateway </title></head></html>", "an HTML page: 502 Bad Gateway"),
        (b"<!DOCTYPE HTML><p>Sorry</p>", "an HTML page"),
        (
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>',
            "XML: Request has expired",
        ),
        (b'{"error":{"message":"cut o', '{"error":{"message":"cut o'),
        (b"line one\nline\0two\x1b[31m", "line one line two [31m"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_what_is_no_json_is_read_too(body: bytes, words: str | None):
    assert error_message(body) == BackendMessage(text=words)


@moderately_many
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
@example(b"\xef\xbb\xbf{}")
@example(b'{"message":"\\ud83d"}')
@example(b"9" * 5000)
@example(b"NaN")
def test_no_bytes_make_the_reading_raise_and_what_is_read_is_short_and_printable(body: bytes):
    message = error_message(body)
    for said in (message.code, message.text):
        assert said is None or (said.isprintable() and 0 < len(said) <= 2000 and said.encode())


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"error":' * 100_000, b'{"message":' + b"[" * 5000 + b"]" * 5000 + b"}"]
)
def test_no_depth_of_nesting_makes_the_reading_raise(body: bytes):
    assert error_message(body)


def test_a_long_error_is_cut():
    assert len(error_message(b"word " * 10_000).text or "") == 2000


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (BackendMessage(), ""),
        (BackendMessage("404"), " (404)"),
        (BackendMessage(None, "Gone."), " (Gone.)"),
        (BackendMessage("404", "Gone."), " (404: Gone.)"),
    ],
)
def test_an_error_stands_in_brackets_behind_a_sentence(message: BackendMessage, words: str):
    assert message.in_words == words


# --- secrets -------------------------------------------------------------------------------------

KEY = "3f0c9a7be1d24568"


@pytest.mark.parametrize(
    "said",
    [
        f"Authorization: Bearer {KEY}",
        f"bearer\t{KEY} is not valid",
        f"api-key: {KEY}",
        f"Api-Key={KEY}",
        f"api_key '{KEY}' was refused",
        f'{{"headers": {{"api-key": "{KEY}"}}}}',
        f"Incorrect API key provided: sk-{KEY}.",
        f"Incorrect API key provided: sk-proj-{KEY}.",
        f"GET https://example.test/0.mp4?sv=2024&sig={KEY}&se=2026 failed",
        f"https://example.test/?SIG={KEY}",
        f"https://example.test/?key={KEY}",
        f"https://example.test/?a=b&token={KEY}",
        f"https://example.test/?access_token={KEY}",
        f"https://example.test/?api-key={KEY}",
        *(
            pytest.param(
                leak,
            )
            for leak in (
                f"Incorrect API key provided: {KEY}.",
                f"Invalid api key {KEY}",
                f"Authorization: Basic {KEY}",
                f"Bearer '{KEY}'",
                f"Ocp-Apim-Subscription-Key: {KEY}",
                f"AccountName=a;AccountKey={KEY}==",
                f"https://example.test/?sv=2024&amp;sig={KEY}",
                f"https://example.test/?X-Amz-Signature={KEY}",
            )
        ),
    ],
)
def test_no_error_text_keeps_a_key(said: str):
    bodies = [
        said.encode(),
        json.dumps({"error": {"message": said}}).encode(),
        json.dumps({"error": {"code": said, "type": said}}).encode(),
        json.dumps(said).encode(),
        f"<html><title>{said}</title></html>".encode(),
    ]
    assert all(KEY not in repr(error_message(body)) for body in bodies)


@pytest.mark.parametrize(
    "said",
    [
        f"Authorization: Bearer {KEY}",
        f"https://example.test/?sig={KEY}",
        *(
            pytest.param(
                leak,
            )
            for leak in (f'{{"api-key": "{KEY}"}}', f"bearer\t{KEY}")
        ),
    ],
)
def test_no_nested_error_keeps_a_key(said: str):
    bodies = [json.dumps({"detail": [{"msg": said}]}).encode(), json.dumps([said]).encode()]
    assert all(KEY not in repr(error_message(body)) for body in bodies)


def test_a_key_at_the_end_of_a_long_text_is_not_cut_into_an_unknown_one():
    assert KEY[:8] not in repr(error_message(b"x" * 1985 + f" api-key: {KEY}".encode()))


def test_what_stands_around_a_key_is_kept():
    said = error_message(f"Your api-key: {KEY} is for another resource".encode())
    assert said.text == "Your [removed] is for another resource"


# --- headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after-ms": "250", "retry-after": "7"}, 7),
        ({"openai-poll-after-ms": "0", "retry-after": "60"}, 60),
        ({"openai-poll-after-ms": "5000", "retry-after-ms": "250", "retry-after": "4"}, 5),
        ({"retry-after": "Thu, 05 Nov 2026 12:01:00 GMT", "date": "Thu, 05 Nov 2026 12:00:00 GMT"}, 60),
        ({"openai-poll-after-ms": "soon", "retry-after-ms": "-1", "retry-after": "7"}, 7),
        ({"retry-after-ms": "nan"}, None),
        pytest.param(
            {"retry-after": "Wed, 21 Oct 2015 07:28:00 +99999999999999999999"},
            None,
            id="absurd-time-zone",
        ),
    ],
)
def test_the_longest_hint_counts_and_nonsense_is_no_hint(headers: dict[str, str], seconds: float | None):
    assert wait_hint(headers) == seconds


def test_a_date_to_come_back_at_is_reckoned_from_now():
    then = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    assert wait_hint({"retry-after": then}) == pytest.approx(120, abs=10)


@moderately_many
@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "openai-poll-after-ms"]),
        st.text(max_size=30) | st.floats().map(str) | st.integers().map(str),
    )
)
def test_a_hint_is_finite_and_not_negative_whatever_the_headers_say(headers: dict[str, str]):
    hint = wait_hint(headers)
    assert hint is None or 0 <= hint < 1e15


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"x-request-id": "req_1"}, "req_1"),
        ({"x-ms-request-id": "c", "x-request-id": "b", "apim-request-id": "a"}, "a"),
        ({"apim-request-id": "", "x-ms-request-id": "c"}, "c"),
        ({"x-request-id": "r" * 500}, "r" * 100),
        ({"x-request-id": "a\nb"}, "a b"),
    ],
)
def test_the_id_for_the_backends_support_is_kept(headers: dict[str, str], found: str | None):
    assert request_id(headers) == found


# --- fields --------------------------------------------------------------------------------------

NOT_NUMBERS: list[Any] = [None, "", "soon", "nan", "-inf", float("inf"), float("nan"), [], {}, 1e15, "1e400"]
TOO_LARGE = pytest.param(
    10**400,
    id="huge-integer",
)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, TOO_LARGE])
def test_what_is_no_number_is_none(value: Any):
    assert (number(value), moment(value), percent(value)) == (None, None, None)


@pytest.mark.parametrize(("value", "read"), [(7, 7), ("7", 7), (" 7.5 ", 7.5), (-3, -3), (0, 0)])
def test_a_number_is_read_from_a_number_or_a_string(value: Any, read: float):
    assert number(value) == read


@pytest.mark.parametrize(
    "value",
    [
        1_793_880_000,
        "1793880000",
        1_793_880_000.0,
        1_793_880_000_000,
        "1793880000000",
        Decimal("1793880000"),
        "2026-11-05T12:00:00Z",
        "2026-11-05T13:00:00+01:00",
        "2026-11-05 12:00:00",
    ],
)
def test_a_moment_is_read_in_utc(value: Any):
    assert moment(value) == datetime(2026, 11, 5, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        0,
        "0",
        -1,
        4e9,
        4e12,
        "2026-13-05T12:00:00Z",
        "2019-11-05T12:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9" * 500,
    ],
)
def test_a_moment_that_is_not_set_or_makes_no_sense_is_none(value: Any):
    assert moment(value) is None


@pytest.mark.parametrize(("value", "read"), [(0, 0), (42, 42), ("42", 42), (99.9, 99), (-5, 0), (250, 100)])
def test_a_percentage_lies_between_0_and_100(value: Any, read: int):
    assert percent(value) == read


@pytest.mark.parametrize(
    ("value", "read"), [(None, None), (True, None), ("", None), (" a ", "a"), (404, "404")]
)
def test_a_word_is_read_from_a_string_or_a_number(value: Any, read: str | None):
    assert text(value) == read


@pytest.mark.parametrize("value", ["task_01", "video_a+b/c==", "video:7", "é", "x" * 1000])
def test_an_id_is_opaque(value: str):
    assert identifier(value) == value


def test_an_id_may_be_a_number():
    assert identifier(7) == "7"


@pytest.mark.parametrize("value", [None, "", True, 1.5, [], {}, "a\nb", "a\0", "\ud83d", "x" * 1001])
def test_what_can_not_stand_in_a_url_and_a_row_is_no_id(value: Any):
    assert identifier(value) is None


@moderately_many
@given(json_values)
def test_no_value_of_a_field_makes_the_reading_raise(value: Any):
    seconds, when, share = number(value), moment(value), percent(value)
    assert seconds is None or abs(seconds) < 1e15
    assert when is None or when.tzinfo is UTC
    assert share is None or 0 <= share <= 100
    for said in (text(value), identifier(value)):
        assert said is None or said.isprintable()
