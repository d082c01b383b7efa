"""JSON answers that clients request often: compressed if the client accepts that, and 304 if it has the answer already."""

from __future__ import annotations

import gzip
from typing import Any

import azure.functions as func

from http_edge.etags import has_already
from http_edge.operations import Header
from http_edge.problems import JSON, dump
from http_edge.static_files import takes_gzip

_SMALLEST = 1000  # bytes: below that, compression saves nothing

VARY = Header("Vary", "Accept-Encoding: compressed and plain answers differ.")
PACKED = [VARY, Header("Content-Encoding", "gzip, if the client accepts it.", required=False)]
"""For the contract."""


def packed_answer(req: func.HttpRequest, body: Any, etag: str) -> func.HttpResponse:
    """The body, or 304 if the client has it. The ETag is sent as a weak one: it is the same for the compressed body."""
    headers = {"ETag": f"W/{etag}", "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if has_already(req.headers, etag):
        return func.HttpResponse(status_code=304, headers=headers)
    content = dump(body)
    if len(content) >= _SMALLEST and takes_gzip(req.headers.get("accept-encoding", "")):
        content, headers["Content-Encoding"] = gzip.compress(content, 5, mtime=0), "gzip"
    return func.HttpResponse(content, mimetype=JSON, headers=headers)
