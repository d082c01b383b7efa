"""Answers whose headers say something else than their bodies: the bodies count."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest

from tests.strange_api import Asked, Reply, StrangeApi, StrangeLine
from tests.strange_server import VIDEO, Server
from video_jobs.domain.job import Status


@pytest.mark.parametrize("length", [len(VIDEO) - 100, len(VIDEO) + 100])
def test_a_length_beside_chunks_tells_nothing(api: StrangeApi, length: int) -> None:
    server = Server(api)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(VIDEO), VIDEO)
    server.replies["content"] = Reply(
        200, body, {"Transfer-Encoding": "chunked"}, content_type="video/mp4", length=length
    )
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert len(api.asked("content")) == 1


def called_compressed(reply: Reply, *, in_chunks: bool) -> Reply:
    body, headers = reply.bytes, {"Content-Encoding": "gzip"}
    if not in_chunks:
        return replace(reply, headers=headers)
    pieces = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:1], body[1:]))
    chunks = {**headers, "Transfer-Encoding": "chunked"}
    return replace(reply, body=b"".join((*pieces, b"0\r\n\r\n")), headers=chunks, length=-1)


@pytest.mark.parametrize("in_chunks", [False, True])
def test_what_a_proxy_has_unpacked_and_still_calls_compressed_is_read(
    api: StrangeApi, in_chunks: bool
) -> None:
    server = Server(api)
    plain = dict(server.replies)

    def lying(asked: Asked) -> Reply:
        server.replies, kept = plain, server.replies
        reply = server.answer(asked)
        server.replies = kept
        return called_compressed(reply, in_chunks=in_chunks)

    server.replies = {**dict.fromkeys(("create", "get", "content"), lying), "list": Reply(404)}
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED


def test_what_is_compressed_is_unpacked(api: StrangeApi) -> None:
    server = Server(api)
    label = {"Content-Encoding": "gzip"}
    server.replies["content"] = Reply(200, gzip.compress(VIDEO), label, content_type="video/mp4")
    server.replies["get"] = Reply(
        200, gzip.compress(json.dumps(server.shown(status="completed")).encode()), label
    )
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED


def usual(server: Server, asked: Asked) -> Reply:
    """What the server answers without its special replies."""
    replies, server.replies = server.replies, {}
    reply = server.answer(asked)
    server.replies = replies
    return reply


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "the create's answer lost"])
def test_a_text_that_is_no_utf_8_spoils_no_answer(api: StrangeApi, lost: bool) -> None:
    server = Server(api)

    def spoilt(asked: Asked) -> Reply:
        reply = usual(server, asked)
        body = reply.bytes.replace(b'"object"', b'"note": "caf\xe9", "object"')
        return replace(reply, body=body, cut=lost and asked.operation == "create")

    server.replies = dict.fromkeys(("create", "get", "list"), spoilt)
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize(
    "name", ["X-Frame-Options ", "My Param", "X-Mod\xe8le", "Set-Cookie: a\r\nSecure\r\nX"]
)
def test_a_line_among_the_headers_that_is_none_hides_no_length(api: StrangeApi, name: str) -> None:
    server = Server(api)

    def odd(asked: Asked) -> Reply:
        reply = usual(server, asked)
        return replace(reply, headers={name: "DENY"})

    server.replies = {**dict.fromkeys(("create", "get", "content"), odd), "list": Reply(404)}
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert (
        len({asked.connection for asked in api.seen if asked.method == "GET"}) == 1
    )  # each answer's end was known
