"""Files that the app serves to browsers: compression, caching, and the headers that limit what a page may do."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import azure.functions as func

from http_edge.etags import etag_of, has_already
from http_edge.operations import ETAG, Answer, Header
from http_edge.problems import HttpProblem

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}

_POLICY_HEADERS = {
    "Content-Security-Policy": "What the page may load, and from which origins.",
    "Cross-Origin-Opener-Policy": "No other page can access this page's window.",
    "Cross-Origin-Resource-Policy": "No other page can load the file.",
    "Permissions-Policy": "The page uses no camera, microphone, location, payment or USB.",
    "Referrer-Policy": "Requests do not tell other sites where they come from.",
    "X-Frame-Options": "No other page can frame this one, for browsers that don't know `frame-ancestors`.",
}
_KEPT = [
    ETAG,
    Header("Vary", "Accept-Encoding: compressed and plain answers differ."),
    *(Header(name, purpose) for name, purpose in _POLICY_HEADERS.items()),
]
_SENT = [*_KEPT, Header("Content-Encoding", "gzip, if the browser accepts it.", required=False)]
_UNCHANGED = Answer("Your copy is current", headers=_KEPT)

PAGE_ANSWERS = {200: Answer("The page", media_type="text/html", headers=_SENT), 304: _UNCHANGED}
FILE_ANSWERS = {200: Answer("The file", media_type="*/*", headers=_SENT), 304: _UNCHANGED}
"""For the contract."""

ASKED_ABOUT = "no-cache"
"""Cached, and revalidated at each use: a new deployment shows at the next visit."""

FOR_A_DAY = "public, max-age=86400"
"""For files that change only with a library's version."""


def policy(*directives: str) -> dict[str, str]:
    """The headers for a page, and for each of its files, with these directives of a Content-Security-Policy."""
    return {
        "Content-Security-Policy": "; ".join(directives),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }


class StaticFile(NamedTuple):
    content: bytes
    gzipped: bytes
    content_type: str
    etag: str
    gzipped_etag: str  #: the compressed bytes need their own ETag


class StaticFiles:
    """A fixed set of files by name. No other file can be requested, whatever a path says.

    `find` gives the names and how to read each file. It runs at the first request, so that a cold start reads no disk.
    """

    def __init__(self, find: Callable[[], Mapping[str, Callable[[], bytes]]]) -> None:
        self._readers = functools.cache(find)
        self._file = functools.cache(self._read)

    @property
    def names(self) -> set[str]:
        return set(self._readers())

    def answer(
        self, req: func.HttpRequest, name: str, headers: Mapping[str, str], cache_control: str = ASKED_ABOUT
    ) -> func.HttpResponse:
        """The file, compressed if the browser accepts that, or 304. Raises HttpProblem if there is no such file."""
        if name not in self._readers():
            raise HttpProblem(404, "page_not_found", "There is no page and no file of this name.")
        file = self._file(name)
        packed = takes_gzip(req.headers.get("accept-encoding", ""))
        etag = file.gzipped_etag if packed else file.etag
        whole = {**headers, "Cache-Control": cache_control, "ETag": etag, "Vary": "Accept-Encoding"}
        if has_already(req.headers, etag):
            return func.HttpResponse(status_code=304, headers=whole)
        whole["Content-Type"] = file.content_type
        if packed:
            whole["Content-Encoding"] = "gzip"
        return func.HttpResponse(file.gzipped if packed else file.content, headers=whole)

    def _read(self, name: str) -> StaticFile:
        content = self._readers()[name]()
        gzipped = gzip.compress(content, mtime=0)
        return StaticFile(content, gzipped, _TYPES[Path(name).suffix], etag_of(content), etag_of(gzipped))


def on_disk(paths: Iterable[Path]) -> dict[str, Callable[[], bytes]]:
    return {path.name: path.read_bytes for path in paths}


def takes_gzip(accept_encoding: str) -> bool:
    for entry in accept_encoding.lower().split(","):
        coding, _, parameters = entry.partition(";")
        if coding.strip() == "gzip":
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
