"""A video API that answers anything: a grammar of answers from the truth to nonsense, and what must hold after it.

Whatever it says, the app loses no video that it was served, pays once, tells no secret, calls no inner address, and
comes to an end or says what it waits for.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep_jobs.sweep import sweep_jobs
from tests.strange_api import KEY, Asked, Clock, Reply, StrangeApi, StrangeLine, small_mp4
from video_jobs.domain.errors import ReelkeepError
from video_jobs.domain.job import Job, Status
from video_jobs.views.job_view import history_view, job_view

OPERATIONS = ("create", "get", "list", "delete", "content", "thumbnail", "generation", "")
VIDEO = small_mp4()
INNER = "text-of-an-inner-page"  # what a private host answers
TRUE_ID, TRUE_GENERATION = "video_true", "gen_true"
MOST_MESSAGES = 250
HOURS = 60

#: Answers to a create that prove that nothing was made.
PROVEN = {400, 401, 402, 403, 404, 410, 413, 415, 422, 429}


# --- the grammar ---------------------------------------------------------------------------------

forms_of_the_key = st.sampled_from(
    [
        KEY,
        quote(KEY, safe=""),
        "".join(f"%{ord(letter):02x}" for letter in KEY),
        f"Bearer {KEY}",
        json.dumps(KEY)[1:-1].replace("-", "\\u002d"),
    ]
)
words = st.sampled_from(
    [
        "queued",
        "in_progress",
        "completed",
        "succeeded",
        "FAILED",
        "error",
        "cancelled",
        "expired",
        "deleted",
        "odd",
        "",
    ]
)
texts = st.one_of(
    st.text(max_size=20),
    words,
    forms_of_the_key.map(lambda form: f"the key {form} is wrong"),
    st.sampled_from(["a" * 60_000, "key " * 10_000, "<title" * 8_000, "\ud800", "\x00\x1b[31m"]),
    st.sampled_from(["quota exceeded", "content policy violation", "billing_hard_limit_reached"]),
)


@dataclass(frozen=True)
class Times:
    """Of the server's clock, in seconds from the start."""

    after: float

    def at(self, start: datetime) -> float:
        return start.timestamp() + self.after


moments = st.one_of(
    st.sampled_from([0, -1, 1, 10**18, float("1e300"), "soon", None, True, [], "1e400"]),
    st.sampled_from([-90_000, -3600, 0, 60, 3600, 86_400, 10**9]).map(Times),
)
numbers = st.sampled_from([0, 1, 100, 101, -5, 0.5, "55%", "100", "NaN", "1e999", 10**400, None, {}, "x"])
addresses = st.sampled_from(
    [
        "{inner}/secret",
        "{inner}\\@{own}/x",
        "http://user:{key}@{own}/x",
        "{own_url}/files/v.mp4",
        "{own_url}/files/v.mp4?key={key}",
        "/files/v.mp4",
        "//{inner_host}/x",
        "http://2130706433:{inner_port}/x",
        "http://localhost:{inner_port}/x",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "data:video/mp4;base64,AAAA",
        "http://[::1",
        "not an address",
        "http://" + "a" * 9000,
        "",
    ]
)
ids = st.one_of(
    st.just(TRUE_ID),
    st.sampled_from(
        ["video_other", "", "a/b?c#d", "..", "\x00", "x" * 2000, 7, None, {}, KEY, "video_true "]
    ),
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | addresses,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields: dict[str, st.SearchStrategy[Any]] = {
    "id": ids,
    "status": words | texts | anything,
    "progress": numbers,
    "created_at": moments,
    "completed_at": moments,
    "finished_at": moments,
    "expires_at": moments,
    "prompt": st.just("a paper boat") | texts,
    "size": st.sampled_from(["64x48", "480x480", "x", "0x0", "99999999999x1", 7]),
    "seconds": st.just("4") | numbers,
    "n_seconds": numbers,
    "width": numbers,
    "height": numbers,
    "model": texts,
    "error": texts | anything | st.fixed_dictionaries({"code": texts | numbers, "message": texts}),
    "failure_reason": texts,
    "generations": st.lists(st.fixed_dictionaries({"id": st.just(TRUE_GENERATION) | ids}), max_size=3)
    | anything,
    "num_outputs": numbers,
    "url": addresses | anything,
    "video_url": addresses,
    "metadata": st.fixed_dictionaries({"url": addresses}) | anything,
    "data": st.lists(st.fixed_dictionaries({"url": addresses, "id": ids}), max_size=3) | anything,
    "deleted": st.booleans() | anything,
    "has_more": st.booleans() | anything,
    "job_id": ids,
}
jobs = st.fixed_dictionaries({}, optional=fields)
bodies: st.SearchStrategy[Any] = st.one_of(
    jobs,
    jobs.map(lambda job: {**job, "id": TRUE_ID}),
    jobs.map(lambda job: {"error": job}),
    jobs.map(lambda job: {"detail": job}),
    st.lists(jobs, max_size=3).map(lambda entries: {"object": "list", "data": entries, "has_more": True}),
    anything,
    st.sampled_from(
        [
            b"",
            b"{",
            b"[" * 50_000,
            b'{"a":' * 20_000,
            b'{"data":[' + b'{"id":"a"},' * 30_000 + b'{"id":"b"}],"has_more":true}',
            b"<html><title>Sign in</title></html>",
            b"\xff\xfe\x00",
            b"a" * 200_000,
            VIDEO,
            VIDEO[:-9],
            VIDEO[:40],
            VIDEO + b"\0\0\0\0",
            b"\0\0\0\x10ftypisom" + b"\0\0\0\x08free" * 20_000,
        ]
    ),
    forms_of_the_key.map(lambda form: f"<html><title>{form}</title>".encode()),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": st.sampled_from(["0", "-1", "soon", "999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]),
        "openai-poll-after-ms": st.sampled_from(["0", "-1", "1e99", "5000"]),
        "Location": addresses,
        "Set-Cookie": st.just("a=b; Path=/"),
        "Content-Encoding": st.sampled_from(["gzip", "br", "odd"]),
        "x-request-id": forms_of_the_key | st.just("r-1"),
        "Date": st.sampled_from(["soon", "Wed, 21 Oct 2015 07:28:00 GMT"])
        | st.integers(-90_000, 90_000).map(Times),
    },
)
types = st.sampled_from(["application/json", "video/mp4", "text/html", "", f"text/{KEY}", "x" * 500])


@dataclass(frozen=True)
class Line:
    """One answer of the grammar; `is_truth`: what a sound server would say."""

    is_truth: bool = False
    status: int = 200
    body: Any = b""
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = "application/json"
    length: int | None = None
    cut: bool = False


statuses = st.one_of(
    st.just(200),
    st.sampled_from(
        [200, 201, 202, 203, 204, 206, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409]
    ),
    st.sampled_from([410, 413, 415, 418, 422, 425, 429, 451, 500, 501, 502, 503, 504, 520, 599]),
)
lines = st.just(Line(is_truth=True)) | st.builds(
    Line,
    status=statuses,
    body=bodies,
    headers=headers,
    content_type=types,
    length=st.sampled_from([None, None, None, -1, 0, 10**12]),
    cut=st.sampled_from([False, False, False, True]),
)


@dataclass(frozen=True)
class Character:
    """How one server answers: for each operation its answers in turn, the last one for ever."""

    dialect: str
    answers: dict[str, list[Line]]
    retention_hours: float


characters = st.builds(
    Character,
    dialect=st.sampled_from(["openai-videos", "azure-sora"]),
    answers=st.fixed_dictionaries({name: st.lists(lines, min_size=1, max_size=5) for name in OPERATIONS}),
    retention_hours=st.sampled_from([0.2, 5.0, 24.0]),
)


# --- a life --------------------------------------------------------------------------------------


class Life:
    """One job before such a server."""

    def __init__(self, api: StrangeApi, inner: StrangeApi, character: Character) -> None:
        self.api, self.inner, self.character = api, inner, character
        self._turns: Counter[str] = Counter()
        self.served = False  #: a whole video, to a download
        self.may_have_made = 0  #: creates whose answers don't prove that nothing was made
        self.line = StrangeLine(
            api, dialect=character.dialect, retention_hours=character.retention_hours, running_limit=2
        )
        self.job: Job | None = None
        self.start = api.clock()
        api.answer = self._answer
        inner.answer = lambda asked: Reply(200, INNER.encode(), content_type="text/plain")

    def live(self) -> None:
        size = {} if self.character.dialect == "openai-videos" else {"size": "480x480"}
        self.job = self.line.submit(**size)
        until = self.line.now() + timedelta(hours=HOURS)
        for number in range(MOST_MESSAGES):
            first = min((queued.visible_at for queued in self.line.messages.queued), default=until)
            if self._now().is_terminal or first >= until:
                break
            message = self.line.take_next()
            try:
                self.line.deliver(message)
            except ReelkeepError:  # the host would deliver it again, and the sweeper sends another
                self.line.advance(30)
            if number % 40 == 39:
                sweep_jobs(self.line.services)

    def broken_promises(self, log: str) -> list[str]:
        job = self._now()
        told = [
            repr(self.line.jobs.everything()),
            repr(self.line.gates.gates),
            repr(self.line.messages.queued),
            log,
        ]
        told += [repr(self.line.claims.claims), repr(history_view(job)), repr(job_view(job, self.line.blobs))]
        told += [
            blob.content.decode() for name, blob in self.line.blobs.videos.items() if name.endswith("json")
        ]
        broken = [f"a key is told: {text[:200]}" for text in told if KEY in text]
        broken += [f"an inner text is told: {text[:200]}" for text in told if INNER in text]
        broken += [f"an inner address was asked: {asked.path}" for asked in self.inner.seen]
        broken += ["a cookie came back" for asked in self.api.seen if "cookie" in asked.headers]
        if self.may_have_made > 1:
            broken.append(f"{self.may_have_made} creates may have been paid for")
        if self.served and not any(output.stored for output in job.outputs):
            broken.append(f"a whole video was served and is not stored: {job.status} {job.reason}")
        if not job.is_terminal and not (job.reason or job.status in (Status.QUEUED, Status.RUNNING)):
            broken.append(f"it is {job.status} and does not say why")
        if job.is_terminal and job.status in (Status.FAILED, Status.EXPIRED) and job.error is None:
            broken.append(f"it is {job.status} and does not say why")
        if len(self.api.seen) > 8 * MOST_MESSAGES:  # a poll may follow five redirects
            broken.append(f"{len(self.api.seen)} calls in one life")
        return broken

    def _now(self) -> Job:
        assert self.job is not None
        return self.line.job(self.job)

    def _answer(self, asked: Asked) -> Reply:
        name = asked.operation
        answers = self.character.answers[name]
        chosen = answers[min(self._turns[name], len(answers) - 1)]
        self._turns[name] += 1
        reply = self._truth(asked) if chosen.is_truth else self._made(chosen)
        if name == "create" and (reply.status not in PROVEN):
            self.may_have_made += 1
        if self._serves_whole_video(name, reply):
            self.served = True
        return reply

    def _serves_whole_video(self, name: str, reply: Reply) -> bool:
        fetching = self.job is not None and self._now().status in (Status.FETCHING, Status.PENDING_DOWNLOAD)
        whole = reply.status in (200, 201, 202, 203) and reply.bytes in (VIDEO, VIDEO + b"\0\0\0\0")
        intact = not reply.cut and reply.length is None and "Content-Encoding" not in reply.headers
        return name == "content" and fetching and whole and intact

    def _truth(self, asked: Asked) -> Reply:
        created_at = int(self.start.timestamp())
        done = {"status": "completed", "progress": 100, "generations": [{"id": TRUE_GENERATION}]}
        known = {
            "id": TRUE_ID,
            "created_at": created_at,
            "prompt": "a paper boat",
            "seconds": "4",
            "size": "64x48",
        }
        match asked.operation:
            case "create":
                return Reply(200, {**known, "status": "queued"})
            case "get":
                return Reply(200, {**known, **done})
            case "list":
                return Reply(200, {"object": "list", "data": [{**known, **done}], "has_more": False})
            case "generation":
                return Reply(200, {"id": TRUE_GENERATION, "job_id": TRUE_ID})
            case "content":
                return Reply(200, VIDEO, content_type="video/mp4")
            case "delete":
                return Reply(204)
        return Reply(404, {"error": {"message": "not found"}})

    def _made(self, line: Line) -> Reply:
        shown = {
            name: format_datetime(self.start + timedelta(seconds=value.after), usegmt=True)
            if isinstance(value, Times)
            else self._filled(str(value)).encode("latin-1", "replace").decode("latin-1").replace("\x00", "")
            for name, value in line.headers.items()
        }
        body = line.body if isinstance(line.body, bytes) else json.dumps(self._placed(line.body)).encode()
        return Reply(line.status, body, shown, line.content_type, line.length, None, line.cut)

    def _placed(self, value: Any) -> Any:
        if isinstance(value, Times):
            return value.at(self.start)
        if isinstance(value, str):
            return self._filled(value)
        if isinstance(value, list):
            return [self._placed(each) for each in value]
        if isinstance(value, dict):
            return {self._filled(str(name)): self._placed(each) for name, each in value.items()}
        return value

    def _filled(self, text: str) -> str:
        own, inner = self.api.url.removeprefix("http://"), self.inner.url.removeprefix("http://")
        known = {"{inner}": self.inner.url, "{own_url}": self.api.url, "{own}": own, "{inner_host}": inner}
        for name, value in {**known, "{inner_port}": inner.rpartition(":")[2], "{key}": KEY}.items():
            text = text.replace(name, value)
        return text


def live_many(examples: int) -> None:
    """So many lives before servers drawn at random. Raises AssertionError where a promise is broken, and tells how
    to repeat it."""
    log = LogText()
    logger, level = logging.getLogger("reelkeep"), logging.root.manager.disable
    logger.addHandler(log)
    logger.propagate = False
    logging.disable(logging.NOTSET)  # what is not logged can't leak

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(characters)
    def lives(character: Character) -> None:
        log.lines.clear()
        with StrangeApi(Clock()) as api, StrangeApi(Clock()) as inner:
            life = Life(api, inner, character)
            life.live()
            broken = life.broken_promises("\n".join(log.lines))
        if broken:
            raise AssertionError(f"{broken}; the server: {character}")

    try:
        lives()
    finally:
        logger.removeHandler(log)
        logger.propagate = True
        logging.disable(level)


class LogText(logging.Handler):
    """All that the app logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
