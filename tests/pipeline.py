"""The pipeline without a host: real handlers, a real backend over a socket, time that tests move.

Storage is the in-memory twin; messages are delivered by hand, in the order in which they become visible.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from fetch_video.fetch import fetch_video
from local.simulator.faults import Fault
from local.simulator.server import Simulator
from notify_client.notify import notify_client
from poll_job.poll import poll_job
from submit_job.request import read_submission
from tests.receiver import SECRET, Receiver
from video_jobs.backends.registry import Backends
from video_jobs.domain.errors import ReelkeepError
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import FETCH_QUEUE, POLL_QUEUE, decode_fetch, decode_notify, decode_poll
from video_jobs.lifecycle.submit import submit_job
from video_jobs.net.public_fetch import PublicFetch
from video_jobs.ports.kept import Kept
from video_jobs.services import Services, Sweep, Timings
from video_jobs.settings.app import Settings
from video_jobs.settings.providers import PROVIDERS
from video_jobs.storage.memory import (
    MemoryBlobs,
    MemoryClaims,
    MemoryEstimates,
    MemoryGates,
    MemoryHooks,
    MemoryJobs,
    MemoryLiveJobs,
    MemoryMessages,
    QueuedMessage,
)

AT_ONCE = Timings(save_again=(0,) * 7, between_reads=0.01)
"""What is saved again is saved again at once, and who waits is answered soon."""

UseServices = Callable[[Services | None], None]
"""What the fixture `use_services` gives."""

DIALECTS = ("azure-sora", "openai-videos")
KEEP_NO_LIST = ("openrouter", "runway", "fal", "xai", "gemini")
LIST_NO_PROMPTS = ("byteplus",)
OWNER = "default"
# The key of the simulated API; it must never be seen again: tests/leaks.py looks for it.
API_KEY = "sim-key"

# The fastest to render; every test that doesn't care asks for it, so that it is rendered once.
SMALL: dict[str, dict[str, Any]] = {
    "azure-sora": {"prompt": "a paper boat", "size": "480x480", "seconds": 1},
    "openai-videos": {"prompt": "a paper boat", "size": "720x1280", "seconds": 4},
    **{provider.name: {"prompt": "a paper boat", "size": "720x1280", "seconds": 4} for provider in PROVIDERS},
}


def environment_for(simulator: Simulator, dialect: str, **changes: str) -> dict[str, str]:
    """The app's settings for the simulator; storage is for the caller to name."""
    provider = next((each for each in PROVIDERS if each.name == dialect), None)
    if provider is not None:
        path = urlsplit(provider.base_url).path
        entry = {"name": "default", "dialect": dialect, "base_url": simulator.url + path}
        origins = {"download_origins": [simulator.signed_origin]}
        changes = {
            "AZURE_OPENAI_ENDPOINT": "",
            provider.key_setting: API_KEY,
            "VIDEO_BACKENDS": json.dumps([{**entry, **origins}]),
            **changes,
        }
    return {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "AZURE_OPENAI_ENDPOINT": simulator.url,
        "AZURE_OPENAI_API_KEY": API_KEY,
        "AZURE_OPENAI_DEPLOYMENT": "sora",
        "VIDEO_DIALECT": dialect,
        "WEBHOOK_SECRETS": SECRET,
        **changes,
    }


class MemoryApp:
    """The app without a host on in-memory storage: its handlers, its backends over a socket, a clock that tests move."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.jobs = MemoryJobs()
        self.live_jobs = MemoryLiveJobs()
        self.claims = MemoryClaims()
        self.gates = MemoryGates()
        self.estimates = MemoryEstimates()
        self.messages = MemoryMessages(clock)
        self.blobs = MemoryBlobs(clock)
        self.hooks = MemoryHooks()
        self.receiver = Receiver()
        self.services = Services(
            clock=clock,
            jobs=self.jobs,
            live_jobs=self.live_jobs,
            claims=self.claims,
            gates=self.gates,
            estimates=self.estimates,
            messages=self.messages,
            blobs=self.blobs,
            backends=Backends(settings),
            hooks=self.hooks,
            webhook_sender=self.receiver,
            webhooks=settings.webhooks,
            images=PublicFetch(),
            sweep=Sweep(),
            kept_jobs=Kept(),
            kept_gates=Kept(),
            kept_estimates=Kept(),
            create_deadline=settings.create_deadline,
            fetch_deadline=settings.fetch_deadline,
            retention=settings.retention,
            sign_in=settings.sign_in,
            owner_limits=settings.owner_limits,
            timings=AT_ONCE,
        )

    def now(self) -> datetime:
        return self.clock()

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        raise AssertionError("a clock that can't be moved")

    def send(self, body: Mapping[str, Any], *, key: str | None = None, owner: str = OWNER) -> Job:
        """Submit, as a client does with JSON."""
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["idempotency-key"] = key
        submission = read_submission(headers, json.dumps(body).encode(), _no_form)
        job = submit_job(self.services, owner, submission)
        if job.request.images and job.status is Status.WAITING:
            self._deliver_first(job)  # which submits it, right after the request
            return self.job(job)
        return job

    def _deliver_first(self, job: Job) -> None:
        first = [m for m in self.messages.queued if job.id in m.text and m.visible_at <= self.now()]
        for message in first:
            self.messages.queued.remove(message)
            try:
                self.deliver(message)
            except ReelkeepError:  # the host delivers it again
                later = self.now() + timedelta(seconds=30)
                self.messages.queued.append(replace(message, visible_at=later))

    def job(self, job: Job) -> Job:
        """The job as it is stored now."""
        return self.jobs.get(job.owner, job.id).job

    # --- what the queues do ---

    def deliver(self, message: QueuedMessage, tries: int = 1) -> None:
        """Hand a message to its function, as the host would; it stays wherever it is."""
        hand_over(self.services, message, tries)

    def take_next(self) -> QueuedMessage:
        """The message that becomes visible first, off the queue; time moves on until then."""
        message = min(self.messages.queued, key=lambda queued: queued.visible_at)
        self.messages.queued.remove(message)
        left = (message.visible_at - self.now()).total_seconds()
        if left > 0:
            self.advance(left)
        return message

    def run(self, job: Job, until: Callable[[Job], bool] | None = None, most: int = 6000) -> Job:
        """Deliver messages one after another until the job has ended, or `until` holds of it."""
        done = until or (lambda seen: seen.is_terminal)
        for _ in range(most):
            seen = self.job(job)
            if done(seen):
                return seen
            self.deliver(self.take_next())
        raise AssertionError(f"{job.id} is still {self.job(job).status} after {most} messages")

    def run_until(self, job: Job, status: Status) -> Job:
        return self.run(job, lambda seen: seen.status is status)

    def drain(self, most: int = 1000) -> None:
        """Deliver whatever is left, until no message is."""
        for _ in range(most):
            if not self.messages.queued:
                return
            self.deliver(self.take_next())
        raise AssertionError(f"the queues never become empty: {self.messages.queued[:3]}")


class Pipeline(MemoryApp):
    """That, on the simulated API and its clock."""

    def __init__(self, simulator: Simulator, dialect: str, **environment: str) -> None:
        self.simulator = simulator
        self.dialect = dialect
        settings = Settings.from_environment(environment_for(simulator, dialect, **environment))
        super().__init__(settings, self._simulated_now)

    # --- time and faults ---

    def _simulated_now(self) -> datetime:
        return datetime.fromtimestamp(self.simulator.world.clock.now(), UTC)

    def advance(self, seconds: float) -> None:
        # What is being rendered takes real time, in which simulated hours would pass.
        wait([output.rendering for made in self.simulator.world.everything() for output in made.outputs])
        self.simulator.world.clock.advance(seconds)

    def fault(self, operation: str, **effects: Any) -> None:
        self.simulator.faults.add([Fault.read({"operation": operation, **effects})])

    # --- what a client does ---

    def submit(self, *, key: str | None = None, owner: str = OWNER, **changes: Any) -> Job:
        return self.send({**SMALL[self.dialect], **changes}, key=key, owner=owner)

    # --- what the other side saw ---

    def calls(self, operation: str) -> list[Mapping[str, Any]]:
        return [call for call in self.simulator.world.ledger.calls() if call["operation"] == operation]

    def backend_jobs(self) -> int:
        """How many jobs the video API ever created: what was paid for."""
        return len(self.simulator.world.everything())


def hand_over(services: Services, message: QueuedMessage, tries: int = 1) -> None:
    """To the function whose queue it is; `tries`: how often it was delivered, this time included."""
    body = message.text.encode()
    if message.queue == POLL_QUEUE:
        poll_job(services, decode_poll(body))
    elif message.queue == FETCH_QUEUE:
        fetch_video(services, decode_fetch(body), is_first_delivery=tries == 1)
    else:
        notify_client(services, decode_notify(body))


def _no_form() -> Any:
    raise AssertionError("a JSON request was read as a form")
