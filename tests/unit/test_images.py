"""A picture is what its content says it is."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tests.unit.examples import moderately_many
from video_jobs.domain.errors import InvalidRequest
from video_jobs.media.images import LARGEST_IMAGE, measure, sniff

KINDS = ("image/png", "image/jpeg", "image/webp")
PNG, JPEG, WEBP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_told_and_measured_by_its_content(pictures: dict[str, bytes], kind: str):
    assert sniff(pictures[kind]) == kind
    assert measure(pictures[kind]) == (kind, 64, 48)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [True, False])
def test_every_form_of_webp_is_measured(mode: str, lossless: bool):
    content = io.BytesIO()
    Image.new(mode, (640, 360)).save(content, "webp", lossless=lossless)
    assert measure(content.getvalue()) == ("image/webp", 640, 360)


def measured(content: bytes) -> tuple[str, int, int] | str:
    try:
        return measure(content)
    except InvalidRequest as error:
        return str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_at_any_byte_is_refused_or_measured_rightly(pictures: dict[str, bytes], kind: str):
    results = [measured(pictures[kind][:end]) for end in range(len(pictures[kind]))]
    refused = [result for result in results if isinstance(result, str)]
    assert {result for result in results if not isinstance(result, str)} == {(kind, 64, 48)}
    assert len(refused) >= 24
    assert all(said.startswith("input_image: ") for said in refused)


@moderately_many
@given(
    st.sampled_from([PNG, JPEG, WEBP, WEBP + b"VP8 ", WEBP + b"VP8L", WEBP + b"VP8X"]), st.binary(max_size=80)
)
@example(PNG, b"\0\0\0\rIHDR" + bytes(8))
@example(JPEG, b"\xc0\0\0")
def test_bytes_that_only_begin_like_a_picture_are_refused_and_never_break_the_app(begin: bytes, rest: bytes):
    result = measured(begin + rest)
    if isinstance(result, str):
        assert "its size can't be read; is it whole?" in result
    else:
        content_type, width, height = result
        assert content_type == sniff(begin + rest)
        assert min(width, height) > 0


@pytest.mark.parametrize(
    "content",
    [
        b"this is a text file\n",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='48'/>",
        b"GIF89a\x40\0\x30\0\0\0\0;",
        b"\0\0\0\x18ftypheic",
        b"%PDF-1.7",
        b"RIFF\0\0\0\0WAVE",
        b"\x89PNG",
        b"\xff\xd8",
        b"\0",
    ],
)
def test_what_is_no_png_jpeg_or_webp_is_refused(content: bytes):
    assert sniff(content) is None
    with pytest.raises(InvalidRequest, match="is no PNG, JPEG or WebP"):
        measure(content)


def test_an_empty_picture_is_refused():
    with pytest.raises(InvalidRequest, match="is empty"):
        measure(b"")


def test_the_largest_picture_is_taken_and_one_byte_more_refused(pictures: dict[str, bytes]):
    largest = pictures["image/png"].ljust(LARGEST_IMAGE, b"\0")
    assert measure(largest) == ("image/png", 64, 48)
    with pytest.raises(InvalidRequest, match=f"has {LARGEST_IMAGE + 1} bytes"):
        measure(largest + b"\0")
