"""Every error that a person sees has three parts: what happened, what it means, what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.steps import card, look_again, prompt_of, submit
from tests.browser.studio import Studio, refuse_barriers, shot_in_every_look
from video_jobs import wiring
from video_jobs.domain.job import JobError, Status

NOTHING_SENT = "Nothing was sent to the video service, and nothing is billed."
PERHAPS_SENT = "It may have arrived: nothing is lost, and it is paid for once."


def problem(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    body = {"title": "No", "status": status, "code": code, "detail": detail, **members}
    return {"status": status, "json": body, "content_type": "application/problem+json"}


@pytest.mark.parametrize(
    ("answer", "what", "means", "todo"),
    [
        ({"status": 403}, "The app does not let this request through.", NOTHING_SENT, "Ask the operator"),
        (
            {"status": 413},
            "This is more than the app takes in one request.",
            NOTHING_SENT,
            "Send a smaller image.",
        ),
        (
            problem(429, "too_many_jobs", "You have 10 jobs that have not ended, which is the most."),
            "You have 10 jobs",
            NOTHING_SENT,
            "Wait until one of your jobs has ended, or cancel one.",
        ),
        (
            problem(503, "storage_unavailable", "Azure Storage could not be reached."),
            "Azure Storage could not be reached.",
            PERHAPS_SENT,
            "Try again in a minute.",
        ),
        (
            problem(503, "misconfigured", "The app's settings need mending.", reasons=["Set VIDEO_SIZE."]),
            "Set VIDEO_SIZE.",
            NOTHING_SENT,
            "The operator has to mend",
        ),
        (
            problem(500, "internal_error", "An unexpected error."),
            "An unexpected error.",
            PERHAPS_SENT,
            "If it happens again, tell the operator",
        ),
        (
            problem(409, "idempotency_key_reused", "The key was used."),
            "The key was used.",
            NOTHING_SENT,
            "Change something, and send it again.",
        ),
    ],
)
def test_a_refused_submit(studio: Studio, answer: dict[str, Any], what: str, means: str, todo: str) -> None:
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    page.route("**/api/jobs", lambda route: route.fulfill(**answer))
    submit(page, "a paper boat")
    for part in (what, means, todo):
        expect(page.locator("#banner")).to_contain_text(part)
    refuse_barriers(page)


@pytest.mark.parametrize("answer", [429, 503, None])
def test_a_submit_that_nobody_answers_for_half_a_minute(studio: Studio, answer: int | None) -> None:
    page = studio.visit()
    page.clock.install()
    page.reload()
    expect(page.get_by_label("Size")).to_be_visible()
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort() if answer is None else route.fulfill(status=answer)

    page.route("**/api/jobs", refuse)
    submit(page, "a paper boat")
    banner = page.locator("#banner")
    for tries in range(1, 7):
        while len(asked) < tries:
            page.wait_for_timeout(20)
        page.clock.fast_forward(16_000)
    what = {
        429: "Too many requests at once.",
        503: "The app has a problem (503).",
        None: "can’t be reached right now.",
    }
    for part in (what[answer], PERHAPS_SENT, "Try again in a moment."):
        expect(banner).to_contain_text(part)
    assert banner.inner_text().count("Try again") == 1


def test_what_the_form_has_no_field_for_is_told_above_it(studio: Studio) -> None:
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()

    def another_model(route: Route) -> None:
        body = {**json.loads(route.request.post_data or "{}"), "model": "nobodys"}
        route.continue_(post_data=json.dumps(body))

    page.route("**/api/jobs", another_model)
    submit(page, "a paper boat")
    banner = page.locator("#banner")
    expect(banner).to_contain_text(re.compile("^Model: |^model: "))
    expect(banner).to_contain_text("Nothing was sent, and nothing is billed. Change what is named")
    shot_in_every_look(page, "refused-submit", banner)
    assert studio.jobs() == []


def test_an_empty_prompt_and_an_image_that_is_too_large(studio: Studio, tmp_path: Path) -> None:
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#prompt-error")).to_contain_text("Say what the video should show.")
    expect(prompt_of(page)).to_be_focused()
    expect(page.locator("#banner")).to_contain_text("Nothing was sent")
    refuse_barriers(page)
    shot_in_every_look(page, "empty-prompt", page.locator("#prompt-error"))
    large = tmp_path / "large.png"
    large.write_bytes(bytes(21 * 2**20))
    page.locator("#image-input").set_input_files(large)
    told = page.locator("#input_image-error")
    expect(told).to_contain_text("22 MB; at most 20 MB are taken. Nothing was sent. Save it smaller")


@pytest.mark.parametrize(("deed", "status"), [("Cancel", Status.QUEUED), ("Retry", Status.FAILED)])
def test_a_job_that_was_deleted_elsewhere(studio: Studio, deed: str, status: Status) -> None:
    live: dict[str, Any] = {} if status is Status.FAILED else {"finished_at": None, "error": None}
    [job] = studio.store(status=status, **live)
    page = studio.visit()
    gone = card(page, job.request.prompt)
    page.route(
        re.compile(r"/api/jobs/job_[a-z0-9]+(\?|$)"), lambda route: route.abort()
    )  # no poll comes first
    page.reload()
    expect(gone).to_be_visible()
    jobs = wiring.get_services().jobs
    jobs.delete(jobs.get(job.owner, job.id))
    gone.get_by_role("button", name=deed).click()
    told = page.locator("#toasts")
    for part in (f"There is no job {job.id}.", "Nothing was changed.", "It was deleted, so its card goes."):
        expect(told).to_contain_text(part)
    expect(gone).to_have_count(0)


@pytest.mark.parametrize(
    ("code", "means", "todo"),
    [
        ("expired", "it did not arrive here.", "pays for a new one only if it is gone."),
        ("submission_unconfirmed", "It may have been billed once", "pays only if there is none."),
        ("model_retired", "Nothing was made, and nothing is billed.", "choose another backend."),
        ("something_new", "Nothing was made, and nothing is billed.", "Retry, or edit it"),
    ],
)
def test_a_job_that_ended_without_a_video(studio: Studio, code: str, means: str, todo: str) -> None:
    studio.store(error=JobError(code, "It is over."))
    page = studio.visit()
    for part in ("It is over.", means, todo):
        expect(page.get_by_role("article").locator(".note")).to_contain_text(part)
    refuse_barriers(page)
    shot_in_every_look(page, f"ended-{code}", page.get_by_role("article"))


def test_a_list_that_can_not_be_read(studio: Studio) -> None:
    page = studio.visit("about:blank")
    page.route("**/api/jobs?*", lambda route: route.fulfill(status=503))
    page.goto(studio.url)
    told = page.locator("#list-error")
    for part in ("The app has a problem (503).", "Your videos are safe", "Try again in a moment."):
        expect(told).to_contain_text(part)
    refuse_barriers(page)
    shot_in_every_look(page, "list-error", told)


def test_a_gateway_that_answers_for_the_app_is_told_as_no_connection(studio: Studio) -> None:
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    page.route(re.compile("/api/(jobs|options)"), lambda route: route.fulfill(status=502))
    look_again(page)
    expect(page.locator("#offline")).to_be_visible()
    page.unroute_all()
    look_again(page)
    expect(page.locator("#offline")).to_be_hidden()


def test_a_prompt_that_is_too_long_is_refused_and_not_cut(studio: Studio) -> None:
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    prompt_of(page).focus()
    page.keyboard.insert_text("x" * 32_001)
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#prompt-error")).to_contain_text("32000")


def test_an_operators_read_that_fails_says_that_the_jobs_go_on(studio: Studio) -> None:
    page = studio.visit("about:blank")
    unavailable = problem(503, "storage_unavailable", "Azure Storage could not be reached.")
    page.route("**/api/operations/queues", lambda route: route.fulfill(**unavailable))
    page.goto(f"{studio.url}/operations")
    expect(page.locator("#verdict")).to_have_text(
        "Not everything could be read. What is shown below may be old."
    )
    told = page.locator("#trouble")
    for part in ("could not be reached.", "The jobs go on by themselves", "Try again in a minute."):
        expect(told).to_contain_text(part)
    refuse_barriers(page)
    shot_in_every_look(page, "operations-error", told)


def test_a_video_that_does_not_play(studio: Studio) -> None:
    page = studio.visit()
    page.get_by_label("Seconds").fill("1")
    submit(page, "a paper boat")
    made = card(page, "a paper boat")
    expect(made.locator(".badge", has_text="Ready")).to_be_visible()
    # Not a glob: its star ends at a slash, and a signature may have one.
    page.route(re.compile(r"/0\.mp4\?"), lambda route: route.fulfill(status=404))
    made.get_by_role("button", name="Play the video").click()
    for part in (
        "The video can’t be played right now.",
        "as they were",
        "Try again in a moment, or download it.",
    ):
        expect(page.locator("#toasts")).to_contain_text(part)
    made.get_by_role("button", name="View large").click()
    told = page.get_by_role("dialog").get_by_role("alert")  # a toast would be behind the window
    expect(told).to_contain_text("The video can’t be played right now.")
    expect(told).to_contain_text("Try again in a moment, or download it.")
    refuse_barriers(page)
    shot_in_every_look(page, "video-error")
