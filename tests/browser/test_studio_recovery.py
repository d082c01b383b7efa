"""The page finds its way back: after lost and late answers, hosts that restart, and clicks that come twice."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.steps import HIDE, a_picture, card, look_again, submit
from tests.browser.studio import KEYS, Studio
from video_jobs import wiring
from video_jobs.domain.chain import Chain
from video_jobs.domain.job import Output, Status, StoredVideo

LIST = re.compile(r"/api/jobs\?")
ONE_JOB = re.compile(r"/api/jobs/job_\w+(\?|$)")
LIVE: dict[str, Any] = {"finished_at": None, "error": None}
PICTURE: Any = {"name": "boat.png", "mimeType": "image/png", "buffer": a_picture()}


def frozen(page: Page) -> None:
    """The page's timers go only when the test says so."""
    page.clock.install()
    page.reload()


def end(job: Any, **changes: Any) -> None:
    jobs = wiring.get_services().jobs
    stored = jobs.get(job.owner, job.id)
    jobs.save(stored, stored.job.evolve(wiring.utc_now(), finished_at=wiring.utc_now(), **changes))


def short_pages(page: Page) -> None:
    """The app answers with two jobs at a time."""
    page.route(LIST, lambda route: route.fallback(url=route.request.url.replace("limit=24", "limit=2")))


def a_page_that_knows_only_the_oldest(studio: Studio, newer: int) -> Page:
    """The newer jobs come before it reads the list again."""
    come = studio.store(newer + 1)[:-1]
    for job in come:
        studio.remove(job)
    page = studio.visit("about:blank")
    short_pages(page)
    page.goto(studio.url)
    expect(page.get_by_role("article")).to_have_count(1)
    for job in come:
        wiring.get_services().jobs.insert(job, None)
    return page


def load_all(page: Page, count: int) -> None:
    shown = page.locator("#list-count")
    while shown.inner_text().endswith("+"):
        page.locator("#list-more").dispatch_event("click")
    expect(shown).to_have_text(str(count))


# --- answers that are not the app's ---


def test_a_host_that_starts_and_knows_no_path_yet_takes_no_card_away(studio: Studio) -> None:
    studio.store(status=Status.RUNNING, **LIVE)
    page = studio.visit()
    frozen(page)
    expect(page.get_by_role("article")).to_contain_text("Generating")
    page.route(ONE_JOB, lambda route: route.fulfill(status=404))
    with page.expect_response(ONE_JOB):
        page.clock.fast_forward(30_000)
    page.clock.fast_forward(1000)
    expect(page.get_by_role("article")).to_have_count(1)


def test_a_host_that_starts_does_not_change_what_was_chosen(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    page.get_by_label("Backend", exact=True).select_option("anything")
    page.route("**/api/options", lambda route: route.fulfill(status=404))
    with page.expect_response("**/api/options"):
        submit(page, "a paper boat")
    page.unroute("**/api/options")
    with page.expect_response("**/api/options"):
        look_again(page)
    expect(page.get_by_label("Backend", exact=True)).to_have_value("anything")
    expect(page.get_by_label("Backend", exact=True)).to_be_visible()


# --- the list ---


def test_a_new_job_that_the_chosen_filter_leaves_out_stays(studio: Studio) -> None:
    studio.store()
    studio.pause()
    page = studio.visit()
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_label("Only of this backend").select_option("anything")
    expect(page.get_by_role("article")).to_have_count(0)
    submit(page, "a paper boat")
    made = card(page, "a paper boat")
    expect(made).to_be_visible()
    with page.expect_response(re.compile("urls=false")):
        look_again(page)
    page.get_by_label("Only of this backend").select_option("")
    expect(made).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)


def test_a_page_of_the_list_that_got_lost_is_read_the_next_time(studio: Studio) -> None:
    page = a_page_that_knows_only_the_oldest(studio, 4)
    lost: list[str] = []

    def lose(route: Route) -> None:
        if "cursor" in route.request.url and not lost:
            lost.append(route.request.url)
            route.abort()
        else:
            route.fallback()

    page.route(LIST, lose)
    with page.expect_event("requestfailed"):
        look_again(page)
    look_again(page)
    expect(page.locator("#list-count")).to_have_text("5")


def test_many_jobs_that_came_while_nobody_looked_leave_no_gap(studio: Studio) -> None:
    page = a_page_that_knows_only_the_oldest(studio, 12)
    look_again(page)
    expect(page.locator("#list-count")).to_have_text(re.compile(r"^\d+\+$"))
    load_all(page, 13)


def test_a_filter_that_leaves_out_thousands_of_jobs_starts_no_list_again_and_again(studio: Studio) -> None:
    """Then the app answers with empty pages that are not the last."""
    studio.store()
    page = studio.visit()
    expect(page.get_by_role("article")).to_have_count(1)
    asked: list[str] = []

    def pass_over(route: Route) -> None:
        asked.append(route.request.url)
        if "if-none-match" in route.request.headers:
            route.fulfill(status=304)
        else:
            route.fulfill(json={"jobs": [], "next_cursor": "further"}, headers={"etag": '"empty"'})

    page.route(LIST, pass_over)
    with page.expect_response(lambda answer: len(asked) == 5):
        look_again(page)
    with page.expect_response(lambda answer: answer.status == 304):
        look_again(page)
    expect(page.get_by_role("article")).to_have_count(1)


def test_a_hidden_tab_that_shows_only_what_is_in_progress_is_told_of_an_end(studio: Studio) -> None:
    [job] = studio.store(status=Status.RUNNING, progress=40, **LIVE)
    page = studio.visit(f"{studio.url}?show=working")
    frozen(page)
    expect(page).to_have_title(re.compile(r"^40% · "))
    page.evaluate(HIDE, True)
    end(job, status=Status.SUCCEEDED)
    page.clock.fast_forward(46_000)
    expect(page).to_have_title(re.compile(r"^✓ 1 ready · "))


def test_a_cursor_that_a_deployment_made_invalid_ends_no_list(studio: Studio) -> None:
    studio.store(5)
    page = studio.visit("about:blank")
    refused: list[str] = []

    def refuse(route: Route) -> None:
        if "cursor=" in route.request.url and not refused:
            refused.append(route.request.url)
            body = {"title": "No", "code": "invalid_cursor", "detail": "It is from another version."}
            route.fulfill(status=400, json=body, content_type="application/problem+json")
        else:
            route.fallback()

    short_pages(page)
    page.route(LIST, refuse)
    page.goto(studio.url)
    expect(page.get_by_role("article").first).to_be_visible()
    load_all(page, 5)
    assert refused


def test_the_own_job_is_shown_though_the_list_told_of_it_first(studio: Studio) -> None:
    studio.store(12)
    studio.pause()
    page = studio.visit()
    expect(page.get_by_role("article")).to_have_count(12)
    page.evaluate("scrollTo(0, 900)")
    held: list[Route] = []

    def hold(route: Route) -> None:
        answer = route.fetch()
        look_again(page)
        held.append(route)
        expect(page.get_by_role("button", name="1 new")).to_be_visible()
        route.fulfill(response=answer)

    page.route("**/api/jobs", hold)
    submit(page, "a paper boat")
    expect(card(page, "a paper boat")).to_be_visible()
    expect(page.get_by_role("button", name="1 new")).to_be_hidden()


# --- the beginning ---


def test_a_page_that_began_without_a_connection_fills_itself_when_there_is_one(studio: Studio) -> None:
    studio.store()
    page = studio.visit("about:blank")
    page.clock.install()
    page.route(re.compile("/api/(jobs|options)"), lambda route: route.abort())
    page.goto(studio.url)
    expect(page.locator("#list-error")).to_be_visible()
    expect(page.locator("#banner")).to_be_visible()
    page.unroute_all()
    page.clock.fast_forward(31_000)
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_label("Size")).to_be_visible()
    expect(page.locator("#banner")).to_be_hidden()


@pytest.mark.parametrize("answer", [429, None])
def test_a_key_whose_check_got_lost_is_checked_again(studio: Studio, answer: int | None) -> None:
    page = studio.visit("about:blank")
    page.clock.install()
    page.goto(studio.url_with_keys)
    page.get_by_label("Function key").fill(KEYS.function)
    page.route(
        re.compile("/api/(jobs|options)"),
        lambda route: route.abort() if answer is None else route.fulfill(status=answer),
    )
    with page.expect_request(LIST):
        page.get_by_role("button", name="Continue").click()
    expect(page.locator("#list")).to_have_attribute("aria-busy", "false")
    page.unroute_all()
    page.clock.fast_forward(31_000)
    expect(page.get_by_label("Size")).to_be_visible()
    expect(page.locator("#empty")).to_be_visible()


def test_a_browser_that_keeps_nothing_for_a_page_can_use_it(studio: Studio) -> None:
    studio.pause()
    page = studio.visit("about:blank")
    page.add_init_script(
        """for (const name of ["sessionStorage", "localStorage"])
            Object.defineProperty(window, name, {get() { throw new DOMException("Denied", "SecurityError"); }});"""
    )
    page.goto(studio.url)
    keys: list[str] = []

    def lose_once(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        route.abort() if len(keys) == 1 else route.continue_()

    page.route("**/api/jobs", lose_once)
    submit(page, "a paper boat")
    expect(card(page, "a paper boat")).to_be_visible()
    assert len(set(keys)) == 1


# --- time ---


def test_a_backend_that_the_operator_resumed_is_not_shown_as_paused(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    frozen(page)
    expect(page.locator("#hold")).to_contain_text("Paused.")
    studio.pause("resume")
    page.clock.fast_forward(31_000)
    page.clock.fast_forward(1000)
    expect(page.locator("#hold")).to_be_hidden()


def a_page_with_a_video(studio: Studio) -> Page:
    """It is there as a row only."""
    stored = Output(0, "gen_x", Chain(), stored=StoredVideo(5, "ab"))
    studio.store(status=Status.SUCCEEDED, error=None, outputs=(stored,))
    page = studio.visit("about:blank")
    page.clock.install()
    with page.expect_response(ONE_JOB):  # since there is nothing to show
        page.goto(studio.url)
    return page


def sleep(page: Page) -> None:
    """Hours pass, in which no timer of the page goes."""
    later = wiring.utc_now() + timedelta(hours=8)
    date = later.strftime("%a, %d %b %Y %H:%M:%S GMT")

    def by_then(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "date": date})

    page.route("**/api/jobs**", by_then)
    page.clock.set_system_time(later)


def test_after_hours_asleep_the_urls_are_renewed_soon(studio: Studio) -> None:
    page = a_page_with_a_video(studio)
    sleep(page)
    with page.expect_response(ONE_JOB):
        with page.expect_response(LIST):
            page.clock.fast_forward(31_000)
        page.clock.run_for(2000)


def test_a_download_whose_url_ended_does_not_leave_the_page(studio: Studio) -> None:
    page = a_page_with_a_video(studio)
    sleep(page)
    file = {"content-disposition": "attachment; filename=boat.mp4"}
    page.route(re.compile(r"/0\.mp4\?"), lambda route: route.fulfill(headers=file, body=b"boat"))
    with page.expect_download(), page.expect_response(ONE_JOB):
        page.get_by_role("link", name="Download").click()
