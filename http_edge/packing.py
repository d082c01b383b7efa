"""Answers of JSON that are asked for again and again: packed where the client takes that, and not sent twice."""

from __future__ import annotations

import gzip
from typing import Any

import azure.functions as func

from http_edge.etags import has_already
from http_edge.operations import Header
from http_edge.problems import JSON, dump
from http_edge.static_files import takes_gzip

_SMALLEST = 1000  # bytes: below that, packing saves nothing

VARY = Header("Vary", "Accept-Encoding: compressed, it is another one.")
PACKED = [VARY, Header("Content-Encoding", "gzip, where it is taken.", required=False)]
"""For the contract."""


def packed_answer(req: func.HttpRequest, body: Any, etag: str) -> func.HttpResponse:
    """The body, or 304 where the client has it. The tag is sent as a weak one: it is of the body, packed or not."""
    headers = {"ETag": f"W/{etag}", "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if has_already(req.headers, etag):
        return func.HttpResponse(status_code=304, headers=headers)
    content = dump(body)
    if len(content) >= _SMALLEST and takes_gzip(req.headers.get("accept-encoding", "")):
        content, headers["Content-Encoding"] = gzip.compress(content, 5, mtime=0), "gzip"
    return func.HttpResponse(content, mimetype=JSON, headers=headers)
