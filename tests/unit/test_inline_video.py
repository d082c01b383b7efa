"""JSON with videos and long texts inside, in chunks that begin and end anywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strange_api import small_mp4
from tests.unit.examples import moderately_many
from video_jobs.backends.inline_video import InlineVideo, shortened, split_address
from video_jobs.domain.errors import Unavailable

MOST = 1 << 20
ADDRESS = "https://api.example.test/v1/videos/1?v=2"
VIDEO = small_mp4()

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def cut(document: bytes, size: int) -> Iterator[bytes]:
    return (document[at : at + size] for at in range(0, len(document), size))


def read(document: bytes, number: int, size: int) -> bytes:
    video = InlineVideo(cut(document, size), number)
    return b"".join(iter(lambda: video.read1(1000), b""))


def units(text: str) -> bytes:
    """In UTF-16, in which a text may end within a letter, as it may in JSON."""
    return text.encode("utf-16-le", errors="surrogatepass")


def url_of(video: bytes) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(video).decode()}"


def with_videos(*videos: bytes, ascii: bool = True) -> bytes:
    texts = [*map(url_of, videos)]
    return json.dumps({"a": 'é "quoted" \\', "videos": texts, "z": [1, "\ud83c"]}, ensure_ascii=ascii).encode(
        errors="surrogatepass"
    )


@moderately_many
@given(documents, st.integers(1, 40), st.booleans())
def test_json_without_long_texts_stays_as_it_is(document: Any, size: int, ascii: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii).encode(errors="surrogatepass")
    assert shortened(cut(text, size), MOST, ADDRESS) == text


@moderately_many
@given(st.binary(max_size=400), st.integers(1, 40))
def test_what_is_no_json_stays_as_it_is(content: bytes, size: int) -> None:
    assert shortened(cut(content, size), MOST, ADDRESS) == content


@moderately_many
@given(st.integers(1, 5000), st.booleans(), st.integers(0, 3))
def test_each_video_is_replaced_by_an_address_at_which_it_is_read(
    size: int, ascii: bool, longer: int
) -> None:
    videos = [VIDEO, VIDEO[: len(VIDEO) - longer]]
    document = with_videos(*videos, ascii=ascii)
    found = json.loads(shortened(cut(document, size), MOST, ADDRESS))["videos"]
    places = [split_address(address) for address in found]
    assert places == [(ADDRESS, 0), (ADDRESS, 1)]
    assert [read(document, number or 0, size) for _, number in places] == videos


@pytest.mark.parametrize("size", range(1, 40))
def test_a_video_after_short_texts_is_found_wherever_the_chunks_end(size: int) -> None:
    document = json.dumps({"id": "1", "tags": ["", "a", "\\", '"'], "url": url_of(VIDEO)}).encode()
    body = json.loads(shortened(cut(document, size), MOST, ADDRESS))
    assert body == {"id": "1", "tags": ["", "a", "\\", '"'], "url": f"{ADDRESS}#inline=0"}


@moderately_many
@given(
    st.text(st.sampled_from('aé🎬"\\\n\x01'), min_size=1, max_size=7), st.integers(999, 70_000), st.booleans()
)
def test_of_a_long_text_the_beginning_is_kept(some: str, size: int, ascii: bool) -> None:
    long = some * (300_000 // len(some))
    document = json.dumps({"prompt": long, "id": "1"}, ensure_ascii=ascii).encode()
    body = json.loads(shortened(cut(document, size), MOST, ADDRESS))
    assert body["id"] == "1"
    assert units(long).startswith(units(body["prompt"]))
    assert len(json.dumps(body["prompt"], ensure_ascii=ascii).encode()) > min(250_000, len(document) - 100)


def test_an_answer_is_never_read_beyond_the_bound() -> None:
    passed = 0

    def endless() -> Iterator[bytes]:
        nonlocal passed
        while True:
            passed += 1000
            yield b'"' + b"[" * 998 + b'"'

    assert len(shortened(endless(), MOST, ADDRESS)) == MOST
    assert passed < 2 * MOST


@pytest.mark.parametrize("end", [100, len(with_videos(VIDEO)) // 2])
def test_an_answer_that_ends_within_its_video_is_cut_off(end: int) -> None:
    with pytest.raises(Unavailable, match="within it"):
        read(with_videos(VIDEO)[:end], 0, 1000)


def test_a_number_that_no_video_has_is_told() -> None:
    with pytest.raises(Unavailable, match="before it"):
        read(with_videos(VIDEO), 1, 1000)
