"""Forms that would cost their parser seconds are refused before it has them, in words."""

from __future__ import annotations

import azure.functions as func
import pytest

from http_edge.submissions import read_fields
from video_jobs.domain.errors import InvalidRequest

FORM = "multipart/form-data; boundary=xyz"
NAME = b'Content-Disposition: form-data; name="prompt"'
WHOLE = b"--xyz\r\n" + NAME + b"\r\n\r\na boat\r\n--xyz--\r\n"
LARGE = 20_000_000


def read(body: bytes, content_type: str = FORM) -> dict[str, str]:
    request = func.HttpRequest("POST", "/", headers={"content-type": content_type}, body=body)
    return read_fields(request.headers, body, lambda: (request.form, request.files)).values


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_a_form_may_have_any_line_end(line_end: bytes) -> None:
    assert read(WHOLE.replace(b"\r\n", line_end)) == {"prompt": "a boat"}


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/form-data; boundary="xyz"', b"xyz"),
        ("multipart/form-data; charset=utf-8; boundary=xyz", b"xyz"),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
        ("multipart/form-data; boundary=dart-http-boundary-a+B_c.1", b"dart-http-boundary-a+B_c.1"),
        ('multipart/form-data; boundary="=_a b/c:(d)?"', b"=_a b/c:(d)?"),
        ("multipart/form-data; boundary=" + "x" * 70, b"x" * 70),
    ],
)
def test_a_boundary_is_read_as_the_parser_reads_it(content_type: str, boundary: bytes) -> None:
    assert read(WHOLE.replace(b"xyz", boundary), content_type) == {"prompt": "a boat"}


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=\u2603",
        "multipart/form-data; boundary=" + "x" * 5000,
        "multipart/form-data; xboundary=xyz",
        "multipart/form-data; boundary*=UTF-8''xyz",
        "multipart/form-data; boundary=xyz; boundary=other",
    ],
)
def test_a_boundary_that_is_none_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest, match="boundary of 1 to 70") as error:
        read(WHOLE, content_type)
    assert error.value.problems[0].field == "Content-Type"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"a" * LARGE + b"\r\n" + WHOLE, "does not begin with the boundary"),
        (b"\r" * LARGE, "does not begin with the boundary"),
        (b"--xyz\r\n" + b"X: a\r\n" * (LARGE // 6) + b"\r\n?\r\n--xyz--\r\n", "headers"),
        (b"--xyz\r\n" + NAME + b"; a=b" * (LARGE // 5) + b"\r\n\r\n?\r\n--xyz--\r\n", "headers"),
        ((b"--xyz\r\nX: " + b"a" * 60_000 + b"\r\n\r\n?\r\n") * 3 + b"--xyz--\r\n", "headers"),
        (WHOLE[:-12] + b"?" * 70_000, "cut off"),
    ],
    ids=["preamble", "line ends", "header lines", "parameters", "parts together", "cut off"],
)
def test_a_costly_form_and_one_that_was_cut_off_are_refused_unread(
    body: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(func.HttpRequest, "form", property(lambda _: pytest.fail("it was parsed")))
    with pytest.raises(InvalidRequest, match=words):
        read(body)


def test_a_text_in_another_encoding_is_refused_and_a_replacement_character_is_taken() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        read(WHOLE.replace(b"boat", b"caf\xe9"))
    assert read(WHOLE.replace(b"boat", "\ufffd".encode())) == {"prompt": "a \ufffd"}


@pytest.mark.parametrize(
    "header", [b"Content-Transfer-Encoding: base64", b"content-transfer-encoding:Quoted-Printable"]
)
def test_a_text_in_a_transfer_encoding_is_refused(header: bytes) -> None:
    first, _, rest = WHOLE.partition(b"\r\n\r\n")
    with pytest.raises(InvalidRequest, match="a part in base64 or quoted-printable"):
        read(first + b"\r\n" + header + b"\r\n\r\n" + rest)


@pytest.mark.parametrize("coding", [b"8bit", b"binary"])
def test_a_text_whose_transfer_encoding_changes_nothing_is_taken(coding: bytes) -> None:
    first, _, rest = WHOLE.partition(b"\r\n\r\n")
    part = first + b"\r\nContent-Transfer-Encoding: " + coding + b"\r\n\r\n" + rest
    assert read(part) == {"prompt": "a boat"}
