"""Watching: the viewer, one video at a time, the tab that was left, and what the page costs meanwhile."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from playwright.sync_api import Page, Route, expect

from tests.browser.steps import HIDE, layout_shifts, submit
from tests.browser.studio import DESKTOP, ENLARGED, LAPTOP, PHONE, Studio, refuse_barriers, shot_in_every_look
from video_jobs import wiring
from video_jobs.domain.job import Status

SLOW_PHONE = {
    "offline": False,
    "latency": 300,
    "downloadThroughput": 50_000,
    "uploadThroughput": 30_000,
}


def two_videos(page: Page, prompt: str = "a paper boat") -> None:
    page.get_by_label("Seconds").fill("1")
    page.get_by_role("radio", name="2").check()
    submit(page, prompt)
    expect(page.get_by_role("article", name=prompt).locator(".badge", has_text="Ready")).to_be_visible()


def test_the_viewer_goes_through_videos_by_arrow_keys_and_compares_them(studio: Studio) -> None:
    page = studio.visit()
    two_videos(page)
    page.get_by_role("button", name="View large").click()
    viewer = page.get_by_role("dialog")
    expect(viewer).to_contain_text("video 1 of 2")
    page.keyboard.press("ArrowRight")
    expect(viewer).to_contain_text("video 2 of 2")
    expect(viewer.locator("video")).to_have_attribute("src", re.compile(r"/1\.mp4\?"))
    refuse_barriers(page)
    shot_in_every_look(page, "viewer")
    page.keyboard.press("c")
    expect(viewer.locator("video")).to_have_count(2)
    refuse_barriers(page)
    shot_in_every_look(page, "compare")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.compare video')].every(v => v.currentTime > 0 && v.muted)"
    )
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(page.locator("#viewer-stage video")).to_have_count(0)


def test_a_video_whose_url_comes_later_joins_the_viewer_that_is_open(studio: Studio) -> None:
    page = studio.visit()
    two_videos(page)

    def only_the_first(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for job in body.get("jobs", [body]):
            job["videos"][1].update(url=None, download_url=None, thumbnail_url=None)
        route.fulfill(json=body)  # without its tag: the whole job is another answer

    page.route(re.compile(r"/api/jobs"), only_the_first)
    page.reload()
    page.get_by_role("button", name="View large").click()
    viewer = page.get_by_role("dialog")
    expect(viewer.get_by_role("button", name="Compare")).to_be_hidden()
    page.unroute_all(behavior="wait")
    expect(viewer).to_contain_text("video 1 of 2")
    expect(viewer.get_by_role("button", name="Compare")).to_be_visible()


def test_a_tall_video_and_all_that_steers_it_are_inside_the_window(studio: Studio) -> None:
    page = studio.visit()
    page.get_by_role("radio", name="Portrait").check()
    two_videos(page)
    page.get_by_role("button", name="View large").click()
    for size in (DESKTOP, LAPTOP, PHONE, ENLARGED):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for name in ("one", "compared"):
            outside = page.evaluate(
                """() => [...document.querySelectorAll("#viewer :is(video, button)")].map((each) => each.getBoundingClientRect())
                    .filter((box) => box.right > innerWidth || box.bottom > innerHeight || box.left < 0 || box.top < 0)"""
            )
            assert outside == [], (size, name)
            page.keyboard.press("c")


def test_one_video_plays_at_a_time_and_the_stage_has_its_shape(studio: Studio) -> None:
    page = studio.visit()
    two_videos(page)
    page.get_by_role("button", name="Play video 1 of 2").click()
    page.wait_for_function("() => document.querySelector('.stage video').currentTime > 0")
    page.get_by_role("button", name="View large").click()
    page.wait_for_function("() => document.querySelector('#viewer-stage video').currentTime > 0")
    assert page.evaluate("document.querySelector('.stage video').paused")
    page.keyboard.press("Escape")
    box = page.locator(".stage").bounding_box()
    assert box is not None
    assert abs(box["width"] / box["height"] - 1) < 0.05, "480x480 is a square"


def test_a_viewer_that_is_left_open_renews_its_url_each_time_that_it_ends(studio: Studio) -> None:
    page = studio.visit()
    page.get_by_label("Seconds").fill("1")
    submit(page, "a paper boat")
    page.get_by_role("button", name="View large").click()
    player = page.locator("#viewer-stage video")
    for _ in range(2):
        page.wait_for_function("() => document.querySelector('#viewer-stage video').currentTime > 0")
        player.evaluate("player => { player.src = player.src.replace('sig=', 'sig=ended'); }")
        expect(player).not_to_have_attribute("src", re.compile("sig=ended"))
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_count(0)


def test_a_tab_that_was_left_says_in_its_title_that_a_video_is_ready(studio: Studio) -> None:
    [job] = studio.store(status=Status.RUNNING, finished_at=None, error=None, progress=40)
    page = studio.visit()
    page.clock.install()
    page.reload()
    expect(page).to_have_title(re.compile(r"^40% · "))
    page.evaluate(HIDE, True)
    jobs = wiring.get_services().jobs
    stored = jobs.get(job.owner, job.id)
    jobs.save(
        stored,
        replace(
            stored.job, status=Status.SUCCEEDED, finished_at=wiring.utc_now(), updated_at=wiring.utc_now()
        ),
    )
    page.clock.fast_forward(46_000)
    expect(page).to_have_title(re.compile(r"^✓ 1 ready · "))
    page.evaluate(HIDE, False)
    page.clock.fast_forward(3000)
    expect(page).to_have_title("Reelkeep Studio")


def test_an_end_that_a_slow_clock_wrote_is_shown(studio: Studio) -> None:
    [job] = studio.store(status=Status.RUNNING, finished_at=None, error=None)
    jobs, now = wiring.get_services().jobs, wiring.utc_now()
    polled = jobs.save(jobs.get(job.owner, job.id), job.evolve(now + timedelta(seconds=5)))
    page = studio.visit()
    card = page.get_by_role("article")
    expect(card).to_contain_text("Generating")
    jobs.save(polled, polled.job.evolve(now, status=Status.CANCELLED, finished_at=now))
    expect(card).to_contain_text("Cancelled")


def test_a_job_that_comes_from_elsewhere_moves_nothing_that_somebody_reads(studio: Studio) -> None:
    studio.store(12)
    page = studio.visit()
    page.clock.install()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(12)
    page.evaluate("scrollTo(0, 900)")
    before = page.locator(".slot").nth(8).bounding_box()
    studio.store()
    page.clock.fast_forward(31_000)
    pill = page.get_by_role("button", name="1 new")
    expect(pill).to_be_visible()
    refuse_barriers(page)
    assert page.locator(".slot").nth(8).bounding_box() == before
    shot_in_every_look(page, "one-new")
    pill.click()
    expect(page.locator("#list > li")).to_have_count(13)
    expect(pill).to_be_hidden()


def test_the_page_hardly_moves_while_it_loads_on_a_slow_phone(studio: Studio) -> None:
    studio.store(6)
    page = studio.visit("about:blank", has_touch=True)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", SLOW_PHONE)
    network.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.goto(studio.url)
    expect(page.get_by_role("article").first).to_be_visible()
    expect(page.locator("#fold")).to_be_visible()
    shifts = layout_shifts(page)
    assert sum(shift[0] for shift in shifts) < 0.05, shifts


def test_the_first_paint_waits_for_no_script_and_few_bytes(studio: Studio) -> None:
    page = studio.visit("about:blank")
    page.route("**/studio.js", lambda route: None)  # never answered
    before_paint: list[int] = []
    page.on(
        "response",
        lambda answer: (
            before_paint.append(int(answer.headers.get("content-length", 0)))
            if answer.url.endswith((".css", "theme.js", "/studio"))
            else None
        ),
    )
    page.goto(studio.url, wait_until="commit")
    page.wait_for_function(
        "() => performance.getEntriesByType('paint').some(e => e.name === 'first-contentful-paint')"
    )
    assert len(before_paint) == 3
    assert sum(before_paint) < 20_000
    page.unroute("**/studio.js")


def test_an_idle_tab_costs_less_than_a_megabyte_an_hour(studio: Studio) -> None:
    studio.store(24)
    page = studio.visit()
    page.clock.install()
    page.reload()
    expect(page.get_by_role("article").first).to_be_visible()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    received: list[int] = []
    network.on("Network.loadingFinished", lambda done: received.append(done["encodedDataLength"]))
    for _ in range(10):  # five minutes
        with page.expect_response(re.compile(r"/api/jobs\?")):
            page.clock.fast_forward(30_500)
    assert sum(received) * 12 < 1_000_000
    assert len(received) <= 12


def test_what_is_chosen_shows_in_forced_colours(studio: Studio) -> None:
    page = studio.visit(forced_colors="active")
    expect(page.get_by_label("Size")).to_be_visible()
    backgrounds = page.evaluate(
        """() => [...document.querySelectorAll("#filters button")].map((b) => getComputedStyle(b).backgroundColor)"""
    )
    assert backgrounds[0] not in backgrounds[1:]


def test_the_chosen_filter_stands_in_the_address_and_is_gone_back_from(studio: Studio) -> None:
    studio.store()
    page = studio.visit()
    page.get_by_role("button", name="Ready").click()
    assert page.url.endswith("?show=ready")
    page.go_back()
    expect(page.get_by_role("button", name="All", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("article")).to_have_count(1)


def test_every_button_on_a_phone_can_be_hit_with_a_thumb(studio: Studio) -> None:
    studio.store(2)
    page = studio.visit(has_touch=True, is_mobile=True)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    expect(page.get_by_role("article").first).to_be_visible()
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, summary, a.button")]
            .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 43.5)
            .map((each) => each.outerHTML.slice(0, 120))"""
    )
    assert small == []
