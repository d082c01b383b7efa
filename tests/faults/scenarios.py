"""What is lived through, again and again, with a crash at another place each time.

Each is a way of using the app: it asks what a client would ask, lets things happen, and says what must be true
in the end of the jobs that it asked for.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backend_api.live import list_live
from job_api.act import cancel_job, delete_job, send_webhook
from job_api.import_job import import_job, read_import
from job_api.retry import retry_job
from openai_api.create import create_video
from openai_api.request import read_create
from submit_job.request import read_submission
from tests.faults.machine import Machine
from tests.pipeline import DIALECTS, KEEP_NO_LIST, LIST_NO_PROMPTS, OWNER, SMALL
from tests.receiver import HOOK
from video_jobs.domain.errors import JobNotFound, NotRetriable, TooManyJobs
from video_jobs.domain.job import Job, Status
from video_jobs.domain.quota import OwnerLimits
from video_jobs.lifecycle.submit import submit_job
from video_jobs.services import Services
from video_jobs.settings.api_keys import ApiKey

Play = Callable[[Machine], "Story"]


@dataclass
class Story:
    """Which jobs there should be in the end, and how each may have ended."""

    ends: dict[str, set[Status]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)  #: backend jobs that others made, taken up or not
    most_paid: int | None = 1  #: backend jobs that may be made, at most
    doubt: bool = False  #: whether an outcome may stay unknown

    def expect(self, job: Job, *statuses: Status) -> Job:
        self.ends[job.id] = set(statuses)
        return job


# --- asking --------------------------------------------------------------------------------------


def submit(machine: Machine, key: str, **changes: Any) -> Job:
    """As a client does that repeats its request until it is answered, with an idempotency key."""
    body = {**SMALL[machine.pipeline.dialect], "variants": machine.variants, **changes}
    headers = {"content-type": "application/json", "idempotency-key": key}
    submission = read_submission(headers, json.dumps(body).encode(), _no_form)
    return machine.ask(lambda services: submit_job(services, OWNER, submission))


def cancel(machine: Machine, job: Job) -> Job:
    return machine.ask(lambda services: cancel_job(services, OWNER, job.id))


def delete(machine: Machine, job: Job) -> None:
    def once(services: Services) -> None:
        with contextlib.suppress(JobNotFound):  # asked again after everything was gone
            delete_job(services, OWNER, job.id)

    machine.ask(once)


def retry(machine: Machine, job: Job) -> Job:
    return machine.ask(lambda services: retry_job(services, OWNER, job.id))


def until(machine: Machine, job: Job, *statuses: Status) -> None:
    machine.run(lambda: machine.job(job).status in statuses or machine.job(job).is_terminal)


def fault(machine: Machine, operation: str, **effects: Any) -> None:
    machine.pipeline.fault(operation, **effects)


# --- living --------------------------------------------------------------------------------------


def one_video(machine: Machine) -> Story:
    """Where the video API keeps no list, or one without prompts, nothing can tell what came of a paid call whose answer
    was lost."""
    story = Story(doubt=machine.pipeline.dialect in (*KEEP_NO_LIST, *LIST_NO_PROMPTS))
    story.expect(submit(machine, "one"), Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def several_videos(machine: Machine) -> Story:
    """Two in one job where the dialect has that, else two jobs."""
    story = Story(most_paid=2)
    if machine.pipeline.dialect == "azure-sora":
        story.expect(submit(machine, "two", variants=2), Status.SUCCEEDED)
    else:
        for key in ("first", "second"):
            story.expect(submit(machine, key), Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def from_an_image(machine: Machine) -> Story:
    """Its outcome can't be found in the list: images are not listed."""
    story = Story(doubt=True)
    size = SMALL[machine.pipeline.dialect]["size"]
    job = submit(machine, "image", input_image=_picture(size))
    story.expect(job, Status.SUCCEEDED, Status.FAILED)
    machine.run_to_the_end()
    return story


def through_the_openai_api(machine: Machine) -> Story:
    """As OpenAI's package does that repeats its request until it is answered: no key, but a count."""
    story = Story()
    body = json.dumps(SMALL[machine.pipeline.dialect]).encode()
    counts = itertools.count()

    def once(services: Services) -> Job:
        submission = read_create({"content-type": "application/json"}, body, _no_form, services.backends)
        key = ApiKey(OWNER, "ab" * 32)
        return create_video(services, key, submission, services.clock(), repeat=next(counts) > 0)

    story.expect(machine.ask(once), Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def nobody_asks_again(machine: Machine) -> Story:
    """The client goes away when its request gets no answer. What it left must not be left lying about."""
    story = Story()
    body = json.dumps({**SMALL[machine.pipeline.dialect]}).encode()
    submission = read_submission({"content-type": "application/json"}, body, _no_form)
    machine.ask_once(lambda services: submit_job(services, OWNER, submission))
    machine.run_to_the_end()
    for stored in machine.pipeline.jobs.page(OWNER, limit=10, after=None, statuses=frozenset()).jobs:
        story.expect(stored, Status.SUCCEEDED)
    return story


def generation_fails(machine: Machine) -> Story:
    story = Story()
    story.expect(submit(machine, "fails", prompt="a paper boat, internal-failure"), Status.FAILED)
    machine.run_to_the_end()
    return story


def refused_at_once(machine: Machine) -> Story:
    story = Story()
    fault(machine, "create", status=400, body={"error": {"code": "bad", "message": "no such size"}})
    story.expect(submit(machine, "refused"), Status.FAILED, Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def busy_at_first(machine: Machine) -> Story:
    story = Story()
    fault(machine, "create", status=429, times=2, headers={"retry-after": "20"})
    story.expect(submit(machine, "busy"), Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def key_refused_at_first(machine: Machine) -> Story:
    story = Story()
    fault(machine, "create", status=401, body={"error": {"code": "401", "message": "Access denied"}})
    story.expect(submit(machine, "key"), Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def three_for_two_slots(machine: Machine) -> Story:
    """More jobs than may run at once, where the backend has a limit."""
    story = Story(most_paid=3)
    for key in ("first", "second", "third"):
        story.expect(submit(machine, key), Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def downloads_fail_at_first(machine: Machine) -> Story:
    story = Story()
    fault(machine, "video", status=403, times=2)
    fault(machine, "video", cut_after=100)
    story.expect(submit(machine, "download"), Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def downloads_now(machine: Machine) -> Story:
    """A job that waits for its download, and a client who does not want to."""
    story = Story()
    fault(machine, "video", status=403, times=3)
    job = story.expect(submit(machine, "now"), Status.SUCCEEDED)
    until(machine, job, Status.PENDING_DOWNLOAD)
    with contextlib.suppress(NotRetriable):  # asked again when it had succeeded
        retry(machine, job)
    machine.run_to_the_end()
    return story


def cancelled_while_running(machine: Machine) -> Story:
    story = Story()
    job = submit(machine, "cancel")
    until(machine, job, Status.RUNNING)
    cancel(machine, job)
    machine.run_to_the_end()
    # A kill may keep the cancelling from coming in time: then it is too late, and the video is kept.
    story.expect(job, Status.CANCELLED, Status.SUCCEEDED)
    return story


def cancelled_while_waiting(machine: Machine) -> Story:
    story = Story()
    fault(machine, "create", status=429, headers={"retry-after": "60"})
    job = submit(machine, "cancel")
    cancel(machine, job)
    machine.run_to_the_end()
    story.expect(job, Status.CANCELLED, Status.SUCCEEDED)
    return story


def cancelled_in_vain(machine: Machine) -> Story:
    story = Story()
    fault(machine, "delete", status=409, times=-1)
    job = submit(machine, "in-vain")
    until(machine, job, Status.RUNNING)
    cancel(machine, job)
    story.expect(job, Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def tried_again(machine: Machine) -> Story:
    """What failed is generated once more, because the client wants it."""
    story = Story(most_paid=2)
    job = submit(machine, "again", prompt="a paper boat, internal-failure")
    story.expect(job, Status.FAILED)
    machine.run_to_the_end()
    story.expect(retry(machine, job), Status.FAILED)
    machine.run_to_the_end()
    return story


def tried_again_what_was_generated(machine: Machine) -> Story:
    """The backend forgot the job for a while and then knew it again: its video must not be made twice."""
    story = Story()
    job = submit(machine, "forgotten")
    story.expect(job, Status.FAILED, Status.SUCCEEDED)
    fault(machine, "get", status=404, headers={"retry-after": "60"}, times=60)
    fault(machine, "list", replace_body={"object": "list", "data": [], "has_more": False}, times=-1)
    machine.run(lambda: machine.job(job).is_terminal)
    machine.pipeline.simulator.faults.clear()
    machine.run_to_the_end()
    if machine.job(job).status is Status.FAILED:
        story.expect(retry(machine, job), Status.SUCCEEDED)
        machine.run_to_the_end()
    return story


def deleted_at_the_end(machine: Machine) -> Story:
    story = Story()
    job = submit(machine, "delete")
    machine.run(lambda: machine.job(job).is_terminal)
    delete(machine, job)
    story.deleted.add(job.id)
    machine.run_to_the_end()
    return story


def deleted_while_running(machine: Machine) -> Story:
    story = Story()
    job = submit(machine, "delete")
    until(machine, job, Status.RUNNING)
    delete(machine, job)
    story.deleted.add(job.id)
    machine.run_to_the_end()
    return story


def deleted_while_fetching(machine: Machine) -> Story:
    story = Story()
    fault(machine, "video", status=403, times=3)
    job = submit(machine, "delete")
    until(machine, job, Status.PENDING_DOWNLOAD)
    delete(machine, job)
    story.deleted.add(job.id)
    machine.run_to_the_end()
    return story


def imported(machine: Machine) -> Story:
    """A job that was made elsewhere, at the backend's own api."""
    story = Story()
    pipeline = machine.pipeline
    backend, limits = pipeline.services.backends.choose(None)
    small = SMALL[pipeline.dialect]
    request = limits.complete(small["prompt"], small["size"], small["seconds"], machine.variants, None)
    made = pipeline.services.backends.client(backend).create(request, {}, 30)
    body = json.dumps({"backend_job_id": made.id}).encode()
    job = machine.ask(lambda services: import_job(services, OWNER, read_import(body)))
    story.expect(job, Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def one_alive_at_once(machine: Machine) -> Story:
    """Its owner may have one job alive and three a day: each that ends makes room for the next, and none counts
    twice."""
    story = Story(most_paid=3, doubt=True)  # what the deleted one leaves at the backend is nobody's
    machine.services = machine.services._replace(owner_limits=OwnerLimits(at_once=1, per_day=3))
    story.expect(submit(machine, "kept"), Status.SUCCEEDED)
    with contextlib.suppress(TooManyJobs):
        submit(machine, "one-too-many")
        raise AssertionError("two jobs were accepted, and one may be alive")
    machine.run_to_the_end()
    stopped = submit(machine, "stopped")
    cancel(machine, stopped)
    machine.run_to_the_end()
    story.expect(stopped, Status.CANCELLED, Status.SUCCEEDED)
    gone = submit(machine, "deleted")
    delete(machine, gone)
    story.deleted.add(gone.id)
    machine.run_to_the_end()
    return story


def told_at_last(machine: Machine) -> Story:
    """The receiver is not well at first."""
    story = Story()
    machine.pipeline.receiver.answers = [500, 503]
    story.expect(submit(machine, "told", webhook_url=HOOK), Status.SUCCEEDED)
    machine.run_to_the_end()
    return story


def told_again(machine: Machine) -> Story:
    """The receiver wants no more, and then it does, of a job that was cancelled."""
    story = Story()
    machine.pipeline.receiver.answers = [410]
    fault(machine, "create", status=429, headers={"retry-after": "60"})
    job = submit(machine, "again", webhook_url=HOOK)
    cancel(machine, job)
    machine.run_to_the_end()
    story.expect(job, Status.CANCELLED, Status.SUCCEEDED)
    machine.ask(lambda services: send_webhook(services, OWNER, job.id))
    machine.run_to_the_end()
    return story


def told_again_at_once(machine: Machine) -> Story:
    """A client asks for it as soon as it sees the end, whatever of that end is still to be done."""
    story = Story()
    machine.services = machine.services._replace(owner_limits=OwnerLimits(at_once=1))
    job = submit(machine, "at-once", webhook_url=HOOK)
    story.expect(job, Status.SUCCEEDED)
    machine.run(lambda: machine.pipeline.job(job).is_over)
    machine.ask(lambda services: send_webhook(services, OWNER, job.id))
    machine.run_to_the_end()
    return story


def told_after_it_was_given_up(machine: Machine) -> Story:
    """The receiver is not well for three days. The operator then finds the job, and sends its webhook again."""
    story = Story()
    machine.pipeline.receiver.answers = [500] * 40
    fault(machine, "create", status=400, body={"error": {"code": "bad", "message": "no such size"}})
    job = submit(machine, "given-up", webhook_url=HOOK)
    story.expect(job, Status.FAILED)
    machine.run_to_the_end()
    machine.pipeline.receiver.answers = []
    listed = list_live(machine.pipeline.services, {"show": "given_up"})
    assert [each["id"] for each in listed["jobs"]] == [job.id]
    machine.ask(lambda services: send_webhook(services, OWNER, job.id))
    machine.run_to_the_end()
    return story


def deleted_before_it_was_told(machine: Machine) -> Story:
    story = Story()
    machine.pipeline.receiver.answers = [500] * 20
    fault(machine, "create", status=400, body={"error": {"code": "bad", "message": "no such size"}})
    job = submit(machine, "deleted", webhook_url=HOOK)
    machine.run(lambda: len(machine.pipeline.receiver.received) > 1)
    delete(machine, job)
    story.deleted.add(job.id)
    machine.run_to_the_end()
    return story


SCENARIOS: tuple[Play, ...] = (
    one_video,
    several_videos,
    from_an_image,
    through_the_openai_api,
    nobody_asks_again,
    generation_fails,
    refused_at_once,
    busy_at_first,
    key_refused_at_first,
    three_for_two_slots,
    downloads_fail_at_first,
    downloads_now,
    cancelled_while_running,
    cancelled_while_waiting,
    cancelled_in_vain,
    tried_again,
    tried_again_what_was_generated,
    deleted_at_the_end,
    deleted_while_running,
    deleted_while_fetching,
    imported,
    one_alive_at_once,
)

HOOKED: tuple[Play, ...] = (
    told_at_last,
    told_again,
    told_again_at_once,
    told_after_it_was_given_up,
    deleted_before_it_was_told,
)

LIVES = [
    *((play, dialect, 1) for play in SCENARIOS for dialect in DIALECTS),
    *((play, "azure-sora", 2) for play in SCENARIOS if play is not several_videos),
    *((play, "azure-sora", 1) for play in HOOKED),
    *((play, "openrouter", 1) for play in (one_video, generation_fails)),
    *((one_video, dialect, 1) for dialect in ("runway", "replicate", "fal", "xai", "gemini", "byteplus")),
]
"""Each scenario in each dialect, and with two videos a job where the dialect has that; webhooks once."""


@functools.cache
def _picture(size: str) -> str:
    """A grey PNG as a data URL."""
    width, height = map(int, size.split("x"))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes(width)) * height)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _no_form() -> Any:
    raise AssertionError("a JSON request was read as a form")
