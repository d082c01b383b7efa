"""The page in a real browser, on the whole app: function host, Azurite and the simulated API over sockets.

Each test has an owner of its own, and so a list of its own.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request

import http_edge.owner
from local.azurite_process import Azurite
from local.function_host.host import FunctionHost
from local.function_host.keys import AccessKeys
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.whole_app import fresh_app, running_app
from video_jobs import wiring
from video_jobs.domain.gate import ClosureReason, close
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import BackendRef, Job, JobError, Status, VideoRequest

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
DESKTOP = {"width": 1440, "height": 900}
LAPTOP = {"width": 1366, "height": 657}
PHONE = {"width": 390, "height": 844}
ENLARGED = {"width": 720, "height": 450}
"""What is left of the desktop when the browser enlarges the page to 200 %."""

LOOKS = {
    f"{window}-{scheme}": (size, {"color_scheme": scheme})
    for window, size in (
        ("desktop", DESKTOP),
        ("laptop", LAPTOP),
        ("phone", PHONE),
        ("200-percent", ENLARGED),
    )
    for scheme in ("light", "dark")
} | {"desktop-forced-colours": (DESKTOP, {"forced_colors": "active"})}
KEYS = AccessKeys(function="the-function-key", master="the-master-key")
ANYTHING = {
    "name": "anything",
    "dialect": "openai-videos",
    "model": "wan-2.2",
    "sizes": "any",
    "seconds": "any",
    "auth": "none",
}
# Off unless asked for: a name that differs from the words that are to be seen can't be spoken.
_AXE = {"rules": {"label-content-name-mismatch": {"enabled": True}}}
# What the browser itself writes of an answer that the page then puts into words.
_REPORTED_BY_THE_BROWSER = "Failed to load resource"


def _rented(simulator: Simulator) -> dict[str, Any]:
    """Models that take much, of a provider that gives no thumbnails."""
    origins = {"base_url": f"{simulator.url}/api/v1", "download_origins": [simulator.signed_origin]}
    return {"name": "rented", "dialect": "openrouter", **origins}


@contextmanager
def running_studio(azurite: Azurite, browser: Browser) -> Iterator[Studio]:
    """The app, twice: open, and with keys."""
    with (
        Simulator(api_key=API_KEY, speed=60, running_limit=None) as simulator,
        running_app(
            azurite,
            simulator,
            VIDEO_RUNNING_LIMIT="0",
            VIDEO_BACKENDS=json.dumps([{**ANYTHING, "base_url": f"{simulator.url}/v1"}, _rented(simulator)]),
            OPENROUTER_API_KEY=API_KEY,
        ) as host,
        FunctionHost(fresh_app(), host_json=ROOT / "host.json", keys=KEYS) as with_keys,
        pytest.MonkeyPatch.context() as patch,
    ):
        yield Studio(host, with_keys, azurite, browser, patch)


class Studio:
    def __init__(
        self,
        host: FunctionHost,
        with_keys: FunctionHost,
        azurite: Azurite,
        browser: Browser,
        patch: pytest.MonkeyPatch,
    ) -> None:
        self.url = f"{host.url}/api/studio"
        self.url_with_keys = f"{with_keys.url}/api/studio"
        self.api = f"{host.url}/api"
        self.storage = azurite.blob_endpoint
        self.owner = ""
        self._browser = browser
        self._patch = patch
        self._visits: list[Visit] = []

    # --- one test ---

    def begin(self) -> None:
        self.owner = f"o-{secrets.token_hex(6)}"
        self._patch.setattr(http_edge.owner, "DEFAULT_OWNER", self.owner)

    def end(self) -> None:
        self.pause("resume")
        for visit in self._visits:
            for page in visit.context.pages:
                # A request that a test answers may be under way: its answer is nobody's any more.
                page.unroute_all(behavior="ignoreErrors")
            visit.context.close()
        complaints = [complaint for visit in self._visits for complaint in visit.complaints]
        self._visits.clear()
        assert not complaints, "\n".join(complaints)

    def visit(self, url: str | None = None, **options: Any) -> Page:
        """A tab that has come to the page, in a browser of its own."""
        context = self._browser.new_context(viewport=DESKTOP, reduced_motion="reduce", **options)
        context.set_default_timeout(20_000)
        visit = Visit(context, url or self.url, self.storage)
        self._visits.append(visit)
        page = context.new_page()
        page.goto(visit.url)
        return page

    # --- the app, from its other side ---

    def pause(self, word: str = "pause") -> None:
        """Nothing is submitted any more: new jobs wait."""
        requests.post(f"{self.api}/backends/default/{word}", timeout=30).raise_for_status()

    def close_gate(self, why: ClosureReason, reason: str) -> None:
        """As a refusal of the video API does it; `resume` opens it again."""
        gates = wiring.get_services().gates
        stored = gates.get("default")
        closed = close(stored.gate, wiring.utc_now(), why, reason, retry_after=3600)
        gates.save(stored, closed)

    def jobs(self) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.api}/jobs", params={"limit": 100}, timeout=30)
        return list(answer.json()["jobs"])

    def store(self, count: int = 1, **changes: Any) -> list[Job]:
        """Jobs that are there as rows only, each a minute older than the one before."""
        at, stored = wiring.utc_now() - timedelta(minutes=1), []
        for number in range(count):
            moment = at - timedelta(minutes=number)
            job = Job(
                id=new_job_id(moment),
                owner=self.owner,
                created_at=moment,
                updated_at=moment,
                request=VideoRequest(f"Scene {number}", 480, 480, 1),
                backend=BackendRef("default", "azure-sora", "http://127.0.0.1:1/gone", "sora"),
                status=Status.FAILED,
                finished_at=moment,
                error=JobError("generation_failed", "The video API gave up."),
            )
            stored.append(replace(job, **changes))
            wiring.get_services().jobs.insert(stored[-1], None)
        return stored

    def remove(self, job: Job) -> None:
        """As if somebody had deleted it elsewhere."""
        jobs = wiring.get_services().jobs
        jobs.delete(jobs.get(job.owner, job.id))


class Visit:
    """One browser context, and everything in it that should not be."""

    def __init__(self, context: BrowserContext, url: str, storage: str) -> None:
        self.context = context
        self.url = url
        self.complaints: list[str] = []
        self._allowed = (url.rpartition("/api/")[0], storage, "blob:")
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"an error: {error.error}"))
        context.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _REPORTED_BY_THE_BROWSER not in message.text:
            self.complaints.append(f"the console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self._allowed):
            self.complaints.append(f"a request to {request.url}")
        if KEYS.function in request.url:
            self.complaints.append("the key in an address")
        if request.headers.get("referer"):
            self.complaints.append(f"a referrer, {request.headers['referer']}, for {request.url}")


def shot_in_every_look(page: Page, name: str, of: Locator | None = None) -> None:
    """Pictures of that element under `build/screenshots`, for people to look at; none is wider than its window."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    for look, (size, media) in LOOKS.items():
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(**media)  # type: ignore[arg-type]
        if of is not None:
            of.evaluate("element => element.scrollIntoView({block: 'center'})")
        page.screenshot(path=SCREENSHOTS / f"{name}-{look}.png", caret="initial")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), look
    page.set_viewport_size(before or DESKTOP)  # type: ignore[arg-type]
    page.emulate_media(forced_colors="none", color_scheme="light")


def refuse_barriers(page: Page) -> None:
    """axe-core finds nothing, in the light and in the dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        # Scripts learn of the change when the browser draws the next frame.
        page.evaluate("new Promise(requestAnimationFrame)")
        found = Axe().run(page, options=_AXE).response["violations"]
        assert not found, json.dumps(
            [[each["id"], [node["html"] for node in each["nodes"]]] for each in found], indent=1
        )
