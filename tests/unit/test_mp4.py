"""Whether a file is a whole MP4, told while it passes by in pieces of any size."""

import io
import struct

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from video_jobs.media.mp4 import InvalidMp4, Mp4Check, Mp4Facts


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def long_box(kind: bytes, body: bytes) -> bytes:
    """With its length in 64 bits, as of a file beyond 4 GiB."""
    return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body


def open_box(kind: bytes, body: bytes) -> bytes:
    """That reaches to the end of the file."""
    return struct.pack(">I4s", 0, kind) + body


def movie_header(timescale: int, duration: int, *, version: int = 0) -> bytes:
    times = struct.pack(">QQIQ" if version else ">IIII", 0, 0, timescale, duration)
    return box(b"mvhd", bytes([version, 0, 0, 0]) + times + bytes(80))


def track(width: int, height: int) -> bytes:
    return box(b"trak", box(b"tkhd", bytes(76) + struct.pack(">II", width << 16, height << 16)))


FTYP = box(b"ftyp", b"isom\0\0\2\0")
MOOV = box(b"moov", movie_header(1000, 5000) + track(1280, 720))
MDAT = box(b"mdat", b"pictures")


def checked(content: bytes, piece: int | None = None) -> Mp4Facts:
    check = Mp4Check()
    step = piece or max(len(content), 1)
    for start in range(0, len(content), step):
        check.feed(content[start : start + step])
    return check.finish()


def verdict(content: bytes, piece: int | None = None) -> Mp4Facts | str:
    try:
        return checked(content, piece)
    except InvalidMp4 as error:
        return str(error)


# --- real files ----------------------------------------------------------------------------------


def test_a_real_video_is_whole_and_measured_as_a_player_would(mp4: bytes):
    facts = checked(mp4)
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.video[0]
        assert (facts.width, facts.height) == (stream.width, stream.height) == (64, 48)
        assert container.duration is not None
        assert facts.duration_ms == container.duration // 1000 == 500


def test_a_file_cut_at_any_byte_is_no_whole_mp4(mp4: bytes):
    for end in range(len(mp4)):
        with pytest.raises(InvalidMp4):
            checked(mp4[:end])


def test_the_size_of_the_pieces_does_not_matter(mp4: bytes):
    whole = checked(mp4)
    assert all(checked(mp4, piece) == whole for piece in range(1, len(mp4) + 1))


@moderately_many
@given(data=st.data())
def test_a_cut_file_in_any_pieces_is_no_whole_mp4(mp4: bytes, data: st.DataObject):
    cut = mp4[: data.draw(st.integers(0, len(mp4) - 1), label="cut")]
    piece = data.draw(st.integers(1, len(mp4)), label="piece")
    said = verdict(cut, piece)
    assert isinstance(said, str)
    assert said == verdict(cut)


TAILS = [
    bytes(4),
    bytes(8),
    bytes(512),
    b"\n",
    b"TAG" + bytes(125),
    b"<!-- from a gateway -->",
    bytes(1 << 20),
]


@pytest.mark.parametrize("tail", TAILS, ids=lambda tail: f"{tail[:4]!r} {len(tail)}")
def test_bytes_behind_the_last_box_of_a_whole_movie_are_counted_and_no_fault(mp4: bytes, tail: bytes):
    whole = checked(mp4)
    step = 1 << 14 if len(tail) > 1000 else 3
    assert checked(mp4 + tail, step) == whole._replace(trailing_bytes=len(tail))


def test_much_behind_the_last_box_that_is_not_padding_is_a_fault(mp4: bytes):
    assert isinstance(verdict(mp4 + b"\0\0\0\1\xff" * 20_000), str)


@pytest.mark.parametrize(
    ("tail", "cut"),
    [
        (b"", False),
        (b"\n", False),
        (bytes(8), False),
        (struct.pack(">I4s", 100, b"free") + b"cut", True),
        (struct.pack(">I4s", 100, b"l>!!") + b"no box", False),
        (open_box(b"free", b"cut?"), True),
    ],
)
def test_only_what_may_be_the_beginning_of_another_box_leaves_a_doubt_about_the_end(tail: bytes, cut: bool):
    check = Mp4Check()
    check.feed(FTYP + MOOV + MDAT + tail)
    check.finish()
    assert check.may_be_cut is cut


def test_half_a_header_behind_a_fragment_may_be_the_next_fragment():
    check = Mp4Check()
    check.feed(FTYP + MOOV + box(b"moof") + MDAT + b"\0\0\0")
    check.finish()
    assert check.may_be_cut


def test_a_file_of_endless_boxes_costs_no_memory_and_is_given_up():
    check = Mp4Check()
    check.feed(FTYP)
    for _ in range(100):
        check.feed(box(b"free") * 10_000)
    with pytest.raises(InvalidMp4, match="boxes"):
        check.finish()


def test_the_error_says_how_much_is_missing(mp4: bytes):
    assert str(verdict(mp4[:-3])).startswith("it breaks off 3 bytes before the end of its 'm")


# --- what the format allows ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(FTYP + MOOV + MDAT, id="moov-first"),
        pytest.param(FTYP + MDAT + MOOV, id="moov-last"),
        pytest.param(FTYP + box(b"free") + MOOV + MDAT, id="empty-box"),
        pytest.param(FTYP + MOOV + long_box(b"mdat", b"pictures"), id="64-bit-length"),
        pytest.param(FTYP + MOOV + open_box(b"mdat", b"pictures"), id="to-the-end-of-the-file"),
        pytest.param(FTYP + MOOV + box(b"moof") + MDAT + box(b"moof") + MDAT, id="fragments"),
        pytest.param(FTYP + MOOV + MDAT + box(b"uuid", b"anything"), id="unknown-box"),
    ],
)
def test_every_order_and_length_form_that_the_format_allows_is_whole(content: bytes):
    whole = Mp4Facts(1280, 720, 5000)
    assert all(verdict(content, piece) == whole for piece in range(1, len(content) + 1))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no 'moov'"),
        (FTYP, "no 'moov'"),
        (FTYP + MDAT, "no 'moov'"),
        (FTYP + MOOV, "no 'mdat'"),
        (MOOV + MDAT, "'ftyp'"),
        (b'{"error":{"code":"404","message":"Resource not found"}}', "'ftyp'"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "'ftyp'"),
        (FTYP + MOOV + long_box(b"mdat", b"pictures")[:12], "inside a box header"),
        (FTYP + struct.pack(">I4s", 7, b"moov"), "after the 'ftyp' box"),
        (FTYP + struct.pack(">I4sQ", 1, b"moov", 15), "after the 'ftyp' box"),
        (FTYP + MOOV + box(b"md\xe4t"), "after the 'moov' box"),
        (FTYP + MOOV + MDAT[:-1], "1 bytes before the end of its 'mdat'"),
    ],
)
def test_what_is_no_whole_mp4_is_refused_with_the_place_where_it_goes_wrong(content: bytes, why: str):
    for piece in range(1, len(content) + 2):
        said = verdict(content, piece)
        assert isinstance(said, str)
        assert why in said


def test_bytes_that_are_no_mp4_are_refused_before_the_rest_has_come():
    with pytest.raises(InvalidMp4):
        Mp4Check().feed(b"<!DOCTYPE html>")


def test_a_64_bit_length_of_zero_is_no_box():
    assert isinstance(verdict(FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 0) + b"anything"), str)


def test_zeros_before_the_movie_is_whole_are_no_box():
    assert isinstance(verdict(FTYP + MOOV + bytes(20) + MDAT), str)


def test_a_second_part_of_the_movie_that_breaks_off_is_a_fault():
    assert "before the end of its 'mdat'" in str(verdict(FTYP + MOOV + MDAT + MDAT[:-1]))


@moderately_many
@given(
    st.lists(
        st.builds(box, st.sampled_from([b"ftyp", b"moov", b"mdat", b"free"]), st.binary(max_size=12))
        | st.builds(long_box, st.sampled_from([b"moov", b"mdat"]), st.binary(max_size=12))
        | st.just(MOOV)
        | st.binary(max_size=10),
        max_size=6,
    ),
    st.integers(1, 20),
)
def test_the_verdict_on_any_bytes_is_the_same_in_pieces_of_any_size(parts: list[bytes], piece: int):
    content = FTYP + b"".join(parts)
    assert verdict(content, piece) == verdict(content)


# --- what the header tells -----------------------------------------------------------------------


def facts_of(*inside: bytes) -> Mp4Facts:
    return checked(FTYP + box(b"moov", b"".join(inside)) + MDAT)


def test_the_size_is_that_of_the_first_track_with_a_picture():
    assert facts_of(track(0, 0), track(1920, 1080), track(64, 48)) == Mp4Facts(1920, 1080)


def test_a_duration_in_64_bits_is_read():
    long_film = facts_of(movie_header(90_000, 90_000 * 100_000, version=1))
    assert long_film == Mp4Facts(duration_ms=100_000_000)


@pytest.mark.parametrize(
    "inside",
    [
        b"",
        b"short",
        movie_header(0, 5000),
        box(b"mvhd"),
        box(b"mvhd", b"\1"),
        box(b"trak"),
        box(b"trak", box(b"tkhd")),
    ],
)
def test_a_header_that_can_not_be_read_does_not_make_the_file_a_bad_one(inside: bytes):
    assert facts_of(inside) == Mp4Facts()


@moderately_many
@given(
    st.lists(
        st.builds(
            box,
            st.sampled_from([b"mvhd", b"trak", b"udta"]),
            st.binary(max_size=120)
            | st.builds(box, st.sampled_from([b"tkhd", b"mdia"]), st.binary(max_size=90)),
        )
        | st.binary(max_size=20)
    )
)
def test_no_header_makes_a_whole_file_a_bad_one(inside: list[bytes]):
    assert isinstance(facts_of(*inside), Mp4Facts)


@pytest.mark.parametrize(("version", "unknown"), [(0, 0xFFFF_FFFF), (1, 0xFFFF_FFFF_FFFF_FFFF)])
def test_an_unknown_duration_is_no_number(version: int, unknown: int):
    assert facts_of(movie_header(1000, unknown, version=version)).duration_ms is None


# --- fragments -----------------------------------------------------------------------------------


def media_header(timescale: int, before: int) -> bytes:
    """`before`: frames of the track that stand in no fragment, each of 512 units."""
    times = box(b"stts", bytes(4) + struct.pack(">III", 1, before, 512) if before else bytes(8))
    table = box(b"minf", box(b"stbl", times))
    return box(b"mdia", box(b"mdhd", bytes(12) + struct.pack(">II", timescale, 512 * before)) + table)


def fragmented(*extends: bytes, number: int = 1, timescale: int = 12_288, before: int = 0) -> bytes:
    header = box(
        b"tkhd", bytes(12) + struct.pack(">I", number) + bytes(60) + struct.pack(">II", 64 << 16, 48 << 16)
    )
    movie = movie_header(1000, before * 512 * 1000 // timescale) + box(
        b"trak", header + media_header(timescale, before)
    )
    return FTYP + box(b"moov", movie + box(b"mvex", b"".join(extends)))


def trex(number: int, duration: int) -> bytes:
    return box(b"trex", bytes(4) + struct.pack(">III", number, 1, duration) + bytes(8))


def fragment(run: bytes, *, number: int = 1, default: int | None = None) -> bytes:
    flags = 0x8 if default is not None else 0
    header = box(
        b"tfhd",
        struct.pack(">II", flags, number) + (struct.pack(">I", default) if default is not None else b""),
    )
    return box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", header + run)) + MDAT


def even_run(samples: int) -> bytes:
    return box(b"trun", struct.pack(">II", 0, samples))


def uneven_run(*durations: int) -> bytes:
    entries = b"".join(struct.pack(">II", duration, 10) for duration in durations)
    return box(b"trun", struct.pack(">III", 0x301, len(durations), 0) + entries)


@pytest.mark.parametrize(
    "content",
    [
        fragmented() + fragment(even_run(96), default=512) * 2,
        fragmented(trex(1, 512)) + fragment(even_run(96)) * 2,
        fragmented() + fragment(uneven_run(*[512] * 96)) * 2,
        fragmented(box(b"mehd", bytes(4) + struct.pack(">I", 8000))) + fragment(even_run(1)),
        fragmented(box(b"mehd", b"\1\0\0\0" + struct.pack(">Q", 8000))) + fragment(even_run(1)),
        fragmented(number=0) + fragment(even_run(96), default=512) * 2,
        fragmented(before=96) + MDAT + fragment(even_run(96), default=512),
    ],
    ids=[
        "in-the-fragment",
        "in-the-movie",
        "sample-by-sample",
        "told",
        "told-in-64-bits",
        "one-track-of-another-number",
        "begun-in-the-movie",
    ],
)
def test_a_fragmented_file_has_a_duration(content: bytes):
    assert checked(content) == Mp4Facts(64, 48, 8000)


@pytest.mark.parametrize("body", [b"", b"short", box(b"traf"), box(b"traf", box(b"tfhd")), bytes(300_000)])
def test_a_fragment_that_can_not_be_read_leaves_the_duration_unknown_and_the_file_whole(body: bytes):
    facts = checked(fragmented() + box(b"moof", body) + MDAT + fragment(even_run(96), default=512))
    assert (facts.width, facts.duration_ms) in [(64, None), (64, 4000)]


def test_a_fragment_without_its_pictures_is_no_whole_file():
    with pytest.raises(InvalidMp4, match="whose pictures are missing"):
        checked(fragmented() + fragment(even_run(96)) + fragment(even_run(96))[: -len(MDAT)])


def test_where_fragments_end_is_known_only_by_an_index_behind_them():
    whole = fragmented() + fragment(even_run(96), default=512) * 2
    for content, may_be_cut in ((whole, True), (whole + box(b"mfra"), False)):
        check = Mp4Check()
        check.feed(content)
        check.finish()
        assert check.may_be_cut is may_be_cut


def test_a_duration_beyond_all_reason_is_not_believed():
    assert checked(fragmented() + fragment(even_run(2**32 - 1), default=2**32 - 1)).duration_ms is None
