"""A large image is taken out of a body of JSON before that is parsed."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from http_edge.large_json import TakenOut, take_out_images
from openai_api.request import read_create
from submit_job.request import read_submission
from tests.settings_examples import BACKENDS
from video_jobs.domain.errors import InvalidRequest

LARGE = 300 << 10
PICTURE = io.BytesIO()
Image.new("RGB", (8, 8)).save(PICTURE, "PNG")


def body_of(text: str, **fields: object) -> bytes:
    return json.dumps({"prompt": "a boat", "input_image": f"data:image/png;base64,{text}", **fields}).encode()


def read_all(body: bytes) -> dict[int, bytes]:
    headers = {"content-type": "application/json"}
    return read_submission(headers, body, lambda: ({}, {})).contents


def read(body: bytes) -> bytes:
    return read_all(body)[0]


@pytest.mark.parametrize("fields", [{}, {"metadata": {"n": "1"}}], ids=["at its end", "before others"])
def test_a_large_image_is_read_as_a_small_one_is(fields: dict[str, object]) -> None:
    for content in (PICTURE.getvalue(), PICTURE.getvalue() + bytes(LARGE)):
        assert read(body_of(base64.b64encode(content).decode(), **fields)) == content


def test_an_image_whose_slashes_are_escaped_is_read_too() -> None:
    content = PICTURE.getvalue() + b"\xff" * LARGE
    assert read(body_of(base64.b64encode(content).decode()).replace(b"/", b"\\/")) == content


def test_only_the_decoded_image_is_held_beside_the_body() -> None:
    body = body_of(base64.b64encode(PICTURE.getvalue() + bytes(19 << 20)).decode())
    read(body_of(base64.b64encode(PICTURE.getvalue()).decode()))
    tracemalloc.start()
    try:
        content = read(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(content) * 1.1


def test_several_large_images_each_keep_their_place() -> None:
    first, last, reference = (PICTURE.getvalue() + bytes([number]) * LARGE for number in range(3))
    url, *urls = (
        f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in (first, last, reference)
    )
    small = f"data:image/png;base64,{base64.b64encode(PICTURE.getvalue()).decode()}"
    body = {
        "prompt": "a boat",
        "last_image": urls[0],
        "reference_images": [small, urls[1]],
        "input_image": url,
    }
    expected = {0: first, 1: last, 2: PICTURE.getvalue(), 3: reference}
    assert read_all(json.dumps(body).encode()) == expected


def test_an_openai_client_sends_several_large_images() -> None:
    first, last, reference = (PICTURE.getvalue() + bytes([number]) * LARGE for number in range(3))
    urls = [f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in (first, last, reference)]
    body = {
        "prompt": "a boat",
        "frame_images": [
            {"image_url": {"url": urls[1]}, "frame_type": "last_frame"},
            {"image_url": {"url": urls[0]}, "frame_type": "first_frame"},
        ],
        "input_references": [{"image_url": urls[2]}],
    }
    headers = {"content-type": "application/json"}
    submission = read_create(headers, json.dumps(body).encode(), lambda: ({}, {}), BACKENDS)
    assert submission.contents == {0: first, 1: last, 2: reference}
    with pytest.raises(InvalidRequest, match="scene: is not taken; send images as"):
        read_create(headers, json.dumps({**body, "scene": urls[0]}).encode(), lambda: ({}, {}), BACKENDS)


@pytest.mark.parametrize("prompt", ["x;base64," + "A" * LARGE, "data:image/png;base64," + "A" * LARGE])
def test_a_large_text_that_is_no_image_is_refused(prompt: str) -> None:
    with pytest.raises(InvalidRequest):
        read(json.dumps({"prompt": prompt}).encode())


def test_a_large_image_that_is_no_base64_is_refused_by_its_field() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(body_of("A" * LARGE + "!"))
    assert [problem.field for problem in refused.value.problems] == ["input_image"]


@given(st.binary(max_size=200), st.integers(0, 3))
def test_what_is_no_large_image_stays_as_it_is(noise: bytes, times: int) -> None:
    body = noise.join([b'";base64,'] * times) + noise
    assert take_out_images(body) == (body, TakenOut())
