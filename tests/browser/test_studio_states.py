"""What the page says of a job that waits, and of what stands in its way."""

from __future__ import annotations

import re
from datetime import timedelta

from playwright.sync_api import Route, expect

from tests.browser.steps import a_picture, card, prompt_of, submit
from tests.browser.studio import ENLARGED, LAPTOP, PHONE, Studio, refuse_barriers, shot_in_every_look
from video_jobs import wiring
from video_jobs.domain.chain import Chain
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Job, JobError, Output, Status
from video_jobs.ports import LiveJob
from video_jobs.views.job_view import time_text

REFUSED_KEY = "The video API does not take the key."


def waiting_jobs(studio: Studio, count: int) -> list[Job]:
    """In line, the first of the list the last to come."""
    jobs = studio.store(count, status=Status.WAITING, finished_at=None, error=None)
    for job in jobs:
        wiring.get_services().live_jobs.add(LiveJob.of(job, waiting=True))
    return jobs


def test_a_backend_that_lets_nobody_in_looks_like_that_and_not_like_a_queue(studio: Studio) -> None:
    studio.close_gate(ClosureReason.MISCONFIGURED, REFUSED_KEY)
    [job] = waiting_jobs(studio, 1)
    page = studio.visit()
    held = card(page, job.request.prompt)
    expect(held.locator(".stage")).to_contain_text("On hold")
    expect(held).to_contain_text(REFUSED_KEY)
    expect(held.locator(".note.warn")).to_contain_text("nothing is billed yet")
    expect(page.locator("#hold")).to_contain_text(f"On hold. {REFUSED_KEY}")
    expect(page.locator("#estimate-words")).to_have_text("")
    refuse_barriers(page)
    shot_in_every_look(page, "on-hold", held)
    wiring.get_services().live_jobs.remove(LiveJob.of(job))


def test_generate_is_in_sight_however_small_the_window_is(studio: Studio) -> None:
    studio.close_gate(ClosureReason.MISCONFIGURED, REFUSED_KEY)
    page = studio.visit()
    expect(page.get_by_label("Backend", exact=True)).to_be_attached()
    expect(page.locator("#hold")).to_be_visible()
    for size in (LAPTOP, PHONE, ENLARGED):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        button = page.get_by_role("button", name="Generate").bounding_box()
        assert button is not None
        assert button["y"] + button["height"] <= size["height"], size


def test_the_unfolded_form_and_the_question_before_notifications_have_no_barriers(studio: Studio) -> None:
    for scheme in ("light", "dark"):
        page = studio.visit(color_scheme=scheme)
        expect(page.get_by_label("Backend", exact=True)).to_be_attached()
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        page.get_by_role("button", name="Size, length and more").click()
        expect(page.get_by_label("Seconds")).to_be_visible()
        page.locator("#alerts").evaluate("question => { question.hidden = false; }")
        expect(page.locator("#alerts-yes")).to_be_visible()
        refuse_barriers(page)
    shot_in_every_look(page, "notification-question", page.locator("#alerts"))


def test_each_job_in_line_says_how_many_are_ahead_without_being_polled(studio: Studio) -> None:
    third, second, first = waiting_jobs(studio, 3)
    page = studio.visit()
    page.route(re.compile(r"/api/jobs/job_"), lambda route: route.abort())
    page.reload()
    for job, words in ((first, "Next in line"), (second, "1 ahead of you"), (third, "2 ahead of you")):
        expect(card(page, job.request.prompt).last).to_contain_text(words)
    shot_in_every_look(page, "in-line", card(page, third.request.prompt))
    for job in (first, second, third):
        wiring.get_services().live_jobs.remove(LiveJob.of(job))


def test_who_holds_the_slots_is_said_and_until_when(studio: Studio) -> None:
    holder = {
        "job_id": "job_x",
        "status": "submitting",
        "unconfirmed": True,
        "since": time_text(wiring.utc_now()),
        "free_at": time_text(wiring.utc_now() + timedelta(minutes=5)),
    }
    full = {"state": "busy", "reason": "All 2 slots at the video API are taken.", "holders": [holder]}

    def tell(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["backends"][0]["now"].update(full)
        route.fulfill(response=answer, json=body)

    page = studio.visit()
    page.route("**/api/options", tell)
    page.reload()
    expect(page.locator("#hold")).to_contain_text("All 2 slots at the video API are taken.")
    expect(page.locator("#hold")).to_contain_text(re.compile(r"its request got no answer, free at \d"))
    shot_in_every_look(page, "slots-taken", page.locator("#hold"))


def test_a_delayed_download_says_when_it_is_tried_and_how_long_it_is_kept(studio: Studio) -> None:
    now = wiring.utc_now()
    studio.store(
        status=Status.PENDING_DOWNLOAD,
        finished_at=None,
        error=None,
        reason="It answers 403.",
        expires_at=now + timedelta(hours=24),
        outputs=(Output(0, "gen_x", Chain(due_at=now + timedelta(minutes=5))),),
    )
    page = studio.visit()
    late = page.get_by_role("article")
    expect(late.locator(".note.warn")).to_contain_text(re.compile(r"Next try \d"))
    expect(late.locator(".note.warn")).to_contain_text(
        re.compile(r"kept there until tomorrow .* Nothing is lost\.")
    )
    expect(late.locator(".stage")).to_contain_text("deleted there in 24 hours")
    refuse_barriers(page)
    shot_in_every_look(page, "delayed", late)
    late.get_by_role("button", name="Download now").click()
    expect(page.get_by_text("The download is tried now.")).to_be_visible()


def test_refused_content_is_edited_and_not_sent_again_as_it_is(studio: Studio) -> None:
    studio.store(
        error=JobError("moderation_blocked", "The video API refused the content."),
        backend_job_id=None,
    )
    page = studio.visit()
    refused = page.get_by_role("article")
    expect(refused).to_contain_text("Nothing was made, and nothing is billed.")
    expect(refused.locator(".deeds-main")).to_have_text("Edit and resend")
    assert refused.inner_text().count("refused the content") == 1
    shot_in_every_look(page, "refused-content", refused)
    refused.get_by_role("button", name="Edit and resend").click()
    expect(prompt_of(page)).to_have_value("Scene 0")
    expect(prompt_of(page)).to_be_focused()


def test_what_failed_is_cleared_all_at_once(studio: Studio) -> None:
    studio.store(3)
    page = studio.visit(f"{studio.url}?show=ended")
    page.get_by_role("button", name="Clear these").click()
    expect(page.get_by_text("Delete 3 jobs without a video?")).to_be_visible()
    refuse_barriers(page)
    shot_in_every_look(page, "clear-question", page.get_by_text("Delete 3 jobs"))
    page.get_by_role("button", name="Delete them").click()
    expect(page.get_by_role("article")).to_have_count(0)
    assert studio.jobs() == []


# --- sending ------------------------------------------------------------------------------------


def test_generate_after_a_reload_waits_for_the_sizes_and_sends_the_same_request(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    page.get_by_role("radio", name="Landscape").check()
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
        route.abort()

    page.route("**/api/jobs", lose)
    submit(page, "a paper boat")
    expect(page.get_by_text("No connection, trying again").first).to_be_visible()
    page.unroute("**/api/jobs")
    held: list[Route] = []
    page.route("**/api/options", lambda route: held.append(route))
    page.on(
        "request",
        lambda sent: keys.append(sent.headers["idempotency-key"]) if sent.method == "POST" else None,
    )
    page.reload()
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#send-words")).to_have_text("Loading…")
    for route in held:
        route.continue_()
    page.unroute("**/api/options")
    expect(page.get_by_role("button", name="Generate another")).to_be_visible()
    assert len(keys) >= 2
    assert len(set(keys)) == 1
    assert [job["size"] for job in studio.jobs()] == ["854x480"]


def test_a_request_without_an_answer_is_paid_for_once_although_another_was_sent_meanwhile(
    studio: Studio,
) -> None:
    studio.pause()
    page = studio.visit()
    page.route("**/api/jobs", lambda route: (route.fetch(), route.abort()))
    submit(page, "a paper boat")
    expect(page.get_by_text("No connection, trying again").first).to_be_visible()
    page.unroute("**/api/jobs")
    page.reload()
    submit(page, "a kite")
    expect(page.get_by_role("button", name="Generate another")).to_be_visible()
    # A click within a second of the last submit is the same click.
    page.wait_for_function(
        "(since) => performance.now() > since + 1000", arg=page.evaluate("performance.now()")
    )
    submit(page, "a paper boat")
    expect(page.get_by_role("button", name="Generate another")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)
    assert sorted(job["prompt"] for job in studio.jobs()) == ["a kite", "a paper boat"]


def test_an_image_that_a_reload_took_away_is_asked_for_before_another_request_is_sent(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    picture = {"name": "boat.png", "mimeType": "image/png", "buffer": a_picture()}
    page.locator("#image-input").set_input_files([picture])  # type: ignore[list-item]
    page.route(
        "**/api/jobs", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    submit(page, "it comes to life")
    expect(page.get_by_text("No connection, trying again").first).to_be_visible()
    page.unroute("**/api/jobs")
    page.reload()
    expect(page.locator("#input_image-error")).to_contain_text("boat.png. Add it again")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#input_image-error")).to_contain_text("once more to go on without it")
    assert studio.jobs() == []


def test_editing_a_job_brings_its_image_back(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    picture = {"name": "boat.png", "mimeType": "image/png", "buffer": a_picture()}
    page.locator("#image-input").set_input_files([picture])  # type: ignore[list-item]
    submit(page, "it comes to life")
    made = card(page, "it comes to life")
    expect(made).to_be_visible()
    page.reload()
    made.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("group", name="First image")).to_contain_text("48 × 32")
    shot_in_every_look(page, "editing")


def test_two_clicks_on_generate_are_one_job_and_a_later_one_is_another(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    expect(page.get_by_label("Size")).to_be_visible()
    prompt_of(page).fill("a paper boat")
    page.get_by_role("button", name="Generate").dblclick()
    expect(page.get_by_role("article")).to_have_count(1)
    page.wait_for_timeout(1100)  # after that, a click is another one
    page.get_by_role("button", name="Generate another").click()
    expect(page.get_by_role("article")).to_have_count(2)
