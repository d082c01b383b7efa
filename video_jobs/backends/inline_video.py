"""Videos that stand inside a JSON answer as base64, as Gemini and many gateways send short ones, and other long texts.

An answer is read without them, so that its size stays bounded however large they are: the address of the answer, with a
number, takes the place of a video, and the end of any other long text is left out. Opening that address reads the answer
once more and decodes the video as it comes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from video_jobs.domain.errors import BackendError, Unavailable
from video_jobs.media.body_kind import is_video

_MARK = "#inline="
LONGEST_READ = 64 << 20
"""The most bytes of an answer that are read, long texts included."""

_CHUNK = 64 << 10
_LONGEST_TEXT = 256 << 10  # bytes as JSON, more than any prompt has; of longer texts the beginning is enough
_SHORTEST_VIDEO = 64  # bytes of base64
_SAMPLE = 256  # bytes in which a text shows that it is a video
_ALIKE = 16  # decoded bytes that show it

_QUOTE = ord('"')
_SHORT_TEXTS = re.compile(rb'(?:[^"]*"(?:[^"\\]|\\.){0,63}")*', re.DOTALL)  # shorter than any video
_TEXT = re.compile(
    rb'[^"\\]*(?:\\(?:[^u]|u(?![0-9a-fA-F]{0,3}\Z))[^"\\]*)*'
)  # up to an escape that may go on
_WITHIN_A_LETTER = re.compile(rb"[\x80-\xbf]*")  # in UTF-8
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_DATA_URL = re.compile(rb"\Adata:[^,]{0,100};base64,", re.IGNORECASE)
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_REST = bytes(set(range(256)) - set(_ALPHABET))


class _Part(NamedTuple):
    """Some bytes of an answer. `video`: the number of the video to whose text they belong."""

    content: bytes
    video: int | None = None


def without_long_texts(chunks: Iterable[bytes], address: str | None) -> Iterator[bytes]:
    """The JSON in which `address` and a number replace each video; None: an empty text. No chunk is empty."""
    ahead = bytearray()
    seen: int | None = None
    trouble: BackendError | None = None
    try:
        for part, video in _parts(_bounded(chunks)):
            if video is None:
                ahead += part
            elif video != seen and address is not None:
                ahead += json.dumps(f"{address}{_MARK}{video}")[1:-1].encode()
            seen = video
            if len(ahead) >= _CHUNK:
                yield bytes(ahead)
                ahead.clear()
    except BackendError as error:
        trouble = error
    if ahead:
        yield bytes(ahead)
    if trouble is not None:
        raise trouble


def shortened(chunks: Iterable[bytes], most: int, address: str | None) -> bytes:
    """The first `most` bytes of the same."""
    content = bytearray()
    for chunk in without_long_texts(chunks, address):
        content += chunk
        if len(content) >= most:
            break
    return bytes(content[:most])


def split_address(address: str) -> tuple[str, int | None]:
    """The answer's address, and the video's number if the address leads to one inside an answer."""
    answer, _, number = address.partition(_MARK)
    return answer, int(number) if number.isdecimal() and len(number) < 10 else None


class InlineVideo:
    """The bytes of one video inside an answer, to be read like those of a connection."""

    def __init__(self, chunks: Iterable[bytes], number: int) -> None:
        self._decoded = _decoded(_text_of(chunks, number))
        self._ahead = b""

    def read(self, size: int, decode_content: bool = True) -> bytes:
        """Fewer bytes only at the end. Raises the same as `read1`."""
        content = b""
        while len(content) < size and (more := self.read1(size - len(content))):
            content += more
        return content

    def read1(self, most: int, decode_content: bool = True) -> bytes:
        """Raises Unavailable if the answer has no such video, or ends within it."""
        while not self._ahead:
            if (more := next(self._decoded, None)) is None:
                return b""
            self._ahead = more
        some, self._ahead = self._ahead[:most], self._ahead[most:]
        return some


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    passed = 0
    for chunk in chunks:
        yield chunk
        passed += len(chunk)
        if passed >= LONGEST_READ:
            return


def _text_of(chunks: Iterable[bytes], number: int) -> Iterator[bytes]:
    is_open = False
    for content, video in _parts(chunks):
        if video == number:
            is_open = True
            yield content
        elif is_open:
            return
    raise Unavailable("The video stood inside the video API's answer, which now ends before it or within it.")


def _parts(chunks: Iterable[bytes]) -> Iterator[_Part]:
    """The parts of a JSON document, wherever the chunks begin and end."""
    rest = b""
    text: _Text | None = None
    videos = 0
    for chunk in chunks:
        data, at, rest = rest + chunk, 0, b""
        while at < len(data):
            if text is None:
                short = _SHORT_TEXTS.match(data, at)
                quote = data.find(b'"', short.end() if short else at)
                end = quote + 1 or len(data)
                yield _Part(data[at:end])
                text = None if quote < 0 else _Text(videos)
            elif data[at] == _QUOTE:
                yield from text.close()
                yield _Part(b'"')
                videos += text.is_video
                text, end = None, at + 1
            elif (known := _TEXT.match(data, at)) and known.end() > at:
                end = known.end()
                yield from text.take(data[at:end])
            else:
                rest, end = data[at:], len(data)
            at = end
    if text is not None:
        yield from text.close()
    if rest:
        yield _Part(rest)


class _Text:
    """One text of the document, of which only the beginning is held until that shows what it is."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._held: bytes | None = b""
        self._left = _LONGEST_TEXT  # bytes; below 0: its end is cut off
        self.is_video = False

    def take(self, content: bytes) -> Iterator[_Part]:
        if self._held is not None:
            self._held += content
            if len(self._held) < _SAMPLE:
                return
            yield from self.close()
        elif self.is_video:
            yield _Part(content, self._number)
        else:
            yield self._cut(content)

    def close(self) -> Iterator[_Part]:
        """Give what was held."""
        held, self._held = self._held, None
        if held is not None:
            self.is_video = _shows_a_video(held)
            yield _Part(held, self._number) if self.is_video else self._cut(held)

    def _cut(self, content: bytes) -> _Part:
        """As much as is kept of a text, which ends within no letter and no escape."""
        left, self._left = self._left, self._left - len(content)
        if len(content) <= left:
            return _Part(content)
        if left < 0:
            return _Part(b"")
        letter = _WITHIN_A_LETTER.match(content, left)
        kept = _TEXT.match(content, 0, letter.end() if letter else left)
        return _Part(kept[0] if kept else b"")


def _shows_a_video(beginning: bytes) -> bool:
    if len(beginning) < _SHORTEST_VIDEO:
        return False
    begun = next(_decoded([beginning]), b"")
    return is_video(begun[:_ALIKE])


def _decoded(text: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of base64 within JSON: standard or for URLs, with white space and a data URL's beginning or without. No part of
    the text ends within an escape."""
    ahead, begun = b"", False
    for content in text:
        plain = _ESCAPE.sub(_unescaped, content)
        if not begun:
            plain, begun = _DATA_URL.sub(b"", plain, count=1), True
        ahead += plain.translate(_TO_STANDARD).translate(None, _REST)
        full = len(ahead) // 4 * 4
        yield base64.b64decode(ahead[:full])
        ahead = ahead[full:]
    if len(ahead) > 1:
        yield base64.b64decode(ahead + b"=" * (4 - len(ahead)))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        code = int(escape[1], 16)
        return bytes((code,)) if code < 128 else b""
    return escape[2] if escape[2] in b'/"\\' else b""
