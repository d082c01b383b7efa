"""A body with an image is sent in pieces, and is what it would be as a whole."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc

import pytest
import requests

from video_jobs.backends.upload import JsonUpload, Upload, form_with

SIZES = [0, 1, 2, 3, 4, 192 << 10, (192 << 10) + 1, 1 << 20]


def joined(upload: Upload) -> bytes:
    whole = b"".join(bytes(piece) for piece in upload)
    assert len(whole) == len(upload)
    return whole


@pytest.mark.parametrize("size", SIZES)
def test_json_holds_the_image_as_a_data_url(size: int) -> None:
    image = bytes(range(256)) * (size // 256) + bytes(size % 256)
    whole = JsonUpload()
    upload = whole.of({"a": {"url": whole.data_url(image, "image/png")}, "prompt": "é"})
    assert upload.content_type == "application/json"
    expected = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    assert json.loads(joined(upload)) == {"a": {"url": expected}, "prompt": "é"}


def test_json_holds_several_images_each_where_it_belongs() -> None:
    whole, images = JsonUpload(), [b"first", b"last one", b"last one"]
    urls = [whole.data_url(io.BytesIO(image), "image/png") for image in images]
    upload = whole.of({"b": urls[1:], "a": urls[0], "again": urls[0]})
    first, *others = (f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in images)
    for _ in range(2):
        assert json.loads(joined(upload)) == {"a": first, "b": others, "again": first}


def test_json_without_an_image_is_sent_as_it_is() -> None:
    assert json.loads(joined(JsonUpload().of({"prompt": "é"}))) == {"prompt": "é"}


@pytest.mark.parametrize("size", SIZES)
def test_a_form_is_what_requests_would_make_of_it(size: int) -> None:
    image, fields = b"\r\n--" * (size // 4) + bytes(size % 4), [("prompt", "é\r\n"), ("seconds", "4")]
    upload = form_with(fields, "files", image, "image/webp")
    boundary = upload.content_type.partition("boundary=")[2]
    files: list[tuple[str, tuple[str, bytes, str]]] = [("files", ("image.webp", image, "image/webp"))]
    expected = requests.Request("POST", "http://x.invalid", data=fields, files=files).prepare()
    theirs = expected.headers["Content-Type"].partition("boundary=")[2]
    assert isinstance(expected.body, bytes)
    assert joined(upload) == expected.body.replace(theirs.encode(), boundary.encode())


@pytest.mark.parametrize("as_json", [True, False])
def test_little_more_than_one_piece_is_made_at_a_time(as_json: bool) -> None:
    image = bytes(19 << 20)
    tracemalloc.start()
    try:
        whole = JsonUpload()
        upload = (
            whole.of({"url": whole.data_url(image, "image/png")})
            if as_json
            else form_with([], "files", image, "image/png")
        )
        assert sum(map(len, upload)) == len(upload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
