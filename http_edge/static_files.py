"""Files that the app serves to browsers: how they travel, and what a browser may do with them."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

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
    "Content-Security-Policy": "What the page may load, and from where.",
    "Cross-Origin-Opener-Policy": "No other page gets hold of this one's window.",
    "Cross-Origin-Resource-Policy": "No other page takes the file in.",
    "Permissions-Policy": "The page needs nothing of the machine.",
    "Referrer-Policy": "Nobody is told where a request comes from.",
    "X-Frame-Options": "No other page shows this one, for browsers that don't know `frame-ancestors`.",
}
_KEPT = [
    ETAG,
    Header("Vary", "Accept-Encoding: compressed, it is another one."),
    *(Header(name, purpose) for name, purpose in _POLICY_HEADERS.items()),
]
_SENT = [*_KEPT, Header("Content-Encoding", "gzip, where it is taken.", required=False)]
_UNCHANGED = Answer("It is as you have it", headers=_KEPT)

PAGE_ANSWERS = {200: Answer("The page", media_type="text/html", headers=_SENT), 304: _UNCHANGED}
FILE_ANSWERS = {200: Answer("The file", media_type="*/*", headers=_SENT), 304: _UNCHANGED}
"""For the contract."""

ASKED_ABOUT = "no-cache"
"""Kept, and asked about each time: a deployment shows at the next visit."""

FOR_A_DAY = "public, max-age=86400"
"""For what changes with a library and never else."""


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


@dataclass(frozen=True)
class StaticFile:
    content: bytes
    gzipped: bytes
    content_type: str
    etag: str
    gzipped_etag: str  #: other bytes, another tag


class StaticFiles:
    """Some files by their names. What is not among them can't be asked for, whatever a path says.

    `find` names them, and how each is read, when the first is asked for, so that a cold start does not wait for a disk.
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
        """The file, packed where the browser takes that, or 304. Raises HttpProblem where there is none."""
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
