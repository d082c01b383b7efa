"""Is this a whole MP4? Told from the bytes as they pass by, without holding them.

An MP4 is a sequence of boxes (ISO/IEC 14496-12, 4.2): 32 bits of length, four letters of type. Length 1
means that 64 bits of length follow, length 0 that the box reaches to the end of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_LARGEST_MOOV = 4 << 20  # enough for hours of video; of a larger one only the facts stay unread


class InvalidMp4(ValueError):
    """The bytes are no whole MP4; the message says where they break off or go wrong."""


@dataclass(frozen=True)
class Mp4Facts:
    """What the movie header tells; None where it could not be read."""

    width: int | None = None  #: pixels, of the first track that has a picture
    height: int | None = None
    duration_ms: int | None = None


class Mp4Check:
    """Feed it the file piece by piece, then call `finish`."""

    def __init__(self) -> None:
        self._header = bytearray()  # of the box that begins here, as far as it has come
        self._left: int | None = 0  # bytes of the open box still to come; None: all that comes
        self._kinds: list[str] = []
        self._moov = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Raises InvalidMp4 as soon as the bytes can't be boxes."""
        view = memoryview(chunk)
        while view:
            if self._left == 0:
                taken = view[: self._header_size() - len(self._header)]
                self._header += taken
                if len(self._header) == self._header_size():
                    self._open_box()
            else:
                taken = view[: self._left]
                if self._kinds[-1] == "moov" and len(self._moov) < _LARGEST_MOOV:
                    self._moov += taken
                if self._left is not None:
                    self._left -= len(taken)
            view = view[len(taken) :]

    def finish(self) -> Mp4Facts:
        """Raises InvalidMp4 unless the last box ends here and there was a movie among them."""
        if self._header:
            raise InvalidMp4("it breaks off inside a box header")
        if self._left:
            raise InvalidMp4(
                f"it breaks off {self._left} bytes before the end of its '{self._kinds[-1]}' box"
            )
        if "moov" not in self._kinds:
            raise InvalidMp4("it has no 'moov' box, so no player can open it")
        if "mdat" not in self._kinds:
            raise InvalidMp4("it has no 'mdat' box, so there is no picture in it")
        return _facts(memoryview(self._moov))

    @property
    def is_open_ended(self) -> bool:
        """Whether the last box reaches to the end of the file, wherever that is."""
        return self._left is None

    def _header_size(self) -> int:
        return 16 if self._header[:4] == b"\0\0\0\1" else 8

    def _open_box(self) -> None:
        size, kind = struct.unpack_from(">I4s", self._header)
        to_the_end = size == 0
        if size == 1:
            (size,) = struct.unpack_from(">Q", self._header, 8)
        if not self._kinds and kind != b"ftyp":
            raise InvalidMp4("it does not begin with an 'ftyp' box")
        if (size < len(self._header) and not to_the_end) or not (
            kind.isascii() and kind.decode().isprintable()
        ):
            before = self._kinds[-1] if self._kinds else "ftyp"
            raise InvalidMp4(f"after the '{before}' box comes no other box")
        self._kinds.append(kind.decode("ascii"))
        self._left = None if to_the_end else size - len(self._header)
        self._header.clear()


def _facts(moov: memoryview) -> Mp4Facts:
    """Never raises: a header that we can't read does not make the file a bad one."""
    facts: dict[str, int] = {}
    try:
        for kind, body in _boxes(moov):
            if kind == b"mvhd":
                form, at, unknown = (">IQ", 20, 2**64 - 1) if body[0] else (">II", 12, 2**32 - 1)
                timescale, duration = struct.unpack_from(form, body, at)
                if timescale and duration != unknown:
                    facts["duration_ms"] = duration * 1000 // timescale
            elif kind == b"trak" and "width" not in facts:
                track = dict(_boxes(body))
                width, height = struct.unpack_from(">II", track[b"tkhd"], len(track[b"tkhd"]) - 8)
                if width and height:  # 16.16 fixed point; an audio track has none
                    facts |= {"width": width >> 16, "height": height >> 16}
    except (struct.error, KeyError, IndexError):
        pass
    return Mp4Facts(**facts)


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    while len(data) >= 8:
        size, kind = struct.unpack_from(">I4s", data)
        if size < 8:
            return
        yield kind, data[8:size]
        data = data[size:]
