"""The bytes of a video, checked while they pass: what is short, wrong or no video is never committed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from video_jobs.backends.answers import error_message
from video_jobs.errors import NotAVideo, ReelkeepError, Unavailable
from video_jobs.job import StoredVideo
from video_jobs.mp4 import InvalidMp4, Mp4Check, Mp4Facts
from video_jobs.ports import ContentStream

CHUNK = 4 << 20
"""Bytes held, hashed and staged at once."""

_TEXT_STARTS = (b"{", b"[", b"<")
_NEVER_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\f\r")
_SAMPLE = 512  # bytes; in any media file one of those stands much earlier


class SuspectVideo(ReelkeepError):
    """The bytes came complete, and are no well-formed MP4."""

    def __init__(self, sha256: str, why: str) -> None:
        super().__init__(f"The video API delivered {why}.")
        self.sha256 = sha256


class VerifiedStream:
    """Iterate over it once; `video` is known after the last chunk.

    Args:
        content: the body as it comes.
        known_suspect: the hash of complete bytes that came before and were no well-formed MP4. Should the
            same ones come again, they are let through, marked unverified: better kept than lost.
    """

    def __init__(self, content: ContentStream, known_suspect: str | None = None) -> None:
        self._content = content
        self._known_suspect = known_suspect
        self.video: StoredVideo | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Raises NotAVideo, SuspectVideo, or Unavailable where bytes are missing."""
        digest, length, check = hashlib.sha256(), 0, Mp4Check()
        wrong: InvalidMp4 | None = None
        for chunk in self._content.chunks(CHUNK):
            if length == 0:
                _refuse_text(self._content.content_type, chunk)
            length += len(chunk)
            digest.update(chunk)
            if wrong is None:
                try:
                    check.feed(chunk)
                except InvalidMp4 as error:
                    wrong = error
            yield chunk
        announced = self._content.length
        if announced is not None and announced != length:
            raise Unavailable(f"The download broke off after {length} of {announced} bytes.")
        if length == 0:
            raise NotAVideo("The video API sent an empty body in place of a video.")
        facts = Mp4Facts()
        if wrong is None:
            try:
                facts = check.finish()
            except InvalidMp4 as error:
                wrong = error
        sha256 = digest.hexdigest()
        if wrong is None and check.is_open_ended and not self._content.has_marked_end:
            raise Unavailable("Neither the download nor the MP4 in it says where it ends, so it may be cut.")
        if wrong is not None and not self._content.has_marked_end:
            raise Unavailable(f"The download broke off, it seems, after {length} bytes: {wrong}.")
        if wrong is not None and sha256 != self._known_suspect:
            raise SuspectVideo(sha256, f"{length} bytes that are no whole MP4: {wrong}")
        self.video = StoredVideo(length, sha256, wrong is None, facts.width, facts.height, facts.duration_ms)


def _refuse_text(content_type: str, beginning: bytes) -> None:
    if beginning[4:8] == b"ftyp":
        return  # the bytes are to be believed, not the label
    kind, _, subtype = content_type.partition("/")
    labelled = kind == "text" or subtype.endswith(("json", "xml", "html"))
    reads_as_text = _NEVER_IN_TEXT.isdisjoint(beginning[:_SAMPLE])
    if labelled or reads_as_text or beginning.lstrip()[:1] in _TEXT_STARTS:
        said = error_message(beginning[: 64 << 10])
        raise NotAVideo(f"The video API sent {content_type or 'text'} in place of a video{said.in_words}.")
