"""Read pixels and length from an MP4 file's headers. The values may be wrong, and nothing here raises.

Offsets are those of ISO/IEC 14496-12. A fragmented file (8.8) tells its length in `mehd`, or only by its fragments.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

_MOST_TRACKS = 16
_LONGEST = 7 * 24 * 3600 * 1000  # milliseconds; a longer duration is ignored
_LARGEST_SIDE = 16_384  # pixels
_SAMPLE_FIELDS = (0x100, 0x200, 0x400, 0x800)  # flags of `trun`, each for four bytes a sample


class Mp4Facts(NamedTuple):
    """None: it could not be read."""

    width: int | None = None  #: pixels, of the first track that has a picture
    height: int | None = None
    duration_ms: int | None = None
    trailing_bytes: int = 0  #: behind the last box


class FactsReader:
    """Give it the body of `moov`, then those of the `moof` boxes as they come."""

    def __init__(self) -> None:
        self._timescale = 0  # units a second of the movie
        self._duration = 0  # in these units
        self._width: int | None = None
        self._height: int | None = None
        self._track_scales: dict[int, int] = {}
        self._defaults: dict[int, int] = {}  # duration of a sample, by track
        # The duration in `moov` and the fragments so far, by track, in the track's units.
        self._passed: dict[int, int] = {}
        self._has_fragments = False
        self._is_complete = True

    def moov(self, body: memoryview) -> None:
        readers = {b"mvhd": self._mvhd, b"trak": self._trak, b"mvex": self._mvex}
        for kind, inside in _boxes(body):
            if kind in readers:
                with contextlib.suppress(struct.error, KeyError, IndexError):
                    readers[kind](inside)

    def moof(self, body: memoryview) -> None:
        self._has_fragments = True
        try:
            for kind, inside in _boxes(body):
                if kind == b"traf":
                    self._traf(inside)
        except (struct.error, KeyError, IndexError):
            self._is_complete = False

    def skipped(self) -> None:
        """A fragment was too large to be read."""
        self._is_complete = False

    def facts(self, trailing_bytes: int) -> Mp4Facts:
        return Mp4Facts(self._width, self._height, self._milliseconds(), trailing_bytes)

    def _milliseconds(self) -> int | None:
        found = [self._duration * 1000 // self._timescale] if self._timescale else []
        if self._has_fragments and self._is_complete:
            found += [
                passed * 1000 // scale
                for track, passed in self._passed.items()
                if (scale := self._scale_of(track))
            ]
        longest = max(found, default=0)
        return longest if 0 < longest <= _LONGEST else None

    def _scale_of(self, track: int) -> int:
        scales = self._track_scales
        return scales.get(track, next(iter(scales.values())) if len(scales) == 1 else 0)

    def _mvhd(self, body: memoryview) -> None:
        self._timescale, self._duration = _timing(body)

    def _trak(self, body: memoryview) -> None:
        track = dict(_boxes(body))
        header = track[b"tkhd"]
        (number,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
        width, height = struct.unpack_from(">II", header, len(header) - 8)
        if self._width is None and 0 < width >> 16 <= _LARGEST_SIDE and 0 < height >> 16 <= _LARGEST_SIDE:
            self._width, self._height = width >> 16, height >> 16  # 16.16 fixed point; audio has none
        media = dict(_boxes(track.get(b"mdia", memoryview(b""))))
        if b"mdhd" in media and len(self._track_scales) < _MOST_TRACKS:
            self._track_scales[number], duration = _timing(media[b"mdhd"])
            if _has_samples(media):  # otherwise they are in the fragments, or `mdhd` already counts these
                self._passed[number] = duration

    def _mvex(self, body: memoryview) -> None:
        for kind, inside in _boxes(body):
            if kind == b"mehd":
                (self._duration,) = struct.unpack_from(">Q" if inside[0] else ">I", inside, 4)
            elif kind == b"trex" and len(self._defaults) < _MOST_TRACKS:
                track, _, duration = struct.unpack_from(">III", inside, 4)
                self._defaults[track] = duration

    def _traf(self, body: memoryview) -> None:
        header = dict(_boxes(body))[b"tfhd"]
        flags, track = struct.unpack_from(">II", header)
        at = 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
        default = self._defaults.get(track, 0)
        if flags & 0x8:
            (default,) = struct.unpack_from(">I", header, at)
        for kind, run in _boxes(body):
            if kind == b"trun" and (track in self._passed or len(self._passed) < _MOST_TRACKS):
                self._passed[track] = self._passed.get(track, 0) + _run(run, default)


def _has_samples(media: dict[bytes, memoryview]) -> bool:
    table = dict(_boxes(dict(_boxes(media.get(b"minf", memoryview(b"")))).get(b"stbl", memoryview(b""))))
    times = table.get(b"stts", memoryview(b""))
    return len(times) >= 8 and struct.unpack_from(">I", times, 4)[0] > 0


def _run(body: memoryview, default: int) -> int:
    """The duration of a run of samples, in the track's units."""
    flags, count = struct.unpack_from(">II", body)
    if not flags & 0x100:
        return int(default * count)
    size = 4 * sum(bool(flags & field) for field in _SAMPLE_FIELDS)
    at = 8 + (4 if flags & 0x1 else 0) + (4 if flags & 0x4 else 0)
    samples = min(count, max(len(body) - at, 0) // size)
    durations: list[int] = [struct.unpack_from(">I", body, at + size * n)[0] for n in range(samples)]
    return sum(durations)


def _timing(header: memoryview) -> tuple[int, int]:
    """Units per second, and the duration in these units, from `mvhd` or `mdhd`; zero if the header says that it is
    unknown."""
    form, at, unknown = (">IQ", 20, 2**64 - 1) if header[0] else (">II", 12, 2**32 - 1)
    timescale, duration = struct.unpack_from(form, header, at)
    return timescale, 0 if duration == unknown else duration


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    while len(data) >= 8:
        size, kind = struct.unpack_from(">I4s", data)
        if size < 8:
            return
        yield kind, data[8:size]
        data = data[size:]
