"""What many tests of the page do."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image
from playwright.sync_api import Locator, Page

# A tab can't be hidden from outside: this says that it is, as the browser would.
HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def card(page: Page, prompt: str) -> Locator:
    return page.get_by_role("article", name=prompt)


def prompt_of(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Prompt")


def submit(page: Page, prompt: str) -> None:
    prompt_of(page).fill(prompt)
    page.get_by_role("button", name="Generate").click()


def a_picture() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (48, 32), "teal").save(written, "PNG")
    return written.getvalue()


def layout_shifts(page: Page) -> list[list[Any]]:
    """Each as its score, when it was, and what moved."""
    shifts: list[list[Any]] = page.evaluate(
        """() => new Promise((resolve) => {
            const shifts = [];
            new PerformanceObserver((list) => {
                for (const {value, sources, startTime} of list.getEntries())
                    shifts.push([value, startTime, ...sources.map(({node, previousRect: was, currentRect: is}) =>
                        `${node?.id || node?.className}: ${was.y}+${was.height} to ${is.y}+${is.height}`)]);
            }).observe({type: "layout-shift", buffered: true});
            requestAnimationFrame(() => setTimeout(() => resolve(shifts), 0));
        })"""
    )
    return shifts


def look_again(page: Page) -> None:
    """Somebody comes back to the tab: everything is read again."""
    page.evaluate(HIDE, True)
    page.evaluate(HIDE, False)
