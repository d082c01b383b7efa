"""What many tests of the page do."""

from __future__ import annotations

import io

from PIL import Image
from playwright.sync_api import Locator, Page


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
