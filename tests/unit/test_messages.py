"""Queue messages: a public interface, so anything may lie in the queue."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from tests.unit.jobs import JOB_ID
from video_jobs.domain.errors import MalformedMessage, NewerVersion
from video_jobs.domain.queue_messages import (
    FetchMessage,
    NotifyMessage,
    PollMessage,
    decode_fetch,
    decode_notify,
    decode_poll,
)
from video_jobs.domain.trace import following

Decode = Callable[[bytes], PollMessage | FetchMessage | NotifyMessage]

POLL: dict[str, Any] = {"v": 1, "owner": "default", "job_id": JOB_ID, "turn": 3}
FETCH: dict[str, Any] = {**POLL, "index": 1}
EACH = pytest.mark.parametrize(
    ("decode", "good"),
    [(decode_poll, POLL), (decode_fetch, FETCH), (decode_notify, POLL)],
    ids=["poll", "fetch", "notify"],
)
MISSING = object()


def test_a_poll_message_is_written_as_documented():
    message = PollMessage(owner="default", job_id=JOB_ID, turn=3)
    assert json.loads(message.encode()) == POLL


def test_a_notify_message_is_written_as_documented():
    message = NotifyMessage(owner="default", job_id=JOB_ID, turn=3)
    assert json.loads(message.encode()) == POLL


def test_a_fetch_message_is_written_as_documented():
    message = FetchMessage(owner="default", job_id=JOB_ID, index=1, turn=3)
    assert json.loads(message.encode()) == FETCH


@EACH
def test_a_message_that_is_sent_says_when_it_becomes_visible(decode: Decode, good: dict[str, Any]):
    sent = decode(json.dumps(good).encode()).encode(due=datetime(2026, 1, 1, tzinfo=UTC))
    assert json.loads(sent) == {**good, "due": 1767225600}
    # What sends it on says anew when.
    assert json.loads(decode(sent.encode()).encode()) == good


@EACH
def test_what_is_written_is_read_again(decode: Decode, good: dict[str, Any]):
    message = decode(json.dumps(good).encode())
    assert message.model_dump(exclude_none=True) == good
    assert decode(message.encode().encode()) == message


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@EACH
def test_a_message_bears_the_trace_of_what_it_goes_back_to(decode: Decode, good: dict[str, Any]):
    plain = decode(json.dumps(good).encode())
    with following(TRACE):
        sent = plain.encode()
    assert json.loads(sent) == {**good, "traceparent": TRACE}
    with following(TRACE.replace("0af7", "1111")):
        assert decode(sent.encode()).encode() == sent  # the one that it came with


@EACH
@pytest.mark.parametrize(
    "odd", ["", "nonsense", 7, None, TRACE.upper(), "00-" + "0" * 32 + "-b7ad6b7169203331-01"]
)
def test_what_is_no_traceparent_is_left_aside(decode: Decode, good: dict[str, Any], odd: Any):
    assert decode(json.dumps({**good, "traceparent": odd}).encode()).traceparent is None


@EACH
def test_a_turn_may_be_left_out_and_stays_out(decode: Decode, good: dict[str, Any]):
    without = {name: value for name, value in good.items() if name != "turn"}
    message = decode(json.dumps(without).encode())
    assert message.turn is None
    assert json.loads(message.encode()) == without


@EACH
def test_the_version_may_be_left_out(decode: Decode, good: dict[str, Any]):
    assert decode(json.dumps({k: v for k, v in good.items() if k != "v"}).encode()).v == 1


@EACH
def test_what_a_newer_version_adds_is_left_aside(decode: Decode, good: dict[str, Any]):
    assert decode(json.dumps({**good, "priority": "high"}).encode()) == decode(json.dumps(good).encode())


@EACH
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 0),
        ("v", "1"),
        ("v", None),
        ("owner", MISSING),
        ("owner", ""),
        ("owner", None),
        ("owner", 7),
        ("owner", "a/b"),
        ("owner", "a b"),
        ("owner", "default\n"),
        ("owner", "dé"),
        ("owner", "\ud83d"),
        ("owner", "a" * 129),
        ("job_id", MISSING),
        ("job_id", None),
        ("job_id", 7),
        ("job_id", ""),
        ("job_id", JOB_ID.upper()),
        ("job_id", JOB_ID + "0"),
        ("job_id", "../" + JOB_ID),
        ("turn", -1),
        ("turn", "3"),
        ("turn", 1.0),
        ("turn", True),
        ("turn", []),
    ],
)
def test_a_malformed_field_is_refused_by_name(
    decode: Decode, good: dict[str, Any], field: str, value: object
):
    _refused_by_name(decode, good, field, value)


@pytest.mark.parametrize("value", [MISSING, None, -1, 100, "0", 1.0, True])
def test_a_malformed_index_is_refused_by_name(value: object):
    _refused_by_name(decode_fetch, FETCH, "index", value)


def _refused_by_name(decode: Decode, good: dict[str, Any], field: str, value: object) -> None:
    bad = {**good, field: value}
    if value is MISSING:
        del bad[field]
    with pytest.raises(MalformedMessage) as refused:
        decode(json.dumps(bad).encode())
    assert f" {field}: " in str(refused.value)
    assert "docs/reference/queue-messages.md" in str(refused.value)


@EACH
@pytest.mark.parametrize(
    "body", [b"", b"{", b"not json", b"\xff\xfe\0", b"[]", b"null", b"7", b'"text"', b"{}"]
)
def test_what_is_no_message_is_refused(decode: Decode, good: dict[str, Any], body: bytes):
    with pytest.raises(MalformedMessage):
        decode(body)


@pytest.mark.parametrize("decode", [decode_poll, decode_fetch, decode_notify])
@moderately_many
@given(
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["v", "owner", "job_id", "turn", "index"]), inner, max_size=5)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_bytes_in_the_queue_raise_anything_but_that_they_are_malformed_or_a_newer_versions(
    decode: Decode, body: bytes
):
    with pytest.raises((MalformedMessage, NewerVersion)) as caught:
        decode(body)
    assert caught.type is MalformedMessage or json.loads(body)["v"] > 1


@EACH
def test_deep_nesting_is_refused(decode: Decode, good: dict[str, Any]):
    with pytest.raises(MalformedMessage):
        decode(b"[" * 40_000)


def test_a_message_says_nothing_of_what_it_was_given():
    body = json.dumps({**POLL, "owner": "https://example.test/?sig=abcdef"}).encode()
    with pytest.raises(MalformedMessage) as refused:
        decode_poll(body)
    assert "abcdef" not in str(refused.value)
