"""Check the bytes of a video during the copy: an incomplete or wrong file is never committed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from video_jobs.domain.errors import NotAVideo, ReelkeepError, Unavailable
from video_jobs.domain.job import StoredVideo, Suspect
from video_jobs.media.body_kind import is_no_video, is_sound, not_a_video
from video_jobs.media.mp4 import InvalidMp4, Mp4Check, Mp4Facts
from video_jobs.ports import ContentStream

CHUNK = 4 << 20
"""Bytes held, hashed and staged at once."""

PIECE = 256 << 10
"""After how many bytes a download counts as active."""

_COMPLETE_TIMES = 2  # how often the same bytes must come, if the transfer shows that they are complete
_UNMARKED_TIMES = 6  # if it does not show that: they may have been cut off at the same place


class SuspectVideo(ReelkeepError):
    """The bytes arrived, but nothing proves that they are a whole MP4 file."""

    def __init__(self, sha256: str, why: str, is_sound: bool = False) -> None:
        super().__init__(f"The video API delivered {why}.")
        self.sha256 = sha256
        self.is_sound = is_sound


class VerifiedStream:
    """Iterate over it once; `video` is known after the last chunk.

    Args:
        content: the body as it comes.
        suspects: bytes of earlier downloads that were not provably a whole video. If the same bytes have come often
            enough, they are accepted: it is better to keep them than to lose them.
        on_progress: called whenever more bytes have come.
    """

    def __init__(
        self,
        content: ContentStream,
        suspects: Iterable[Suspect] = (),
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._content = content
        self._on_progress = on_progress
        self._times = {known.sha256: known.times for known in suspects}
        self._is_sound = False
        self.video: StoredVideo | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Raises NotAVideo, SuspectVideo, or Unavailable if bytes are missing."""
        digest, length, check = hashlib.sha256(), 0, Mp4Check()
        wrong: InvalidMp4 | None = None
        broken: Unavailable | None = None
        try:
            for chunk in self._chunks():
                length += len(chunk)
                digest.update(chunk)
                if wrong is None:
                    try:
                        check.feed(chunk)
                    except InvalidMp4 as error:
                        wrong = error
                yield chunk
        except Unavailable as error:
            broken = error
        announced = self._content.length
        if broken is None and announced is not None and announced != length:
            broken = Unavailable(f"The download broke off after {length} of {announced} bytes.")
        is_over = announced is not None and length > announced
        if broken is not None and (is_over or wrong is not None or not length or check.may_be_cut):
            raise broken
        if length == 0:
            raise NotAVideo("The video API sent an empty body in place of a video.")
        facts, is_marked = Mp4Facts(), self._content.has_marked_end
        if wrong is None:
            try:
                facts = check.finish()
            except InvalidMp4 as error:
                if broken is not None:
                    raise broken from None
                if not is_marked:
                    raise Unavailable(
                        f"The download broke off, it seems, after {length} bytes: {error}."
                    ) from None
                wrong = error
        sha256 = digest.hexdigest()
        if wrong is not None or broken is not None or (check.may_be_cut and not is_marked):
            why = f"are no whole MP4: {wrong}" if wrong else "may be cut off: nothing shows where they end"
            if broken is not None:
                why = "are a whole MP4, and then the download broke off"
            is_told = is_marked and broken is None
            if self._times.get(sha256, 0) + 1 < (_COMPLETE_TIMES if is_told else _UNMARKED_TIMES):
                raise SuspectVideo(sha256, f"{length} bytes that {why}", self._is_sound)
        self.video = StoredVideo(
            length,
            sha256,
            wrong is None,
            facts.width,
            facts.height,
            facts.duration_ms,
            facts.trailing_bytes,
        )

    def _chunks(self) -> Iterator[bytes]:
        held, is_first = bytearray(), True
        broken: Unavailable | None = None
        try:
            for piece in self._content.chunks(PIECE):
                if is_first:
                    _refuse_other(self._content, piece)
                    is_first, self._is_sound = False, is_sound(piece)
                self._on_progress()
                held += piece
                if len(held) >= CHUNK:
                    yield bytes(held)
                    held.clear()
        except Unavailable as error:
            broken = error
        if held:
            yield bytes(held)
        if broken is not None:
            raise broken


def _refuse_other(content: ContentStream, beginning: bytes) -> None:
    if is_no_video(content.content_type, beginning):
        raise not_a_video(
            f"The video API sent {content.quotation(beginning)} in place of a video.", beginning
        )
