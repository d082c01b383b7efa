"""What people do with the page, and what it never does; in Debian's Chromium."""

from __future__ import annotations

import base64
import itertools
import re
from datetime import timedelta

import pytest
from playwright.sync_api import Route, expect

from tests.browser.steps import a_picture, card, prompt_of, submit
from tests.browser.studio import KEYS, Studio, refuse_barriers, shot_in_every_look
from video_jobs import wiring
from video_jobs.domain.job import Status
from video_jobs.storage import signing
from video_jobs.views.job_view import time_text

HOSTILE = "<img src=x onerror=\"alert(1)\"><script>alert(2)</script> ${7*7} 'quoted' \u202eright to left"


# --- the way of a video --------------------------------------------------------------------------


def test_an_empty_studio_says_how_to_begin(studio: Studio) -> None:
    page = studio.visit()
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    refuse_barriers(page)
    shot_in_every_look(page, "empty")
    page.get_by_role("button", name="Slow aerial shot").click()
    expect(prompt_of(page)).to_have_value(re.compile("misty pine forest"))


@pytest.mark.core
def test_a_prompt_becomes_videos_that_play_in_place(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    page = studio.visit()
    prompt_of(page).fill("a paper boat")
    page.get_by_label("Seconds").fill("1")
    page.get_by_role("radio", name="2").check()
    page.get_by_role("button", name="Generate").click()
    made = card(page, "a paper boat")
    expect(made).to_contain_text(re.compile("Sending|Waiting at the video service|Generating"))
    expect(page.get_by_role("button", name="Generate another")).to_be_visible()
    expect(made.locator(".badge", has_text="Ready")).to_be_visible()
    expect(page.locator("#live-region")).to_have_text("“a paper boat”: Ready")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.poster img')].every(i => i.naturalWidth > 0)"
    )
    made.get_by_role("button", name="Play video 1 of 2").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0")
    made.get_by_role("button", name="Video 2 of 2").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0")
    expect(made.locator("video")).to_have_attribute("src", re.compile(r"/1\.mp4\?"))
    with page.expect_download() as download:
        made.get_by_role("link", name="Download video 2").click()
    assert download.value.path().read_bytes()[4:8] == b"ftyp"
    assert page.url == studio.url
    refuse_barriers(page)

    page.reload()
    expect(made.locator(".badge", has_text="Ready")).to_be_visible()
    made.get_by_text("Details").click()
    history = made.get_by_role("list", name="History")
    expect(history).to_contain_text("Accepted")
    for name in ("video 1", "video 2"):  # as everywhere on the page, counted from 1
        expect(history.get_by_text(re.compile(rf"^{name}, \d+ kB$"))).to_be_visible()

    # A URL that has ended while the page was open: it asks for another, and plays.
    later = itertools.count(1)
    monkeypatch.setattr(signing, "good_until", lambda now: now + timedelta(hours=1, seconds=next(later)))
    page.route(re.compile(r"/0\.mp4\?"), lambda route: route.fulfill(status=403), times=1)
    made.get_by_role("button", name="Play video 1 of 2").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0")


def test_a_job_in_line_says_so_and_is_cancelled(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    submit(page, "a fox in the snow")
    waiting = card(page, "a fox in the snow")
    expect(waiting).to_contain_text("Paused")
    expect(waiting).to_contain_text("nothing is billed yet")
    held: list[Route] = []
    page.route("**/cancel", lambda route: held.append(route))
    cancel = waiting.get_by_role("button", name="Cancel")
    cancel.click()
    expect(cancel).to_be_disabled()
    expect(cancel, "as it looks, too").to_have_css("opacity", "0.55")
    held[0].continue_()
    expect(waiting).to_contain_text("Cancelled")
    expect(waiting.get_by_role("button", name="Retry")).to_be_visible()


def test_what_failed_says_why_and_is_tried_again(studio: Studio) -> None:
    studio.pause()
    studio.store()
    page = studio.visit()
    failed = page.get_by_role("article").last
    expect(failed).to_contain_text("The video API gave up.")
    refuse_barriers(page)
    shot_in_every_look(page, "failed", failed)
    failed.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_role("article").first).to_contain_text("Another try of an earlier job")
    expect(failed).to_contain_text("tried again")
    expect(failed.get_by_role("button", name="Retry")).to_have_count(0)


def test_a_job_is_deleted_after_one_more_question(studio: Studio) -> None:
    first, second = studio.store(2)
    page = studio.visit()
    newest = page.get_by_role("article").first
    newest.get_by_role("button", name="Delete").click()
    refuse_barriers(page)
    shot_in_every_look(page, "delete-question", newest)
    expect(newest.get_by_role("button", name="Keep")).to_be_focused()
    page.keyboard.press("Escape")
    expect(newest.get_by_role("button", name="Delete")).to_be_focused()
    newest.get_by_role("button", name="Delete").click()
    newest.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("article")).to_have_count(1)
    assert [job["id"] for job in studio.jobs()] == [second.id]
    assert first.id != second.id


def test_progress_goes_on_between_two_looks(studio: Studio) -> None:
    studio.store(status=Status.RUNNING, finished_at=None, error=None)
    expected = time_text(wiring.utc_now() + timedelta(seconds=60))

    def tell(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for job in body.get("jobs", [body]):
            job.update(progress=10, expected_at=expected)
        route.fulfill(response=answer, json=body)

    page = studio.visit()
    page.route(re.compile(r"/api/jobs[?/]"), tell)
    page.reload()
    running = page.get_by_role("article")
    expect(running).to_contain_text("Generating")
    expect(running).to_contain_text(re.compile("about .* left"))
    refuse_barriers(page)
    expect(running.get_by_role("progressbar")).to_have_attribute(
        "aria-valuenow", re.compile("^1[2-9]$|^[2-9].$")
    )


def test_the_form_says_how_long_it_usually_takes(studio: Studio) -> None:
    def tell(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["backends"][0]["estimates"] = [
            {"size": "480x480", "seconds": 5, "typical_seconds": 41.0, "late_seconds": 85.0, "jobs": 12},
            {"size": "480x480", "seconds": 4, "typical_seconds": 2.0, "late_seconds": 3.0, "jobs": 8},
        ]
        route.fulfill(response=answer, json=body)

    page = studio.visit()
    page.route("**/api/options", tell)
    page.reload()
    words = page.locator("#estimate-words")
    expect(words).to_have_text(
        "Usually about 40 seconds, seldom more than a minute and a half (12 earlier jobs)."
    )
    page.get_by_label("Seconds").fill("4")
    expect(words).to_have_text("Usually a few seconds (8 earlier jobs).")
    page.get_by_label("Seconds").fill("6")
    expect(words).to_have_text("No estimate yet for videos like this.")


# --- what the app says against it -----------------------------------------------------------------


def test_a_refused_prompt_is_told_in_words(studio: Studio) -> None:
    page = studio.visit()
    submit(page, "rejected-prompt of a boat")
    expect(page.locator("#banner")).to_contain_text("refused by the content filter")
    expect(card(page, "rejected-prompt of a boat")).to_contain_text("The same words would be refused again.")
    expect(prompt_of(page)).to_have_value("rejected-prompt of a boat")


def test_a_refused_size_is_told_beside_its_field(studio: Studio) -> None:
    page = studio.visit()
    page.get_by_label("Backend", exact=True).select_option("anything")
    page.get_by_label("Size").fill("wide")
    submit(page, "a paper boat")
    expect(page.get_by_label("Size")).to_be_focused()
    expect(page.get_by_label("Size")).to_have_accessible_description(re.compile("WIDTHxHEIGHT"))
    assert studio.jobs() == []


def test_settings_that_are_not_usable_are_told_with_every_reason(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wiring.use(None):
        monkeypatch.setenv("VIDEO_RUNNING_LIMIT", "many")
        page = studio.visit()
        expect(page.locator("#banner")).to_contain_text("VIDEO_RUNNING_LIMIT")
        expect(page.locator("#list-error")).to_contain_text("VIDEO_RUNNING_LIMIT")
        refuse_barriers(page)
    monkeypatch.undo()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    expect(page.get_by_label("Size")).to_be_visible()
    expect(page.locator("#banner")).to_be_hidden()


def test_a_submit_whose_answer_is_lost_is_paid_for_once(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    keys = []

    def lose_the_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/jobs", lose_the_first, times=2)
    prompt_of(page).fill("a paper boat")
    page.get_by_role("button", name="Generate").dblclick()
    expect(card(page, "a paper boat")).to_be_visible()
    expect(page.get_by_role("button", name="Generate another")).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(studio.jobs()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_a_busy_host_answers_after_a_lost_answer_is_not_taken_for_the_apps(
    studio: Studio, status: int
) -> None:
    studio.pause()
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    keys = []

    def lose_the_first_and_refuse_all(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
        route.fulfill(status=status)

    page.route("**/api/jobs", lose_the_first_and_refuse_all)
    submit(page, "a paper boat")
    expect(page.get_by_text("The app is busy, trying again")).to_be_visible()
    page.unroute("**/api/jobs")
    page.route(
        "**/api/jobs",
        lambda route: (keys.append(route.request.headers["idempotency-key"]), route.continue_()),
    )
    page.reload()
    expect(page.get_by_label("Size")).to_be_visible()
    page.get_by_role("button", name="Generate").click()
    expect(card(page, "a paper boat")).to_be_visible()
    expect(page.get_by_role("button", name="Generate another")).to_be_visible()
    assert len(keys) >= 2
    assert len(set(keys)) == 1
    assert len(studio.jobs()) == 1


def test_what_the_app_itself_refuses_is_another_request_the_next_time(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    keys = []
    problem = {
        "code": "too_many_jobs",
        "title": "Too many jobs",
        "detail": "Too many at once.",
        "status": 429,
    }

    def refuse_the_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fulfill(status=429, json=problem, content_type="application/problem+json")
        else:
            route.continue_()

    page.route("**/api/jobs", refuse_the_first)
    submit(page, "a paper boat")
    expect(page.locator("#banner")).to_contain_text("Too many at once.")
    page.get_by_role("button", name="Generate").click()
    expect(card(page, "a paper boat")).to_be_visible()
    assert len(set(keys)) == 2


@pytest.mark.parametrize("name", ["studio.js", "studio.css"])
def test_a_page_of_which_a_file_is_refused_says_so_and_offers_to_load_it_again(
    studio: Studio, name: str
) -> None:
    page = studio.visit()
    page.route(f"**/{name}", lambda route: route.fulfill(status=429), times=1)
    page.reload()
    page.evaluate("for (const each of document.getAnimations()) each.finish()")  # it waits some seconds
    page.get_by_role("link", name="Load it again").click()
    expect(page.get_by_label("Size")).to_be_visible()
    expect(page.get_by_role("link", name="Load it again")).to_be_hidden()


def test_without_a_connection_it_says_so_and_goes_on_when_there_is_one(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    page.context.set_offline(True)
    submit(page, "a paper boat")
    expect(page.get_by_text("No connection, trying again").first).to_be_visible()
    page.context.set_offline(False)
    expect(card(page, "a paper boat")).to_be_visible()
    expect(page.locator("#offline")).to_be_hidden()


# --- keys ----------------------------------------------------------------------------------------


def test_the_key_is_asked_for_once_and_kept_for_the_tab_only(studio: Studio) -> None:
    page = studio.visit(studio.url_with_keys)
    expect(page.get_by_role("heading", name="Enter your access key")).to_be_visible()
    refuse_barriers(page)
    shot_in_every_look(page, "key")
    field = page.get_by_label("Function key")
    expect(field).to_be_focused()
    field.fill("not-the-key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("did not take this key")
    field.fill(KEYS.function or "")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    assert KEYS.function not in page.url + page.content() + str(page.evaluate("({...localStorage})"))

    other_tab = page.context.new_page()
    other_tab.goto(studio.url_with_keys)
    expect(other_tab.get_by_label("Function key")).to_be_visible()
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_label("Function key")).to_be_visible()


# --- the form ------------------------------------------------------------------------------------


def test_an_image_is_picked_dropped_and_pasted(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    picture = {"name": "first.png", "mimeType": "image/png", "buffer": a_picture()}
    page.locator("#image-input").set_input_files([picture])
    preview = page.get_by_role("group", name="First image")
    expect(preview).to_contain_text("first.png")
    expect(preview).to_contain_text("48 × 32")
    preview.get_by_role("button", name="Remove the image").click()
    expect(preview).to_be_hidden()
    for event in ("drop", "paste"):
        page.evaluate(
            """([event, content]) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const data = new DataTransfer();
                data.items.add(new File([bytes], `${event}ed.png`, {type: "image/png"}));
                const options = {bubbles: true, cancelable: true};
                document.querySelector("#prompt").dispatchEvent(event === "drop"
                    ? new DragEvent("drop", {...options, dataTransfer: data})
                    : new ClipboardEvent("paste", {...options, clipboardData: data}));
            }""",
            [event, base64.b64encode(a_picture()).decode()],
        )
        expect(preview).to_contain_text(f"{event}ed.png")
    prompt_of(page).fill("the boat comes to life")
    refuse_barriers(page)
    shot_in_every_look(page, "image", preview)
    page.locator("#image-input").set_input_files([{**picture, "name": "a.gif", "mimeType": "image/gif"}])
    expect(page.locator("#input_image-error")).to_contain_text("no PNG, JPEG or WebP")
    prompt_of(page).press("Control+Enter")
    page.keyboard.press("Control+Enter")
    expect(card(page, "the boat comes to life")).to_contain_text("with an image")
    assert studio.jobs()[0]["input_image"]["width"] == 48


def test_everything_can_be_done_by_keyboard(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    expect(page.get_by_label("Seconds")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to your videos")).to_be_focused()
    reached = []
    for _ in range(11):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.id"))
        if reached[-1] == "prompt":
            page.keyboard.type("by keyboard")
    assert reached == [
        "help",
        "reference",
        "theme",
        "prompt",
        "image-pick",
        "backend",
        "shape",
        "size",
        "seconds",
        "variants",
        "send",
    ]
    page.keyboard.press("Enter")
    expect(card(page, "by keyboard")).to_be_visible()


def test_a_draft_outlives_a_reload(studio: Studio) -> None:
    page = studio.visit()
    page.get_by_role("radio", name="Landscape").check()
    page.get_by_label("Size").select_option("1280x720")
    prompt_of(page).fill("half a thought")
    page.reload()
    expect(prompt_of(page)).to_have_value("half a thought")
    expect(page.get_by_label("Size")).to_have_value("1280x720")


def test_a_job_is_copied_as_a_command_without_the_key(studio: Studio) -> None:
    studio.store()
    page = studio.visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Code").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_text("The code was copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert '"prompt":"Scene 0"' in copied
    assert '-H "x-functions-key: $REELKEEP_KEY"' in copied


# --- the list ------------------------------------------------------------------------------------


def test_the_list_goes_on_as_one_scrolls_and_the_page_stays_small(studio: Studio) -> None:
    studio.store(110)
    page = studio.visit()
    expect(page.get_by_role("article").first).to_be_visible()
    page.wait_for_function(
        """() => {
            scrollTo(0, document.body.scrollHeight);
            return document.querySelector("#list-count").textContent === "110";
        }"""
    )
    expect(page.locator("#list > li")).to_have_count(110)
    expect(card(page, "Scene 109")).to_be_visible()
    page.wait_for_function("() => document.querySelectorAll('article').length < 60")
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_role("article").first).to_contain_text("Scene 0")


def test_a_filter_shows_what_is_asked_for_and_is_kept(studio: Studio) -> None:
    studio.store(2)
    page = studio.visit()
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("button", name="Ready").click()
    expect(page.get_by_text("No videos of this kind.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("No videos of this kind.")).to_be_visible()
    page.get_by_role("button", name="Failed or stopped").click()
    expect(page.get_by_role("article")).to_have_count(2)


def test_what_was_submitted_or_deleted_elsewhere_is_seen(studio: Studio) -> None:
    studio.store()
    page = studio.visit()
    page.clock.install()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(1)
    studio.store()
    page.clock.fast_forward(10_000)
    expect(page.get_by_role("article")).to_have_count(2)


# --- what it never does --------------------------------------------------------------------------


def test_a_hostile_prompt_is_shown_as_text(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    submit(page, HOSTILE)
    shown = page.get_by_role("article").get_by_role("heading")
    expect(shown).to_have_text(HOSTILE)
    assert page.locator("article script, article img[src=x]").count() == 0


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_the_window(studio: Studio, width: int) -> None:
    studio.store(2)
    page = studio.visit()
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_role("article").first.get_by_text("Details").click()
    expect(page.get_by_role("article")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_colours_that_were_chosen_are_kept(studio: Studio) -> None:
    page = studio.visit(color_scheme="light")
    page.get_by_role("button", name="Switch to dark colours").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()
