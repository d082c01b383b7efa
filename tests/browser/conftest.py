"""What the tests of the pages share: one Chromium, and pages whose every complaint is noted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from local.azurite_process import Azurite
from tests.browser.studio import Studio, running_studio

expect.set_options(timeout=20_000)  # milliseconds: only a failure lasts so long

CHROMIUM = shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make browser` runs all of these tests; `make test` only those that are marked as core."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("core") is None:
            item.add_marker("browser")


# Not for the session: while it runs, the thread has an event loop, and other tests can start none.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: 'make chromium', as root, installs it")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def app(azurite: Azurite, browser: Browser) -> Iterator[Studio]:
    with running_studio(azurite, browser) as running:
        yield running


@pytest.fixture
def studio(app: Studio) -> Iterator[Studio]:
    app.begin()
    yield app
    app.end()


@dataclass
class Watched:
    """A page, what it complained of, and whom it asked."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    origins: set[str] = field(default_factory=set)

    def listen(self) -> None:
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob"):
            self.origins.add(f"{parts.scheme}://{parts.netloc}")


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context()
    watched = Watched(context.new_page())
    watched.listen()
    yield watched
    context.close()
