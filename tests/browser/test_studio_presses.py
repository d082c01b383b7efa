"""What a press sends: once, with what is to be seen, and nothing that nobody asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.steps import a_picture, card, look_again, prompt_of, submit
from tests.browser.studio import Studio
from video_jobs.domain.job import VideoRequest

ONE_JOB = re.compile(r"/api/jobs/job_\w+(\?|$)")
PICTURE: Any = {"name": "boat.png", "mimeType": "image/png", "buffer": a_picture()}


# --- what is sent ---


def with_image(studio: Studio, page: Page, prompt: str) -> None:
    page.locator("#image-input").set_input_files([PICTURE])
    submit(page, prompt)
    expect(card(page, prompt)).to_be_visible()
    page.get_by_role("button", name="Remove the image").click()


def test_an_image_that_comes_late_gets_into_no_other_request(studio: Studio) -> None:
    studio.pause()
    studio.store(request=VideoRequest("the other", 480, 480, 1))
    page = studio.visit()
    with_image(studio, page, "it comes to life")
    held: list[Route] = []
    page.route("**/image", lambda route: held.append(route))
    card(page, "it comes to life").get_by_role("button", name="Edit").click()
    card(page, "the other").get_by_role("button", name="Edit").click()
    expect(prompt_of(page)).to_have_value("the other")
    with page.expect_response("**/image"):
        held[0].continue_()
    page.wait_for_timeout(200)
    expect(page.locator("#image-box")).to_be_hidden()


def test_generate_waits_for_the_image_that_the_edited_job_had(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    with_image(studio, page, "it comes to life")
    held: list[Route] = []
    page.route("**/image", lambda route: held.append(route))
    card(page, "it comes to life").get_by_role("button", name="Edit").click()
    prompt_of(page).fill("it goes away")
    page.wait_for_timeout(1100)
    page.get_by_role("button", name="Generate").click()
    page.wait_for_timeout(100)
    held[0].continue_()
    expect(card(page, "it goes away")).to_contain_text("with an image")


def test_a_picked_file_that_changed_on_the_disk_is_asked_for_again(studio: Studio, tmp_path: Any) -> None:
    file = tmp_path / "boat.png"
    file.write_bytes(a_picture())
    page = studio.visit()
    page.locator("#image-input").set_input_files(file)
    expect(page.get_by_role("group", name="First image")).to_contain_text("48 × 32")
    file.write_bytes(a_picture() + b"more")
    submit(page, "it comes to life")
    expect(page.locator("#input_image-error")).to_contain_text("Pick it again")
    assert studio.jobs() == []


PASTE = """([target, text]) => {
    const clipboard = new DataTransfer();
    if (text) clipboard.setData("text/plain", text);
    clipboard.items.add(new File([new Uint8Array(8)], "image.png", {type: "image/png"}));
    const event = new ClipboardEvent("paste", {clipboardData: clipboard, bubbles: true, cancelable: true});
    document.querySelector(target).dispatchEvent(event);
    return event.defaultPrevented;
}"""


def test_words_that_are_pasted_with_a_picture_of_them_are_words(studio: Studio) -> None:
    page = studio.visit()
    assert not page.evaluate(PASTE, ["#prompt", "A boat"])


def test_an_image_that_is_pasted_for_a_model_without_images_is_not_sent(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    page.locator("#image-input").set_input_files([PICTURE])
    page.evaluate("document.querySelector('#image-field').hidden = true")
    submit(page, "a paper boat")
    made = card(page, "a paper boat")
    expect(made).to_be_visible()
    expect(made).not_to_contain_text("with an image")


# --- clicks ---


@pytest.mark.parametrize("pressed", ["twice", "long"])
def test_cancel_that_is_pressed_twice_or_long_retries_nothing(studio: Studio, pressed: str) -> None:
    studio.pause()
    page = studio.visit()
    submit(page, "a paper boat")
    made = card(page, "a paper boat")
    made.get_by_role("button", name="Cancel").focus()
    page.keyboard.down("Enter")
    again = made.get_by_role("button", name="Retry")
    expect(again).to_be_visible()
    if pressed == "long":
        page.keyboard.down("Enter")
    else:
        box = again.bounding_box()
        assert box is not None
        again.dispatch_event("click", {"detail": 2})
    expect(made.get_by_text("Details")).to_be_focused()
    assert len(studio.jobs()) == 1


def test_clearing_goes_on_past_a_job_that_was_deleted_elsewhere(studio: Studio) -> None:
    _, deleted, _ = studio.store(3)
    page = studio.visit(f"{studio.url}?show=ended")
    page.route(ONE_JOB, lambda route: route.abort() if route.request.method == "GET" else route.continue_())
    expect(page.get_by_role("article")).to_have_count(3)
    studio.remove(deleted)
    page.get_by_role("button", name="Clear these").click()
    page.get_by_role("button", name="Delete them").click()
    expect(page.get_by_role("article")).to_have_count(0)
    assert studio.jobs() == []


def test_clearing_deletes_no_job_that_came_after_the_question(studio: Studio) -> None:
    studio.store(2)
    page = studio.visit(f"{studio.url}?show=ended")
    page.get_by_role("button", name="Clear these").click()
    expect(page.get_by_text("Delete 2 jobs")).to_be_visible()
    studio.store()
    look_again(page)
    expect(page.get_by_role("article")).to_have_count(3)
    page.get_by_role("button", name="Delete them").click()
    expect(page.get_by_role("article")).to_have_count(1)
    page.wait_for_timeout(200)
    assert len(studio.jobs()) == 1


def test_details_that_a_key_opened_keep_the_focus(studio: Studio) -> None:
    studio.store()
    page = studio.visit()
    summary = page.get_by_role("article").locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copy the job’s id")).to_be_visible()
    expect(summary).to_be_focused()
