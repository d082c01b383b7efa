"""Check that a stream of bytes is a whole MP4 file, without keeping the bytes.

An MP4 is a sequence of boxes (ISO/IEC 14496-12, 4.2): 32 bits of length, four letters of type. Length 1
means that 64 bits of length follow, length 0 that the box reaches to the end of the file.

Encoders and gateways leave bytes behind the last box: padding, a new line, a tag. Every player opens such a file. So
these bytes are counted, and are no error if the movie and its data are complete.
"""

from __future__ import annotations

import struct

from video_jobs.media.mp4_facts import FactsReader, Mp4Facts

__all__ = ["InvalidMp4", "Mp4Check", "Mp4Facts"]

_LARGEST_MOOV = 4 << 20  # bytes; enough for hours of video; of a larger one only the facts are not read
_LARGEST_MOOF = 256 << 10
_MOST_BOXES = 200_000  # ten times as many as hours of video in fragments of a second have
_LARGEST_TAIL = 64 << 10  # bytes after the last box, not counting zeros
_READ = {"moov": _LARGEST_MOOV, "moof": _LARGEST_MOOF}
_NEEDED = ("moov", "mdat", "moof")
_KNOWN = frozenset(
    (
        *_NEEDED,
        "ftyp",
        "mfra",
        "free",
        "skip",
        "uuid",
        "meta",
        "udta",
        "sidx",
        "ssix",
        "styp",
        "emsg",
        "prft",
        "wide",
    )
)


class InvalidMp4(ValueError):
    """The bytes are not a whole MP4 file; the message says where they end or are wrong."""


class Mp4Check:
    """Feed it the file piece by piece, then call `finish`. What it keeps does not grow with the file."""

    def __init__(self) -> None:
        self._header = bytearray()  # of the box that begins here, as far as it has come
        self._left: int | None = 0  # bytes of the open box still to come; None: all that comes
        self._kind = ""  # of the open box, or the last one
        self._box_bytes = 0  # of it, as far as it has come
        self._boxes = 0
        self._whole: set[str] = set()  # of those in _NEEDED that have come whole
        self._body = bytearray()  # of the open box, if it is one that is read
        self._facts = FactsReader()
        self._tail: int | None = None  # bytes behind the last box, once that is known to be the last
        self._tail_is_zero = True

    def feed(self, chunk: bytes) -> None:
        """Raises InvalidMp4 as soon as the bytes can't be boxes."""
        view = memoryview(chunk)
        while view and self._boxes <= _MOST_BOXES:
            if self._tail is not None:
                self._take_tail(view)
                return
            if self._left == 0:
                taken = view[: self._header_size() - len(self._header)]
                self._header += taken
                if len(self._header) == self._header_size():
                    self._open_box()
            else:
                taken = view[: self._left]
                if len(self._body) < _READ.get(self._kind, 0):
                    self._body += taken[: _READ[self._kind] - len(self._body)]
                self._box_bytes += len(taken)
                if self._left is not None:
                    self._left -= len(taken)
                    if self._left == 0:
                        self._close_box()
            view = view[len(taken) :]

    def finish(self) -> Mp4Facts:
        """Raises InvalidMp4 unless there was a whole movie, followed only by bytes that are allowed after it."""
        if self._boxes > _MOST_BOXES:
            raise InvalidMp4(f"it has more than {_MOST_BOXES} boxes")
        if self._header and not self._is_playable:
            raise InvalidMp4("it breaks off inside a box header")
        if self._left and (not self._is_playable or self._kind in _NEEDED):
            raise InvalidMp4(f"it breaks off {self._left} bytes before the end of its '{self._kind}' box")
        if self._left is None:
            self._close_box()  # it reached to the end, which is here
        if self._kind == "moof":
            raise InvalidMp4("it breaks off after a 'moof' box, whose pictures are missing")
        if "moov" not in self._whole:
            raise InvalidMp4("it has no 'moov' box, so no player can open it")
        if "mdat" not in self._whole:
            raise InvalidMp4("it has no 'mdat' box, so there is no picture in it")
        behind = self._tail or len(self._header) or (self._box_bytes if self._left else 0)
        return self._facts.facts(behind)

    @property
    def may_be_cut(self) -> bool:
        """Whether the file may continue after these bytes. Then only the transfer can show that it is whole."""
        in_box = self._left is None or (self._left > 0 and self._kind in _KNOWN)
        # Only an index after the last fragment shows that it is the last.
        goes_on = "moof" in self._whole and self._kind != "mfra"
        return self._tail is None and (in_box or goes_on)

    @property
    def _is_playable(self) -> bool:
        return "moov" in self._whole and "mdat" in self._whole

    def _header_size(self) -> int:
        return 16 if self._header[:4] == b"\0\0\0\1" else 8

    def _open_box(self) -> None:
        size, kind = struct.unpack_from(">I4s", self._header)
        to_the_end = size == 0
        if size == 1:
            (size,) = struct.unpack_from(">Q", self._header, 8)
        if not self._boxes and kind != b"ftyp":
            raise InvalidMp4("it does not begin with an 'ftyp' box")
        is_box = kind.isascii() and kind.decode().isprintable() and (to_the_end or size >= len(self._header))
        if not is_box:
            if not self._is_playable:
                raise InvalidMp4(f"after the '{self._kind}' box comes no other box")
            tail = bytes(self._header)
            self._header.clear()
            self._tail = 0
            self._take_tail(memoryview(tail))
            return
        self._boxes += 1
        self._kind = kind.decode("ascii")
        self._left = None if to_the_end else size - len(self._header)
        self._box_bytes = len(self._header)
        self._header.clear()
        if self._left == 0:
            self._close_box()

    def _close_box(self) -> None:
        if self._kind in _NEEDED:
            self._whole.add(self._kind)
        if self._kind == "moov":
            self._facts.moov(memoryview(bytes(self._body)))
        elif self._kind == "moof" and len(self._body) < _LARGEST_MOOF:
            self._facts.moof(memoryview(bytes(self._body)))
        elif self._kind == "moof":
            self._facts.skipped()
        self._body.clear()

    def _take_tail(self, tail: memoryview) -> None:
        assert self._tail is not None
        self._tail += len(tail)
        self._tail_is_zero = self._tail_is_zero and not any(tail)
        if self._tail > _LARGEST_TAIL and not self._tail_is_zero:
            raise InvalidMp4(f"after the '{self._kind}' box come bytes that are no box")
