"""The page's files: which there are, and what they are."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from http_edge.etags import etag_of

SHELL = "index.html"

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    content: bytes
    gzipped: bytes
    content_type: str
    etag: str
    gzipped_etag: str  #: other bytes, another tag


@functools.cache
def page_files() -> Mapping[str, PageFile]:
    """Every file by its name, read once: what is not in here can't be asked for, whatever a path says."""
    found = (path for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES)
    return {path.name: _read(path) for path in found}


def takes_gzip(accept_encoding: str) -> bool:
    for entry in accept_encoding.lower().split(","):
        coding, _, parameters = entry.partition(";")
        if coding.strip() == "gzip":
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    gzipped = gzip.compress(content, mtime=0)
    return PageFile(content, gzipped, _TYPES[path.suffix], etag_of(content), etag_of(gzipped))
