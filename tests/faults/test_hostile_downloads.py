"""Downloads that fight back. Each ends in one of two ways: stored once and whole, or tried until the backend
deletes the bytes, with the reason in the job; and never with a second job that is paid for.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from local.simulator.server import Simulator
from tests.cases import EACH_DIALECT, sample
from tests.pipeline import API_KEY, OWNER, Pipeline, environment_for
from tests.steps import fetching, video_blobs
from video_jobs.domain.job import Job, Status
from video_jobs.settings.app import Settings

SIGNATURE = "hush-hush-9-signature"
LONGEST_AFTER_EXPIRY = 900  # seconds: a download that began before it may still end
KEPT_FOR = 600  # seconds that the backend keeps a video here: eight tries or so
SHORT = 0.3  # seconds for a whole download, where it is the deadline that ends it
MINUTES = 5  # downloads that go wrong, with a pause behind each that is twice as long as the one before


class Elsewhere:
    """Another origin: it answers byte for byte what it is told, and writes down what arrives."""

    def __init__(self) -> None:
        self.answer: bytes | None = b""  # None: not a word
        self._over = threading.Event()
        self.arrived: list[str] = []
        elsewhere = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                elsewhere.arrived.append(f"{self.requestline}\n{self.headers}")
                if elsewhere.answer is None:
                    elsewhere._over.wait()
                else:
                    self.wfile.write(elsewhere.answer)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.origin}/video.mp4?sig={SIGNATURE}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as running:
        yield running


def trusting(simulator: Simulator, elsewhere: Elsewhere, dialect: str) -> Pipeline:
    """Its operator has named both other origins: on one machine none is public."""
    return Pipeline(
        simulator, dialect, VIDEO_DOWNLOAD_ORIGINS=f"{elsewhere.origin}, {simulator.signed_origin}"
    )


@pytest.fixture(params=EACH_DIALECT)
def pipeline(request: pytest.FixtureRequest, simulator: Simulator, elsewhere: Elsewhere) -> Pipeline:
    return trusting(simulator, elsewhere, request.param)


@pytest.fixture
def videos(simulator: Simulator, elsewhere: Elsewhere) -> Pipeline:
    return trusting(simulator, elsewhere, "openai-videos")


def raw(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Type: video/mp4", *headers, "", ""]).encode() + body


def chunked(body: bytes, ends: bool = True) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + (b"\r\n0\r\n\r\n" if ends else b"")


@dataclass(frozen=True)
class Hostile:
    """An answer to a download, and what the job then says of it, as a regular expression."""

    reason: str
    fault: dict[str, Any] = field(default_factory=dict)
    #: What stands elsewhere, made from the video, where the answer is a redirect to there.
    elsewhere: Callable[[bytes], bytes | None] | None = None
    requests: int = 1  #: that one download makes
    outlasts: bool = False  #: any patience: the deadline has to end it

    def befall(self, pipeline: Pipeline, elsewhere: Elsewhere, downloads: int | None) -> None:
        """The next so many downloads; None means every one from now on."""
        fault = self.fault
        if self.elsewhere is not None:
            elsewhere.answer = self.elsewhere(generated(pipeline))
            fault = {"redirect": elsewhere.url}
        pipeline.fault("video", **fault, times=-1 if downloads is None else downloads * self.requests)
        if self.outlasts:
            pipeline.services = pipeline.services._replace(fetch_deadline=SHORT)


def refusal(status: int, **more: Any) -> Hostile:
    return Hostile(str(status), {"status": status, **more})


def cut(after: int, reason: str, **more: Any) -> Hostile:
    return Hostile(reason, {"cut_after": after, **more})


WHOLE = -1  # stands for the video's length, and one less for a byte less
NO_LENGTH = {"no_content_length": True}
ERROR = {"error": {"code": "NotReady", "message": "not accessible"}}

HOSTILE = {
    # Refusals, which for a video that was generated prove nothing
    **{str(status): refusal(status) for status in (400, 401, 403, 404, 408, 409, 410, 416, 422, 425)},
    **{str(status): refusal(status) for status in (429, 500, 501, 503, 504, 520)},
    "403 with a key and a signature in it": refusal(
        403, body={"error": {"message": f"key {API_KEY} or sig={SIGNATURE} is not accessible"}}
    ),
    "502 in HTML": refusal(502, body="<html><title>Bad Gateway</title></html>"),
    "502 around a 429": refusal(502, body={"error": {"code": "429", "message": "slow down"}}),
    "an error that is cut": refusal(503, body="x" * 1000, cut_after=10),
    # Connections
    "closed without an answer": Hostile("broke", {"drop": True}),
    "no HTTP": Hostile("broke", elsewhere=lambda video: b"\x16\x03\x01\x02\x00 what?\r\n\r\n"),
    "headers without an end": Hostile(
        "broke", elsewhere=lambda video: raw(video, *[f"X-{n}: x" for n in range(200)])
    ),
    # Bodies that break off
    "cut before the first byte": cut(0, "broke"),
    "cut in the first box's length": cut(3, "broke"),
    "cut in ftyp": cut(12, "broke"),
    "cut in mdat": cut(10_000, "broke"),
    "cut before the last byte": cut(WHOLE - 1, "broke"),
    "cut before the first byte, no length": cut(0, "empty body", **NO_LENGTH),
    "cut in the first box's length, no length": cut(3, "broke off, it seems, after 3", **NO_LENGTH),
    "cut in ftyp, no length": cut(12, "broke off, it seems, after 12", **NO_LENGTH),
    "cut in mdat, no length": cut(10_000, "broke off, it seems, after 10000", **NO_LENGTH),
    "cut before the last byte, no length": cut(WHOLE - 1, "1 bytes before the end", **NO_LENGTH),
    "cut within a chunk": Hostile(
        "broke", elsewhere=lambda video: raw(chunked(video)[:10_000], "Transfer-Encoding: chunked")
    ),
    "cut behind the last chunk but one": Hostile(
        "broke", elsewhere=lambda video: raw(chunked(video, ends=False), "Transfer-Encoding: chunked")
    ),
    "cut while compressed": Hostile(
        "broke", elsewhere=lambda video: raw(gzip.compress(video)[:-400], "Content-Encoding: gzip")
    ),
    # Lengths that are wrong
    "a length that is too large": Hostile("broke", {"announce_length": 10_000_000}),
    "two lengths": Hostile(
        "broke", elsewhere=lambda video: raw(video, "Content-Length: 9000", "Content-Length: 9001")
    ),
    "a length in words, and cut": Hostile(
        "broke off, it seems", elsewhere=lambda video: raw(video[:9000], "Content-Length: many")
    ),
    # Successes that are none
    "JSON": Hostile("NotReady: not accessible", {"replace_body": ERROR}),
    "JSON that is called a video": Hostile(
        "not accessible", {"replace_body": json.dumps(ERROR), "content_type": "video/mp4"}
    ),
    "JSON that repeats our key": Hostile(
        r"denied for \[removed\]", {"replace_body": {"detail": f"denied for {API_KEY}"}}
    ),
    "HTML": Hostile("an HTML page", {"replace_body": "<html>sorry</html>", "content_type": "text/html"}),
    "HTML that is called a video": Hostile(
        "an HTML page: Sign in",
        {"replace_body": "\n<!doctype html><title>Sign in</title>", "content_type": "video/mp4"},
    ),
    "words that are called a video": Hostile(
        "The video is not ready", {"replace_body": "The video is not ready.", "content_type": "video/mp4"}
    ),
    "nothing": Hostile("empty body", {"replace_body": "", "content_type": "video/mp4"}),
    "nothing, no length": Hostile("empty body", {"replace_body": "", **NO_LENGTH}),
    "202": Hostile("not accessible", {"status": 202, "body": ERROR}),
    "204": Hostile("empty body", {"status": 204}),
    "a part that nobody asked for": Hostile(
        "only a part of it",
        elsewhere=lambda video: raw(
            video[:9000],
            "Content-Length: 9000",
            f"Content-Range: bytes 0-8999/{len(video)}",
            status="206 Partial Content",
        ),
    ),
    # Redirects
    "a redirect to a machine of one's own": Hostile(
        "not on the public internet",
        {"redirect": f"http://127.0.0.1:9/gone?sig={SIGNATURE}"},
    ),
    "a redirect to a host that is not": Hostile(
        "another host.*can't be looked up",
        {"redirect": f"https://gone.invalid/?sig={SIGNATURE}"},
    ),
    "a redirect that can't be read": Hostile("no web address", {"redirect": f"http://[bad?sig={SIGNATURE}"}),
    "a redirect to a port that is none": Hostile("no web address", {"redirect": "http://127.0.0.1:99999/"}),
    "a redirect to a file": Hostile("no http or https address", {"redirect": "file:///etc/passwd"}),
    "a redirect to where it came from": Hostile("more than 5 times", {"redirect": "?again=1"}, requests=6),
    "a redirect without an address": Hostile("without an address", {"status": 302}),
    "a redirect to a refusal": Hostile(
        "403", elsewhere=lambda video: raw(b"", "Content-Length: 0", status="403 Signature expired")
    ),
    # What would hold a worker for ever
    "silence": Hostile("longer than the time limit", elsewhere=lambda video: None, outlasts=True),
    "a drip": Hostile("longer than the time limit", {"drip": 500}, outlasts=True),
    "a drip, no length": Hostile("longer than the time limit", {"drip": 500, **NO_LENGTH}, outlasts=True),
    "an error that drips": Hostile(
        "503", {"status": 503, "body": "x" * 9000, "content_type": "text/plain", "drip": 500}, outlasts=True
    ),
}
WHOLE_ALL_THE_SAME = ("cut behind the last chunk but one", "a length that is too large")
"""Of which all bytes of the video come."""


def generated(pipeline: Pipeline) -> bytes:
    """What the backend serves when nothing is wrong."""
    [made] = pipeline.simulator.world.everything()
    [output] = made.outputs
    return output.rendering.result().mp4


def fetching_in_time(pipeline: Pipeline) -> Job:
    """A job that is generated and that the backend keeps for a short time only."""
    pipeline.simulator.world.change({"retention_seconds": KEPT_FOR})
    job = pipeline.submit()
    generated(pipeline)  # it is rendered in real time; simulated time would run out meanwhile
    return pipeline.run_until(job, Status.FETCHING)


def begin(pipeline: Pipeline, elsewhere: Elsewhere, what: str, downloads: int | None) -> Job:
    """A job that is generated, and whose downloads go wrong from now on."""
    job = fetching_in_time(pipeline)
    hostile = HOSTILE[what]
    after = hostile.fault.get("cut_after", 0)
    if after < 0:
        exact = {**hostile.fault, "cut_after": len(generated(pipeline)) + after - WHOLE}
        hostile = replace(hostile, fault=exact)
    hostile.befall(pipeline, elsewhere, downloads)
    return job


def assert_stored_once_and_whole(pipeline: Pipeline, job: Job) -> None:
    ended = pipeline.run(job)
    assert ended.status is Status.SUCCEEDED, ended.error
    video = generated(pipeline)
    [(name, blob)] = video_blobs(pipeline).items()
    assert name == f"{OWNER}/{job.id}/0.mp4"
    assert blob.content == video
    [output] = ended.outputs
    assert output.stored is not None
    assert output.stored.verified
    sha256 = hashlib.sha256(video).hexdigest()
    assert (output.stored.sha256, output.stored.length) == (sha256, len(video))
    assert (blob.metadata["sha256"], blob.metadata["length"]) == (sha256, str(len(video)))
    assert blob.metadata["verified"] == "true"
    assert_over_and_paid_once(pipeline, job)
    assert video_blobs(pipeline) == {name: blob}


def assert_over_and_paid_once(pipeline: Pipeline, job: Job) -> None:
    ended = pipeline.job(job)
    pipeline.drain()
    assert pipeline.job(job) == ended
    assert not pipeline.live_jobs.keys
    assert pipeline.backend_jobs() == 1
    assert len(pipeline.calls("create")) == 1


def assert_no_secret(pipeline: Pipeline, job: Job, log: str) -> None:
    """Neither in the row nor in a message, the job's own summary or our log."""
    lines = [repr(pipeline.job(job)), log, *(message.text for message in pipeline.messages.queued)]
    lines += [blob.content.decode() for name, blob in pipeline.blobs.videos.items() if name.endswith("json")]
    for secret in (API_KEY, SIGNATURE):
        assert [line for line in lines if secret in line] == []


@pytest.mark.promise("I4")
@pytest.mark.parametrize("what", sample(HOSTILE, every=4))
def test_a_download_that_goes_wrong_for_minutes_is_pending_and_then_stored_once_and_whole(
    pipeline: Pipeline, elsewhere: Elsewhere, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="reelkeep")
    job = begin(pipeline, elsewhere, what, MINUTES)
    began, patience = pipeline.now(), pipeline.services.fetch_deadline
    for attempts in range(1, MINUTES + 1):
        delayed = pipeline.run(job, lambda seen, tried=attempts: seen.outputs[0].chain.attempts == tried)
        assert delayed.status is Status.PENDING_DOWNLOAD
        assert re.search(HOSTILE[what].reason, delayed.reason or ""), delayed.reason
        assert not video_blobs(pipeline)
        assert_no_secret(pipeline, job, caplog.text)
    pipeline.services = pipeline.services._replace(fetch_deadline=max(patience, 60))
    assert_stored_once_and_whole(pipeline, job)
    assert pipeline.job(job).outputs[0].chain.attempts == MINUTES
    assert pipeline.now() - began > timedelta(minutes=1)
    assert_no_secret(pipeline, job, caplog.text)


@pytest.mark.promise("I7")
@pytest.mark.parametrize("what", WHOLE_ALL_THE_SAME)
def test_a_whole_video_after_which_each_download_breaks_off_is_kept_at_the_sixth(
    pipeline: Pipeline, elsewhere: Elsewhere, what: str
) -> None:
    job = begin(pipeline, elsewhere, what, None)
    assert_stored_once_and_whole(pipeline, job)
    assert pipeline.job(job).outputs[0].chain.attempts == 5


@pytest.mark.promise("I7")
@pytest.mark.parametrize(
    "what", sample([what for what in HOSTILE if what not in WHOLE_ALL_THE_SAME], every=4)
)
def test_a_download_that_never_heals_is_tried_until_the_backend_deletes_it_and_the_job_says_why(
    pipeline: Pipeline, elsewhere: Elsewhere, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="reelkeep")
    job = begin(pipeline, elsewhere, what, None)
    pipeline.run_until(job, Status.PENDING_DOWNLOAD)
    assert_no_secret(pipeline, job, caplog.text)
    ended = pipeline.run(job)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (Status.EXPIRED, "expired")
    assert _seconds_late(ended) <= LONGEST_AFTER_EXPIRY
    assert re.search(HOSTILE[what].reason, ended.error.message), ended.error.message
    assert not video_blobs(pipeline)
    assert ended.outputs[0].chain.attempts >= 6
    assert_over_and_paid_once(pipeline, job)
    assert_no_secret(pipeline, job, caplog.text)


def _seconds_late(ended: Job) -> float:
    assert ended.finished_at is not None
    assert ended.expires_at is not None
    late = ended.finished_at - ended.expires_at
    assert late >= timedelta()
    return late.total_seconds()


# --- what is served oddly, and is a video all the same -------------------------------------------

ODD: dict[str, dict[str, Any] | Callable[[bytes], bytes]] = {
    "no length": NO_LENGTH,
    "as text": {"relabel": "text/plain"},
    "as JSON": {"relabel": "application/json"},
    "as HTML": {"relabel": "text/html; charset=utf-8"},
    "as nothing": {"relabel": ""},
    "slowly": {"drip": 200_000},
    "from another origin": lambda video: raw(video, f"Content-Length: {len(video)}"),
    "from another origin, no length": raw,
    "in chunks": lambda video: raw(chunked(video), "Transfer-Encoding: chunked"),
    "compressed": lambda video: raw(gzip.compress(video), "Content-Encoding: gzip"),
    "with a length in words": lambda video: raw(video, "Content-Length: many"),
}


@pytest.mark.parametrize("how", ODD)
def test_a_video_that_is_served_oddly_is_stored_at_the_first_try(
    pipeline: Pipeline, elsewhere: Elsewhere, how: str
) -> None:
    job = fetching(pipeline)
    odd = ODD[how]
    if callable(odd):
        elsewhere.answer = odd(generated(pipeline))
        odd = {"redirect": elsewhere.url}
    pipeline.fault("video", **odd, times=-1)
    assert_stored_once_and_whole(pipeline, job)
    assert len(pipeline.calls("video")) == 1


# --- what travels along --------------------------------------------------------------------------


def assert_nothing_secret_arrived(elsewhere: Elsewhere) -> None:
    assert elsewhere.arrived
    for request in elsewhere.arrived:
        assert SIGNATURE in request.splitlines()[0], "the address is used as it came"
        assert API_KEY not in request
        assert not re.search(
            "^(api-key|authorization|cookie|referer):", request, re.IGNORECASE | re.MULTILINE
        )


def test_no_key_travels_along_to_another_origin(pipeline: Pipeline, elsewhere: Elsewhere) -> None:
    job = fetching(pipeline)
    elsewhere.answer = raw(generated(pipeline))
    pipeline.fault("video", redirect=elsewhere.url, times=-1)
    pipeline.fault("thumbnail", redirect=elsewhere.url, times=-1)
    assert_stored_once_and_whole(pipeline, job)
    assert len(elsewhere.arrived) == 2
    assert_nothing_secret_arrived(elsewhere)


def test_no_key_travels_along_to_an_address_that_the_job_names(
    videos: Pipeline, elsewhere: Elsewhere
) -> None:
    job = fetching(videos)
    elsewhere.answer = raw(generated(videos))
    named = {"id": videos.job(job).backend_job_id, "status": "completed", "video_url": elsewhere.url}
    videos.fault("video", status=404, times=-1)
    videos.fault("get", replace_body=named, times=-1)
    assert_stored_once_and_whole(videos, job)
    assert_nothing_secret_arrived(elsewhere)


def test_a_signed_address_that_refuses_keys_is_served_and_asked_for_anew_when_it_has_ended(
    videos: Pipeline,
) -> None:
    # The simulator's signed addresses answer 400 to whoever sends a key along.
    videos.simulator.world.change({"content_redirect": True})
    job = fetching(videos)
    videos.fault("signed", status=403, times=2)
    assert_stored_once_and_whole(videos, job)
    assert [call["status"] for call in videos.calls("video")] == [302] * 3
    assert [call["status"] for call in videos.calls("signed")][:3] == [403, 403, 200]


# --- complete, and no MP4 ------------------------------------------------------------------------

COMPLETE = {
    "noise": {"garbage_bytes": 5000},
    "one byte": {"replace_body": "\x00", "content_type": "video/mp4"},
    "a length that is too small": {"announce_length": 5000},
}


@pytest.mark.promise("I4")
@pytest.mark.parametrize("what", COMPLETE)
def test_complete_bytes_that_are_no_mp4_are_not_believed_the_first_time(
    pipeline: Pipeline, what: str
) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", **COMPLETE[what])
    pipeline.run_until(job, Status.PENDING_DOWNLOAD)
    assert not video_blobs(pipeline)
    assert_stored_once_and_whole(pipeline, job)


@pytest.mark.parametrize("between", [None, {"status": 503, "times": 3}], ids=["at once", "errors between"])
@pytest.mark.parametrize("what", COMPLETE)
def test_complete_bytes_that_are_no_mp4_twice_are_kept_and_said_to_be_unverified(
    pipeline: Pipeline, what: str, between: dict[str, Any] | None
) -> None:
    job = fetching(pipeline)
    pipeline.fault("video", **COMPLETE[what])
    if between:
        pipeline.fault("video", **between)
    pipeline.fault("video", **COMPLETE[what], times=-1)
    ended = pipeline.run(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "unverified_video")
    [(name, blob)] = video_blobs(pipeline).items()
    [output] = ended.outputs
    assert output.stored is not None
    assert not output.stored.verified
    sha256 = hashlib.sha256(blob.content).hexdigest()
    assert (output.stored.sha256, output.stored.length) == (sha256, len(blob.content))
    assert (blob.metadata["sha256"], blob.metadata["verified"]) == (sha256, "false")
    assert len(pipeline.calls("video")) == (2 if between is None else 5)
    assert_over_and_paid_once(pipeline, job)
    assert video_blobs(pipeline) == {name: blob}


def test_complete_bytes_that_are_no_mp4_are_asked_for_again_before_the_backend_deletes_them(
    pipeline: Pipeline,
) -> None:
    job = fetching_in_time(pipeline)
    pipeline.fault("video", status=403, times=6)
    pipeline.fault("video", **COMPLETE["noise"], times=-1)
    ended = pipeline.run(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "unverified_video")


def test_complete_bytes_that_are_no_mp4_and_others_each_time_are_never_kept(pipeline: Pipeline) -> None:
    job = fetching_in_time(pipeline)
    for length in range(5000, 5400):
        pipeline.fault("video", garbage_bytes=length)
    assert pipeline.run(job).status is Status.EXPIRED
    assert not video_blobs(pipeline)
    assert_over_and_paid_once(pipeline, job)


# --- time ----------------------------------------------------------------------------------------


def test_no_download_may_take_as_long_as_the_host_lets_a_function_run(simulator: Simulator) -> None:
    host = json.loads((Path(__file__).parents[2] / "host.json").read_text("utf-8"))
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    environment = environment_for(simulator, "azure-sora")
    for longest in ({}, {"VIDEO_FETCH_DEADLINE_SECONDS": "500"}):
        settings = Settings.from_environment({**environment, **longest})
        # A poll of the job, a still and the writing of both come on top.
        assert settings.fetch_deadline + 90 <= hours * 3600 + minutes * 60 + seconds
