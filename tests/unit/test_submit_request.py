"""What a client may send, and how everything else is refused before anything is written."""

import base64
import gzip
import hashlib
import io
import json
import re
import tracemalloc
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from http_edge.fields import validated
from http_edge.images import from_data_url
from http_edge.large_json import TakenOut
from http_edge.submissions import LONGEST_PROMPT
from openai_api.request import read_create
from submit_job.request import SubmitRequest, read_submission
from tests.settings_examples import BACKENDS
from tests.unit.examples import moderately_many
from video_jobs.domain.errors import InvalidRequest, LengthRequired, RequestTooLarge, UnsupportedContentType
from video_jobs.domain.job import InputImage
from video_jobs.lifecycle.submit import Submission
from video_jobs.media.images import LARGEST_BODY, LARGEST_IMAGE

JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=xyz"}
EMOJI = "🎬"


def no_form() -> tuple[Mapping[str, str], Mapping[str, Any]]:
    raise AssertionError("a JSON body was read as a form")


def send(body: Any, **headers: str) -> Submission:
    return read_submission({**JSON, **headers}, json.dumps(body).encode(), no_form)


def send_form(fields: dict[str, str], files: dict[str, bytes] | None = None) -> Submission:
    opened = {name: io.BytesIO(content) for name, content in (files or {}).items()}
    return read_submission(FORM, b"--xyz", lambda: (fields, opened))


def fields_refused(error: InvalidRequest) -> dict[str, str]:
    return {problem.field: problem.message for problem in error.problems}


def refused(body: Any) -> dict[str, str]:
    """The problems of `{"prompt": "a boat"}` with this added, by field."""
    with pytest.raises(InvalidRequest) as error:
        send({"prompt": "a boat", **body})
    assert error.value.code == "invalid_request"
    return fields_refused(error.value)


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# --- what is taken -------------------------------------------------------------------------------


def test_a_prompt_is_enough():
    submission = send({"prompt": "a boat"})
    assert (submission.prompt, submission.metadata) == ("a boat", {})
    assert (submission.size, submission.seconds, submission.variants) == (None, None, None)
    assert submission.backend is None
    assert (submission.images, submission.idempotency_key) == ({}, None)


def test_everything_may_be_said():
    body = {
        "prompt": "a boat\n\ton a street",
        "size": "1280x720",
        "seconds": 8,
        "variants": 2,
        "metadata": {"campaign": "spring"},
        "backend": "own",
    }
    submission = send(body)
    assert {name: getattr(submission, name) for name in body} == body


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json "]
)
def test_json_is_taken_under_every_spelling_of_its_type(content_type: str):
    assert send({"prompt": "a boat"}, **{"content-type": content_type}).prompt == "a boat"


@pytest.mark.parametrize(("sent", "read"), [("8", 8), (8, 8), ("1", 1), (3600, 3600), (None, None)])
def test_seconds_may_be_a_string_as_the_openai_clients_send_them(sent: Any, read: int | None):
    assert send({"prompt": "a boat", "seconds": sent}).seconds == read


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/webp"])
def test_an_image_comes_as_a_data_url_and_its_content_tells_its_type(pictures: dict[str, bytes], kind: str):
    content = pictures[kind]
    submission = send({"prompt": "a boat", "input_image": data_url(content, "image/png;name=a.png")})
    assert submission.contents == {0: content}
    assert submission.images[0].facts == InputImage(
        kind, len(content), hashlib.sha256(content).hexdigest(), 64, 48
    )


def test_an_image_comes_as_a_file_of_a_form(pictures: dict[str, bytes]):
    content = pictures["image/jpeg"]
    fields = {"prompt": "a boat", "seconds": "8", "variants": "2", "metadata": '{"a":"b"}'}
    submission = send_form(fields, {"input_image": content})
    assert submission.contents == {0: content}
    assert submission.images[0].facts.content_type == "image/jpeg"
    assert (submission.seconds, submission.variants, submission.metadata) == (8, 2, {"a": "b"})


def test_a_form_needs_no_image():
    assert not send_form({"prompt": "a boat"}).images


# --- the prompt ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prompt", ["a" * LONGEST_PROMPT, EMOJI * (LONGEST_PROMPT // 2), "漢" * LONGEST_PROMPT]
)
def test_the_longest_prompt_is_taken(prompt: str):
    assert send({"prompt": prompt}).prompt == prompt


def test_a_prompt_of_32000_emoji_is_refused_before_anything_is_written():
    assert refused({"prompt": EMOJI * 32_000}) == {
        "prompt": "it has 64000 UTF-16 units; at most 32000 are taken"
    }


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        pytest.param(
            "",
            "it is empty",
        ),
        ("   \n\t ", "it is empty"),
        ("\u00a0\u3000", "it is empty"),
        ("a" * (LONGEST_PROMPT + 1), "32001 UTF-16 units"),
        (EMOJI * 16_000 + "a", "32001 UTF-16 units"),
        pytest.param("\0" * 32_001, "32001 UTF-16 units", id="too long, before a look at each character"),
        pytest.param("\ud83d" * 32_001, "32001 UTF-16 units", id="too long, and half of pairs"),
        ("a\0b", "control characters"),
        ("a\x1b[31m", "control characters"),
        ("a\x7f", "control characters"),
        ("half \ud83d", "half of a surrogate pair"),
        ("\udfac\ud83c", "half of a surrogate pair"),
        (None, "must be text"),
        (7, "must be text"),
        (True, "must be text"),
        (["a boat"], "must be text"),
        ({"text": "a boat"}, "must be text"),
    ],
)
def test_a_prompt_that_is_no_text_of_a_fair_length_is_refused(prompt: Any, says: str):
    problems = refused({"prompt": prompt})
    assert problems.keys() == {"prompt"}
    assert says in problems["prompt"]
    assert len(problems["prompt"]) < 200


def test_a_missing_prompt_is_told():
    with pytest.raises(InvalidRequest) as error:
        send({})
    assert fields_refused(error.value) == {"prompt": "is missing"}


@moderately_many
@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=50))
def test_a_prompt_is_taken_unchanged_or_refused_by_name(prompt: str):
    try:
        taken = send({"prompt": prompt}).prompt
    except InvalidRequest as error:
        problems = fields_refused(error)
        taken = None
    if taken is None:
        assert problems.keys() == {"prompt"}
    else:
        assert taken == prompt
        assert taken.encode()
        assert taken.strip()


# --- the other fields ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size",
    [
        "",
        "1280",
        "1280*720",
        "1280X720",
        "x720",
        "0x720",
        "01280x720",
        "1280x720\n",
        " 1280x720",
        "-1280x720",
        "1280x7200000",
        "9x9",
        "auto",
    ],
)
def test_a_size_is_written_width_x_height(size: str):
    assert refused({"size": size}) == {"size": "must be WIDTHxHEIGHT in pixels, like 1280x720"}


@pytest.mark.parametrize("size", [1280, [1280, 720], "\ud83d", True])
def test_a_size_that_is_no_text_is_refused(size: Any):
    assert refused({"size": size}).keys() == {"size"}


@pytest.mark.parametrize("field", ["seconds", "variants"])
@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        3601,
        4.5,
        4.0,
        1e400,
        10**400,
        True,
        "",
        " 4",
        "-4",
        "4.0",
        "four",
        "0",
        "3601",
        "9999999",
        [4],
        {"n": 4},
    ],
)
def test_a_number_that_is_no_small_whole_one_is_refused(field: str, value: Any):
    assert refused({field: value}).keys() == {field}


@pytest.mark.parametrize(
    ("field", "value"), [("backend", ""), ("backend", "b" * 41), ("backend", 7), ("backend", "\ud83d")]
)
def test_a_backend_is_named_by_a_short_text(field: str, value: Any):
    assert refused({field: value}).keys() == {field}


def test_an_unknown_field_is_refused_and_the_known_ones_are_named():
    problems = refused({"sedonds": 4})
    assert problems.keys() == {"sedonds"}
    for field in ("prompt", "size", "seconds", "variants", "input_image", "metadata", "backend"):
        assert field in problems["sedonds"]


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "n" * 10_000, "é\u202e"])
def test_an_unknown_fields_name_comes_back_short_and_printable(name: str):
    (field,) = refused({name: 1})
    assert field.isprintable()
    assert len(field) <= 100


def test_a_fields_name_with_half_of_a_surrogate_pair_is_refused():
    with pytest.raises(InvalidRequest, match="holds half of a surrogate pair; send valid Unicode") as error:
        send({"prompt": "a boat", "\ud83d": 1})
    assert str(error.value).encode()


def test_a_long_negative_prompt_is_refused_before_a_look_at_each_character():
    [problem] = refused({"negative_prompt": "\0" * 4001}).values()
    assert problem == "it has 4001 UTF-16 units; at most 4000 are taken"


def test_every_problem_is_told_at_once():
    assert refused({"prompt": "", "size": "big", "seconds": 0, "metadata": {"a": 1}, "x": 1}).keys() == {
        "prompt",
        "size",
        "seconds",
        "metadata.a",
        "x",
    }


# --- metadata ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata", [{}, {"k" * 64: "v" * 512}, {str(n): "" for n in range(16)}, {"a": EMOJI * 512}]
)
def test_metadata_are_up_to_16_short_texts(metadata: dict[str, str]):
    assert send({"prompt": "a boat", "metadata": metadata}).metadata == metadata


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({str(n): "" for n in range(17)}, "metadata"),
        ({str(n): EMOJI * 512 for n in range(16)}, "metadata"),
        ({str(n): '"' * 512 for n in range(16)}, "metadata"),
        ({"": "a"}, "metadata."),
        ({"k" * 65: "a"}, "metadata." + "k" * 65),
        ({"a": "v" * 513}, "metadata.a"),
        ({"a": 1}, "metadata.a"),
        ({"a": None}, "metadata.a"),
        ({"a": True}, "metadata.a"),
        ({"a": {"b": "c"}}, "metadata.a"),
        ({"a": "\0"}, "metadata.a"),
        ({"a": "\ud83d"}, "metadata.a"),
        ({"\0": "a"}, "metadata.?"),
        ({"\ud83d": "a"}, None),
        ("a=b", "metadata"),
        (["a"], "metadata"),
    ],
)
def test_metadata_that_are_too_many_too_long_or_no_text_are_refused(metadata: Any, field: str | None):
    problems = refused({"metadata": metadata})
    if field is None:
        assert all(name.startswith("metadata.") for name in problems)
    else:
        assert problems.keys() == {field}


# --- the image -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("", "data URL"),
        ("http://example.test/boat.png", "an https address"),
        ("https://" + "a" * 8000, "more than 8000 characters"),
        ("iVBORw0KGgo=", "data URL"),
        ("data:image/png,abc", "data URL"),
        ("data:image/png;base64,abc", "not valid base64"),
        ("data:image/png;base64,ab c=", "not valid base64"),
        ("data:image/png;base64,!!!!", "not valid base64"),
        ("data:image/png;base64,", "is empty"),
        (data_url(b"this is a text file\n"), "no PNG, JPEG or WebP"),
        (data_url(b"GIF89a\0\0\0\0"), "no PNG, JPEG or WebP"),
        (data_url(b"\x89PNG\r\n\x1a\n"), "is it whole?"),
        (7, "must be text"),
        (["a"], "must be text"),
        pytest.param(
            "data:image/png;base64,é",
            "not valid base64",
        ),
    ],
)
def test_what_is_no_image_is_refused(image: Any, says: str):
    problems = refused({"input_image": image})
    assert problems.keys() == {"input_image"}
    assert says in problems["input_image"]


def test_an_oversized_image_is_refused_in_json_and_in_a_form(pictures: dict[str, bytes]):
    huge = pictures["image/png"].ljust(LARGEST_IMAGE + 1, b"\0")
    assert f"at most {LARGEST_IMAGE}" in refused({"input_image": data_url(huge)})["input_image"]
    with pytest.raises(InvalidRequest, match=f"at most {LARGEST_IMAGE}"):
        send_form({"prompt": "a boat"}, {"input_image": huge})


def test_the_largest_image_fits_into_the_largest_body(pictures: dict[str, bytes]):
    largest = pictures["image/png"].ljust(LARGEST_IMAGE, b"\0")
    submission = send({"prompt": EMOJI * 16_000, "input_image": data_url(largest)})
    assert submission.images[0].facts.length == LARGEST_IMAGE


# --- the form ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "files", "field"),
    [
        ({}, {}, "body"),
        ({"seconds": "8"}, {}, "prompt"),
        ({"prompt": "a boat", "colour": "red"}, {}, "colour"),
        ({"prompt": "a boat", "input_image": "text"}, {}, "input_image"),
        ({"prompt": "a boat"}, {"input_reference": b"x"}, "input_reference"),
        ({"prompt": "a boat"}, {"input_image": b""}, "input_image"),
        ({"prompt": "a boat"}, {"input_image": b"this is a text file\n"}, "input_image"),
        ({"prompt": "a boat", "metadata": "a=b"}, {}, "metadata"),
        ({"prompt": "a boat", "metadata": "[]"}, {}, "metadata"),
        ({"prompt": "a boat", "metadata": ""}, {}, "metadata"),
        ({"prompt": "a boat", "metadata": '{"a":1}'}, {}, "metadata.a"),
        ({"prompt": "a boat", "seconds": ""}, {}, "seconds"),
        ({"prompt": "a boat", "size": "big"}, {}, "size"),
        pytest.param(
            {"prompt": "a boat", "metadata": "[" * 100_000},
            {},
            "metadata",
            id="deep-metadata",
        ),
    ],
)
def test_a_form_is_refused_by_the_name_of_what_is_wrong(
    fields: dict[str, str], files: dict[str, bytes], field: str
):
    with pytest.raises(InvalidRequest) as error:
        send_form(fields, files)
    assert fields_refused(error.value).keys() == {field}


# --- the body and its headers --------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"prompt=a+boat",
        b'{"prompt": "a boat"',
        b"{'prompt': 'a boat'}",
        b'{"prompt": "\xff"}',
        b'{"prompt": "a\nboat"}',
        b'{"seconds": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"prompt":' * 100_000,
        b"[]",
        b"null",
        b'"a boat"',
        b"7",
    ],
)
def test_broken_json_is_refused_as_such(body: bytes):
    with pytest.raises(InvalidRequest) as error:
        read_submission(JSON, body, no_form)
    assert error.value.code == "invalid_json"
    assert fields_refused(error.value).keys() == {"body"}
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"prompt": "caf\xe9"}'.encode("latin-1"), "is not text in UTF-8"),
        (b"[" * 40_000, "is nested too deeply"),
        (b'{"seconds": ' + b"9" * 5000 + b"}", "a number of thousands of digits"),
    ],
    ids=["latin-1", "nesting", "number"],
)
def test_broken_json_is_explained_in_words_and_not_in_pythons(body: bytes, says: str):
    with pytest.raises(InvalidRequest) as error:
        read_submission(JSON, body, no_form)
    assert says in str(error.value)
    assert not re.search("codec|recursion|sys[.]", str(error.value))


def test_deep_nesting_inside_a_field_is_refused_by_its_name():
    nested = json.loads("[" * 500 + "]" * 500)
    assert refused({"metadata": {"a": nested}}).keys() == {"metadata.a"}


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"]
)
def test_another_content_type_is_refused(content_type: str):
    with pytest.raises(UnsupportedContentType) as error:
        send({"prompt": "a boat"}, **{"content-type": content_type})
    assert error.value.code == "unsupported_media_type"
    assert "application/json" in str(error.value)


def test_a_missing_content_type_is_refused():
    with pytest.raises(UnsupportedContentType) as error:
        read_submission({}, b'{"prompt":"a boat"}', no_form)
    assert "missing" in str(error.value)


@pytest.mark.parametrize("headers", [JSON, FORM])
@pytest.mark.parametrize("coding", ["gzip", "Deflate", " br "])
def test_a_compressed_body_is_refused_by_its_header(headers: dict[str, str], coding: str):
    with pytest.raises(UnsupportedContentType) as error:
        read_submission({**headers, "content-encoding": coding}, gzip.compress(b"{}"), no_form)
    assert fields_refused(error.value).keys() == {"Content-Encoding"}
    assert "without compression" in str(error.value)


@pytest.mark.parametrize("coding", ["", "identity", "utf-8"])
def test_a_body_that_is_not_compressed_is_taken_whatever_its_header(coding: str):
    assert send({"prompt": "a boat"}, **{"content-encoding": coding}).prompt == "a boat"


@pytest.mark.parametrize("headers", [JSON, FORM, {}])
def test_a_body_beyond_the_limit_is_refused_unread(headers: dict[str, str]):
    with pytest.raises(RequestTooLarge) as error:
        read_submission(headers, bytes(LARGEST_BODY + 1), no_form)
    assert error.value.code == "body_too_large"


@pytest.mark.parametrize("headers", [JSON, FORM, {}])
@pytest.mark.parametrize("coding", ["chunked", "gzip, Chunked"])
def test_a_body_that_was_sent_in_chunks_and_did_not_arrive_is_said(headers: dict[str, str], coding: str):
    with pytest.raises(LengthRequired) as error:
        read_submission({**headers, "transfer-encoding": coding}, b"", no_form)
    assert error.value.code == "length_required"
    assert "Content-Length" in str(error.value)
    assert "toFile" in str(error.value)


def test_a_chunked_body_that_did_arrive_is_taken():
    assert send({"prompt": "a boat"}, **{"transfer-encoding": "chunked"}).prompt == "a boat"


@pytest.mark.parametrize("key", ["k", "3f0c9a7b-e1d2-4568-9c1a-7d1f0b2e4a55", "k" * 255, "!~"])
def test_an_idempotency_key_is_kept_as_it_is(key: str):
    assert send({"prompt": "a boat"}, **{"idempotency-key": key}).idempotency_key == key


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "clé", "a\n", "\ta", "a\x7f", "a\0"])
def test_a_bad_idempotency_key_is_refused(key: str):
    with pytest.raises(InvalidRequest) as error:
        send({"prompt": "a boat"}, **{"idempotency-key": key})
    assert fields_refused(error.value).keys() == {"Idempotency-Key"}


# --- the fingerprint -----------------------------------------------------------------------------


def fingerprint(**body: Any) -> str:
    return send({"prompt": "a boat", **body}).fingerprint


def test_the_same_request_has_the_same_fingerprint_however_it_is_written(pictures: dict[str, bytes]):
    image = pictures["image/png"]
    url = data_url(image)
    plain = fingerprint(seconds=8, metadata={"a": "1", "b": "2"}, input_image=url)
    assert plain == fingerprint(metadata={"b": "2", "a": "1"}, input_image=url, seconds="8")
    fields = {"metadata": '{"b": "2", "a": "1"}', "seconds": "8", "prompt": "a boat"}
    assert plain == send_form(fields, {"input_image": image}).fingerprint


def test_the_key_is_no_part_of_the_fingerprint():
    assert send({"prompt": "a boat"}, **{"idempotency-key": "k"}).fingerprint == fingerprint()


def test_every_part_of_a_request_is_in_its_fingerprint(pictures: dict[str, bytes]):
    prints = [
        fingerprint(),
        fingerprint(prompt="a ship"),
        fingerprint(size="1280x720"),
        fingerprint(seconds=8),
        fingerprint(variants=8),
        fingerprint(backend="own"),
        fingerprint(metadata={"a": "b"}),
        fingerprint(metadata={"b": "a"}),
        fingerprint(options={"a": None}),
        fingerprint(options={"b": None}),
        *(fingerprint(input_image=data_url(content)) for content in pictures.values()),
    ]
    assert len(set(prints)) == len(prints)


# --- forms as hostile clients write them ---------------------------------------------------------

FIELD = b'--xyz\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na boat\r\n'
NAMELESS = b"--xyz\r\nContent-Disposition: form-data\r\n\r\n?\r\n"
NAMELESS_FILE = b"--xyz\r\nContent-Disposition: form-data; filename=a\r\n\r\n?\r\n"
OTHER_FILE = b"--xyz\r\nContent-Disposition: form-data; name=z; filename=a\r\n\r\n?\r\n"


def send_body(api: str, body: bytes) -> Submission:
    """As the Functions worker reads a form."""
    request = func.HttpRequest(
        "POST", "/api", headers={**FORM, "content-length": str(len(body))}, body=body + b"--xyz--\r\n"
    )
    read = request.get_body(), lambda: (request.form, request.files)
    if api == "openai":
        return read_create(request.headers, *read, BACKENDS)
    return read_submission(request.headers, *read)


@pytest.mark.parametrize("api", ["jobs", "openai"])
@pytest.mark.parametrize("parts", [NAMELESS, NAMELESS_FILE, NAMELESS_FILE + OTHER_FILE])
def test_a_form_with_a_nameless_part_is_refused(api: str, parts: bytes):
    assert send_body(api, FIELD).prompt == "a boat"
    with pytest.raises(InvalidRequest, match="a part without a name"):
        send_body(api, FIELD + parts)


@pytest.mark.parametrize("api", ["jobs", "openai"])
def test_a_form_of_very_many_parts_is_refused_unread(api: str):
    part = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n?\r\n'
    with (
        patch.object(func.HttpRequest, "form", property(lambda _: pytest.fail("it was read"))),
        pytest.raises(InvalidRequest, match="more than 1000 parts"),
    ):
        send_body(api, part * 1002)


@pytest.mark.parametrize("api", ["jobs", "openai"])
def test_a_text_that_is_sent_as_a_file_is_not_said_to_be_missing(api: str):
    part = b'--xyz\r\nContent-Disposition: form-data; name="prompt"; filename="prompt.txt"\r\n\r\na boat\r\n'
    with pytest.raises(InvalidRequest, match=r"prompt: is not an allowed file.*text without a file name"):
        send_body(api, part)


@pytest.mark.parametrize("name", [b"a\x1b[31m", b"n" * 10_000])
@pytest.mark.parametrize("api", ["jobs", "openai"])
def test_a_strange_files_name_comes_back_short_and_printable(api: str, name: bytes):
    part = b'--xyz\r\nContent-Disposition: form-data; name="' + name + b'"; filename=a\r\n\r\n?\r\n'
    with pytest.raises(InvalidRequest, match="is not an allowed file") as error:
        send_body(api, FIELD + part)
    [said] = fields_refused(error.value)
    assert said.isprintable()
    assert len(said) <= 100


@pytest.mark.parametrize(
    "text", ["data:" + ";" * 500_000, "data:" + ";a" * 250_000, "data:;base64,!" + "," * 500_000]
)
def test_a_data_url_that_is_none_takes_no_memory_to_refuse(text: str):
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest):
            from_data_url("input_image", text, TakenOut())
        assert tracemalloc.get_traced_memory()[1] < 4 * len(text)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("where", ["body", "metadata"])
def test_very_many_fields_take_no_memory_to_refuse(where: str):
    many = {f"{number:x}": 1 for number in range(20_000)}
    raw = {"prompt": "a boat", **(many if where == "body" else {"metadata": many})}
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match=f"{where}: has 200") as error:
            validated(SubmitRequest, raw)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert len(error.value.problems) == 1


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_a_form_of_very_many_parts_is_refused_before_it_is_parsed(line_end: bytes):
    body = (b"--x" + line_end) * 200_000
    with pytest.raises(InvalidRequest) as error:
        read_submission(FORM, body, no_form)
    assert "parts" in str(error.value)


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'"",', b"[[1,"])
def test_json_of_very_many_values_is_refused_before_it_is_parsed(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(json, "loads", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(InvalidRequest) as error:
        read_submission(JSON, b"[" + piece * 5_000_000, no_form)
    assert error.value.code == "invalid_json"


@pytest.mark.parametrize("name", ["metadata", "options"])
def test_json_of_very_many_values_in_a_form_is_refused_before_it_is_parsed(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(InvalidRequest, match=f"{name}: must be a JSON object .* more than 50000 values"):
        send_form({"prompt": "a boat", name: f"[{'[],' * 100_000}1]"})


def test_a_prompt_of_nothing_but_commas_is_taken():
    assert send({"prompt": "," * LONGEST_PROMPT}).prompt == "," * LONGEST_PROMPT


def test_an_empty_file_part_of_a_form_is_no_image():
    class Empty:
        filename = ""

        def read(self) -> bytes:
            return b""

    body = read_submission(FORM, b"", lambda: ({"prompt": "a boat"}, {"input_image": Empty()}))
    assert not body.images


@pytest.mark.parametrize(
    "body",
    [
        '{"prompt": "a boat", "prompt": "a car"}',
        '{"prompt": "a boat", "seconds": 4, "seconds": 12}',
        '{"prompt": "a boat", "metadata": {"scene": "1", "scene": "2"}}',
    ],
)
def test_a_name_that_stands_twice_in_the_json_is_refused(body: str):
    with pytest.raises(InvalidRequest, match="stands twice") as caught:
        read_submission({"content-type": "application/json"}, body.encode(), no_form)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("name", ["prompt", "seconds"])
def test_a_field_that_a_form_sends_twice_with_two_values_is_refused(name: str):
    parts = [("prompt", "a boat"), ("seconds", "4"), (name, "8")]
    body = "".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{part}"\r\n\r\n{value}\r\n' for part, value in parts
    )
    with pytest.raises(InvalidRequest, match="sent more than once"):
        read_submission(FORM, f"{body}--xyz--\r\n".encode(), lambda: (MultiDict(parts), MultiDict()))
    same = MultiDict([*parts[:2], parts[:2][name == "seconds"]])
    assert read_submission(FORM, f"{body}--xyz--\r\n".encode(), lambda: (same, MultiDict())).seconds == 4
