"""What is short, wrong or no video is never passed on as a whole one."""

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strange_api import box, small_mp4
from tests.unit.examples import moderately_many
from video_jobs.domain.errors import NotAVideo, Unavailable
from video_jobs.domain.job import Suspect
from video_jobs.media.verification import CHUNK, PIECE, SuspectVideo, VerifiedStream

WEBM = b"\x1a\x45\xdf\xa3" + bytes(range(256))
MALFORMED = b"\0\0\0\x10ftypisom" + b"no boxes from here on"


def fragmented() -> bytes:
    """Two fragments, and no index behind them."""
    return small_mp4() + 2 * (box(b"moof", box(b"mfhd", bytes(8))) + box(b"mdat", b"frames"))


@dataclass
class Download:
    """A body as the video API sends it, in pieces of `piece` bytes."""

    body: bytes
    content_type: str = "video/mp4"
    length: int | None = None
    has_marked_end: bool = True
    piece: int = 4096
    sent: int = 0
    asked_for: list[int] = field(default_factory=list)

    def quotation(self, beginning: bytes) -> str:
        return f"{self.content_type}: {beginning[:8]!r}"

    def chunks(self, size: int) -> Iterator[bytes]:
        self.asked_for.append(size)
        for start in range(0, len(self.body), self.piece):
            self.sent += 1
            yield self.body[start : start + self.piece]


def announced(body: bytes, **changes: object) -> Download:
    return Download(body, length=len(body), **changes)  # type: ignore[arg-type]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- what is whole -------------------------------------------------------------------------------


@moderately_many
@given(piece=st.integers(1, 5000))
def test_a_whole_video_passes_unchanged_and_is_measured(mp4: bytes, piece: int):
    stream = VerifiedStream(announced(mp4, piece=piece))
    assert b"".join(stream) == mp4
    video = stream.video
    assert video is not None
    assert (video.length, video.sha256, video.verified) == (len(mp4), sha256(mp4), True)
    assert (video.width, video.height, video.duration_ms) == (64, 48, 500)


@pytest.mark.parametrize("content_type", ["video/mp4", "application/octet-stream", ""])
@pytest.mark.parametrize("marked", [True, False])
def test_a_whole_video_passes_under_any_binary_type_without_an_announced_length(
    mp4: bytes, content_type: str, marked: bool
):
    stream = VerifiedStream(Download(mp4, content_type=content_type, has_marked_end=marked))
    assert b"".join(stream) == mp4
    assert stream.video is not None


def test_nothing_is_known_of_a_video_before_its_last_byte(mp4: bytes):
    stream = VerifiedStream(announced(mp4, piece=100))
    for _ in stream:
        assert stream.video is None
    assert stream.video is not None


def test_pieces_are_asked_for_and_no_more_than_a_chunk_is_held(mp4: bytes):
    progress: list[None] = []
    download = announced(mp4 + b"\x00" * (CHUNK + 7), piece=PIECE)
    sizes = [len(chunk) for chunk in VerifiedStream(download, on_progress=lambda: progress.append(None))]
    assert download.asked_for == [PIECE]
    assert sizes == [CHUNK, len(mp4) + 7]
    assert len(progress) == download.sent == -(-(len(mp4) + CHUNK + 7) // PIECE)


# --- what breaks off -----------------------------------------------------------------------------


def test_a_video_that_breaks_off_at_any_byte_is_never_passed_as_whole(mp4: bytes):
    for end in range(len(mp4)):
        stream = VerifiedStream(Download(mp4[:end], length=len(mp4)))
        with pytest.raises(Unavailable):
            list(stream)
        assert stream.video is None


def test_a_video_without_a_length_that_breaks_off_is_not_passed_as_whole(mp4: bytes):
    for end in range(1, len(mp4), 7):
        stream = VerifiedStream(Download(mp4[:end], has_marked_end=False))
        with pytest.raises(Unavailable):
            list(stream)
        assert stream.video is None


def test_a_cut_video_is_not_let_through_because_it_was_cut_there_before(mp4: bytes):
    cut = mp4[:-1]
    for download in (Download(cut, length=len(mp4)), Download(cut, has_marked_end=False)):
        stream = VerifiedStream(download, [Suspect(sha256(cut), times=100)])
        with pytest.raises(Unavailable):
            list(stream)
        assert stream.video is None


def test_bytes_that_nothing_tells_to_be_complete_are_kept_when_they_came_six_times_the_same():
    for body in (WEBM, b"no movie at all, \0 and no text"):
        stream = VerifiedStream(Download(body, has_marked_end=False), [Suspect(sha256(body), times=5)])
        assert b"".join(stream) == body
        assert stream.video is not None
        assert not stream.video.verified


def test_bytes_that_may_be_cut_and_are_well_formed_are_verified_when_they_came_six_times_the_same():
    body = fragmented()
    for times, passes in ((1, False), (4, False), (5, True)):
        stream = VerifiedStream(Download(body, has_marked_end=False), [Suspect(sha256(body), times=times)])
        with nullcontext() if passes else pytest.raises(SuspectVideo):
            list(stream)
        assert (stream.video is not None and stream.video.verified) is passes


def test_each_kind_of_bytes_is_counted_by_itself():
    other = MALFORMED + b"!"
    stream = VerifiedStream(announced(MALFORMED), [Suspect(sha256(MALFORMED)), Suspect(sha256(other))])
    assert b"".join(stream) == MALFORMED


def test_a_body_longer_than_announced_is_not_passed_as_whole(mp4: bytes):
    stream = VerifiedStream(Download(mp4, length=len(mp4) - 1))
    with pytest.raises(Unavailable, match=f"{len(mp4)} of {len(mp4) - 1} bytes"):
        list(stream)
    assert stream.video is None


def test_what_the_connection_raises_is_passed_on():
    class Cut(Download):
        def chunks(self, size: int) -> Iterator[bytes]:
            yield self.body
            raise Unavailable("The connection was cut.")

    stream = VerifiedStream(Cut(MALFORMED))
    with pytest.raises(Unavailable, match="The connection was cut"):
        list(stream)
    assert stream.video is None


# --- what is complete and wrong ------------------------------------------------------------------


@pytest.mark.parametrize("length", [len(MALFORMED), None])
def test_complete_bytes_that_are_no_mp4_are_refused_with_their_hash(length: int | None):
    stream = VerifiedStream(Download(MALFORMED, length=length, piece=5))
    with pytest.raises(SuspectVideo) as refused:
        list(stream)
    assert refused.value.sha256 == sha256(MALFORMED)
    assert stream.video is None


def test_the_same_complete_bytes_a_second_time_are_kept_unverified():
    stream = VerifiedStream(announced(MALFORMED, piece=5), [Suspect(sha256(MALFORMED))])
    assert b"".join(stream) == MALFORMED
    assert stream.video is not None
    assert (stream.video.length, stream.video.sha256) == (len(MALFORMED), sha256(MALFORMED))
    assert (stream.video.verified, stream.video.width, stream.video.duration_ms) == (False, None, None)


def test_other_malformed_bytes_the_second_time_are_refused_again():
    stream = VerifiedStream(announced(MALFORMED + b"!"), [Suspect(sha256(MALFORMED))])
    with pytest.raises(SuspectVideo) as refused:
        list(stream)
    assert refused.value.sha256 == sha256(MALFORMED + b"!")


def test_a_good_video_after_a_suspect_one_is_verified(mp4: bytes):
    stream = VerifiedStream(announced(mp4), [Suspect(sha256(MALFORMED))])
    list(stream)
    assert stream.video is not None
    assert stream.video.verified


# --- what is no video at all ---------------------------------------------------------------------

SMALL_ERROR = b'{"error":{"code":"404","message":"Resource not found, it says"}}'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("video/mp4", SMALL_ERROR),
        ("video/mp4", b"\r\n  " + SMALL_ERROR),
        ("application/json", SMALL_ERROR),
        ("application/problem+json", b'{"detail":"Not ready"}'),
        ("video/mp4", b'["Not ready"]'),
        ("video/mp4", b"<html><title>502 Bad Gateway</title></html>"),
        ("text/html", b"<h1>Sign in</h1>"),
        ("text/plain", b"upstream timed out"),
        ("application/xml", b"<Error><Code>BlobNotFound</Code></Error>"),
    ],
)
def test_an_error_in_place_of_a_video_is_refused_before_a_byte_of_it_is_passed_on(
    content_type: str, body: bytes
):
    passed: list[bytes] = []
    stream = VerifiedStream(announced(body, content_type=content_type))
    with pytest.raises(NotAVideo) as refused:
        passed.extend(stream)
    assert passed == []
    assert f"{content_type}: {body[:8]!r}" in str(refused.value)
    assert stream.video is None


def test_an_error_in_place_of_a_video_is_never_kept_however_often_it_comes():
    stream = VerifiedStream(announced(SMALL_ERROR), [Suspect(sha256(SMALL_ERROR))])
    with pytest.raises(NotAVideo):
        list(stream)
    assert stream.video is None


def test_the_rest_of_a_refused_body_is_not_downloaded():
    download = announced(b"<" * 1000, piece=10)
    with pytest.raises(NotAVideo):
        list(VerifiedStream(download))
    assert download.sent == 1


@pytest.mark.parametrize("length", [0, None])
def test_an_empty_body_is_no_video(length: int | None):
    stream = VerifiedStream(Download(b"", length=length))
    with pytest.raises(NotAVideo):
        list(stream)
    assert stream.video is None


def test_deeply_nested_json_in_place_of_a_video_is_no_video():
    with pytest.raises(NotAVideo):
        list(VerifiedStream(announced(b"[" * 60_000)))


# --- bytes behind the last box -------------------------------------------------------------------


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("tail", [bytes(8), b"\n", b"TAG" + bytes(125)])
def test_bytes_behind_the_last_box_are_noted_and_the_video_verified(mp4: bytes, tail: bytes, marked: bool):
    body = mp4 + tail
    stream = VerifiedStream(Download(body, length=len(body) if marked else None, has_marked_end=marked))
    assert b"".join(stream) == body
    assert stream.video is not None
    assert (stream.video.verified, stream.video.trailing_bytes) == (True, len(tail))
