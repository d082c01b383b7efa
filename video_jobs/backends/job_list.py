"""Read a page of a backend's list entry by entry: the cost does not depend on its content, and long texts do not count."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from video_jobs.backends.answers import json_in
from video_jobs.backends.content import HttpContent
from video_jobs.backends.inline_video import LONGEST_READ, without_long_texts
from video_jobs.domain.errors import BackendError, Unavailable

_LARGEST_PAGE = 12 << 20  # bytes: fifty jobs whose prompts are as long as may be, each letter escaped
_LARGEST_REREAD = 1 << 20  # bytes
_MOST_ENTRIES = 1000  # of one page
_MOST_VALUES = 3000  # in one entry; of an entry with more, only values that are not nested are read
_MOST_EVENTS = 200_000  # of the parser
_CHUNK = 64 << 10
_MOST_SAID = 20  # texts and numbers beside the entries

_T = TypeVar("_T")


@dataclass
class ListPage(Generic[_T]):
    entries: list[_T] = field(default_factory=list)
    has_more: bool | None = None  #: None if the page does not say it
    passed_over: int = 0  #: entries that were no jobs
    said: dict[str, Any] = field(default_factory=dict)  #: texts and numbers that stand beside the entries


def read_list(
    content: HttpContent, read: Callable[[dict[str, Any]], _T | None], entries: str = "data"
) -> ListPage[_T]:
    """Reads `{"data": [{…}, …], "has_more": …}`, in which `entries` is the name of the list. Skips other nested
    values, and entries for which `read` gives None.

    Of a page that is larger than any requested page, only the beginning is read. Raises Unavailable if the body is
    not such a list, or is cut off.
    """
    from ijson import JSONError  # only here: most processes never read a list

    source = _Source(content)
    reader = _Reader(read, entries)
    try:
        reader.take(source)
    except (JSONError, ValueError):
        if source.error is not None:
            raise source.error from None
        if source.is_too_long:
            reader.page.has_more = True
        else:
            reader = _reread(source, read, entries)
    page = reader.page
    # An error may have a null in this place, too, but says nothing of more.
    is_list = reader.is_list or (reader.is_null and page.has_more is False)
    if not is_list or (page.has_more and not page.entries):
        raise Unavailable("The video API's list can't be read: it holds no list of jobs.")
    return page


class _Reader(Generic[_T]):
    """Builds the entries from the parser's events."""

    def __init__(self, read: Callable[[dict[str, Any]], _T | None], entries: str) -> None:
        self.page: ListPage[_T] = ListPage()
        self._entries = entries
        self.is_list = False
        self.is_null = False  #: as servers in Go write an empty list
        self._read = read

    def take(self, source: _Source) -> None:
        """Raises ValueError."""
        from ijson.backends.python import basic_parse  # ijson's compiled parsers crash at endless numbers

        depth, key = 0, ""
        entry: _Entry | None = None
        for number, (event, value) in enumerate(basic_parse(source, buf_size=_CHUNK)):
            depth += event in ("start_map", "start_array")
            if entry is not None:
                entry.take(event, value, depth)
            elif depth == 1 and event == "map_key":
                key = value
            elif depth == 1 and key == "has_more" and event == "boolean":
                self.page.has_more = value
            elif depth == 1 and event in ("string", "number") and len(self.page.said) < _MOST_SAID:
                self.page.said[key] = value
            elif depth == 1 and key == self._entries and event == "null":
                self.is_null = True
            elif depth == 2 and key == self._entries and event == "start_array":
                self.is_list = True
            elif depth == 3 and key == self._entries and self.is_list and event == "start_map":
                entry = _Entry()
            depth -= event in ("end_map", "end_array")
            if entry is not None and depth == 2:
                self.add(entry.value)
                entry = None
            if len(self.page.entries) >= _MOST_ENTRIES or number > _MOST_EVENTS:
                source.is_too_long = True

    def add(self, entry: dict[str, Any]) -> None:
        if len(self.page.entries) >= _MOST_ENTRIES:
            self.page.has_more = True
            return
        done = self._read(entry)
        if done is None:
            self.page.passed_over += 1
        else:
            self.page.entries.append(done)


class _Entry:
    def __init__(self) -> None:
        from ijson import ObjectBuilder

        self._builder = ObjectBuilder()
        self._builder.event("start_map", None)
        self._values = 0
        self._key = ""
        self._flat: dict[str, Any] = {}

    def take(self, event: str, value: Any, depth: int) -> None:
        self._values += 1
        if self._values <= _MOST_VALUES:
            self._builder.event(event, value)
        if depth == 3 and event == "map_key":
            self._key = value
        elif depth == 3 and event in ("string", "number", "boolean") and len(self._flat) < _MOST_VALUES:
            self._flat[self._key] = value

    @property
    def value(self) -> dict[str, Any]:
        whole: dict[str, Any] = self._builder.value if self._values <= _MOST_VALUES else self._flat
        return whole


def _reread(source: _Source, read: Callable[[dict[str, Any]], _T | None], name: str) -> _Reader[_T]:
    """Parse with Python's own parser, which accepts values that ijson refuses, such as NaN."""
    reader = _Reader(read, name)
    try:
        body = json_in(source.all_of_it())
    except (ValueError, RecursionError):
        raise Unavailable("The video API's list can't be read: it is no JSON, or was cut off.") from None
    entries = body.get(name) if isinstance(body, dict) else None
    if isinstance(body, dict):
        flat = ((key, value) for key, value in body.items() if isinstance(value, str | int | float))
        reader.page.said = dict(itertools.islice(flat, _MOST_SAID))
    reader.is_list = isinstance(entries, list)
    if isinstance(body, dict) and isinstance(body.get("has_more"), bool):
        reader.page.has_more = body["has_more"]
    for entry in entries if isinstance(entries, list) else ():
        reader.add(entry if isinstance(entry, dict) else {})
    return reader


class _Source:
    """What ijson reads from."""

    def __init__(self, content: HttpContent) -> None:
        self._chunks = without_long_texts(self._counted(content.chunks(_CHUNK)), None)
        self._read = 0
        self._came = 0  # bytes, long texts included
        self._beginning = bytearray()
        self.is_too_long = False  #: then the parser sees an early end
        self.error: BackendError | None = None  #: then, too: no exception may leave the parser

    def read(self, size: int) -> bytes:
        if not size or self.is_too_long:
            return b""
        try:
            chunk = next(self._chunks, b"")
        except BackendError as error:
            self.error, chunk = error, b""
        self._read += len(chunk)
        self.is_too_long = self._read > _LARGEST_PAGE or self._came >= LONGEST_READ
        if self._read <= _LARGEST_REREAD:
            self._beginning += chunk
        return chunk

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._came += len(chunk)
            yield chunk

    def all_of_it(self) -> bytes:
        """Empty if it is too long to be kept in memory."""
        while len(self._beginning) == self._read and self.read(_CHUNK):
            pass
        return bytes(self._beginning) if len(self._beginning) == self._read else b""
