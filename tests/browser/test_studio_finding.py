"""Finding jobs, taking videos up from elsewhere, and taking them along."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import Download, Route, expect

from tests.browser.steps import card, submit
from tests.browser.studio import Studio, refuse_barriers, shot_in_every_look
from video_jobs import wiring
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import BackendRef, VideoRequest


def test_words_are_looked_for_among_those_that_are_loaded_and_nothing_is_asked_for(studio: Studio) -> None:
    for prompt in ("A paper boat in the rain", "A fox in the snow"):
        studio.store(request=VideoRequest(prompt, 480, 480, 1))
    page = studio.visit()
    expect(page.get_by_role("article")).to_have_count(2)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Search the prompts").fill("SNOW fox")
    expect(page.locator("#search-note")).to_have_text("1 of the 2 that are loaded.")
    expect(card(page, "A paper boat in the rain")).to_be_hidden()
    expect(card(page, "A fox in the snow")).to_be_visible()
    assert [url for url in asked if "/api/jobs?" in url and "urls=false" not in url] == []
    refuse_barriers(page)
    shot_in_every_look(page, "search", page.locator("#search-note"))
    page.get_by_label("Search the prompts").fill("")
    expect(card(page, "A paper boat in the rain")).to_be_visible()


def test_a_backend_and_a_day_are_asked_for_at_the_app_and_stand_in_the_address(studio: Studio) -> None:
    yesterday = wiring.utc_now() - timedelta(days=1)
    [old] = studio.store(request=VideoRequest("Yesterday’s", 480, 480, 1))
    services = wiring.get_services()
    stored = services.jobs.get(studio.owner, old.id)
    services.jobs.delete(stored)
    services.jobs.insert(replace(old, id=new_job_id(yesterday), created_at=yesterday), None)
    studio.store(request=VideoRequest("Today’s", 480, 480, 1))
    elsewhere = BackendRef("anything", "openai-videos", "http://127.0.0.1:1/gone", "wan-2.2")
    studio.store(request=VideoRequest("The other’s", 480, 480, 1), backend=elsewhere)
    page = studio.visit()
    expect(page.get_by_role("article")).to_have_count(3)
    page.get_by_label("Only of this backend").select_option("anything")
    expect(page.get_by_role("article")).to_have_count(1)
    expect(card(page, "The other’s")).to_be_visible()
    assert "backend=anything" in page.url
    page.get_by_label("Only of this backend").select_option("")
    page.get_by_label("Day (UTC)").fill(yesterday.strftime("%Y-%m-%d"))
    expect(page.get_by_role("article")).to_have_count(1)
    expect(card(page, "Yesterday’s")).to_be_visible()
    page.reload()
    expect(card(page, "Yesterday’s")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(1)


def test_an_id_that_is_pasted_is_imported_and_a_wrong_one_is_told_in_words(studio: Studio) -> None:
    page = studio.visit()
    page.get_by_label("Seconds").fill("1")
    submit(page, "a paper boat")
    expect(card(page, "a paper boat").locator(".badge", has_text="Ready")).to_be_visible()
    task = studio.jobs()[0]["backend_job_id"]
    page.get_by_role("button", name="Import").click()
    dialog = page.get_by_role("dialog")
    refuse_barriers(page)
    shot_in_every_look(page, "import")
    box = dialog.get_by_label("Its id or address at the video service")
    box.fill("what is that?")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was sent.")
    box.fill("task_nobody")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("Check the id, and which backend it belongs to.")
    sent: list[str] = []
    page.on(
        "request", lambda request: sent.append(request.post_data or "") if request.method == "POST" else None
    )
    box.fill(f'{{"id": "{task}"}}')
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert json.loads(sent[0])["backend_job_id"] == task
    expect(page.get_by_role("article")).to_have_count(1)


PASTED = {
    "gen_01h": {"generation_id": "gen_01h"},
    "https://x.invalid/openai/v1/video/generations/jobs/task_9-a?v=1": {"backend_job_id": "task_9-a"},
    "https://queue.fal.run/fal-ai/veo3.1/requests/764c-ab/status": {
        "backend_job_id": "764c-ab",
        "model": "fal-ai/veo3.1",
    },
    '{"request_id": "764c-ab", "response_url": "https://queue.fal.run/fal-ai/veo3.1/requests/764c-ab"}': {
        "backend_job_id": "764c-ab",
        "model": "fal-ai/veo3.1",
    },
    "https://api.replicate.com/v1/predictions/gm3qor": {"backend_job_id": "gm3qor"},
    '{"id": "cgt-2026", "status": "running"}': {"backend_job_id": "cgt-2026"},
    "  17f20503-6c24 ": {"backend_job_id": "17f20503-6c24"},
}


def test_what_is_pasted_from_a_video_api_names_its_job(studio: Studio) -> None:
    page = studio.visit()
    sent: list[str] = []

    def refuse(route: Route) -> None:
        sent.append(route.request.post_data or "")
        route.fulfill(status=404, json={"code": "backend_job_not_found", "detail": "There is none."})

    page.route("**/api/jobs/import", refuse)
    page.get_by_role("button", name="Import").click()
    box = page.get_by_label("Its id or address at the video service")
    for number, (text, named) in enumerate(PASTED.items(), 1):
        box.fill(text)
        with page.expect_response("**/api/jobs/import"):
            page.keyboard.press("Enter")
        expect(page.locator("#import-send")).to_be_enabled()
        assert len(sent) == number
        body = json.loads(sent[-1])
        body.pop("backend", None)
        assert body == named


def test_all_videos_of_a_job_are_saved_under_its_words(studio: Studio) -> None:
    page = studio.visit()
    page.get_by_label("Seconds").fill("1")
    page.get_by_role("radio", name="2").check()
    submit(page, "a paper boat")
    made = card(page, "a paper boat")
    expect(made.get_by_role("button", name="All", exact=True)).to_be_visible()
    expect(made.get_by_role("link", name=re.compile("Download video"))).to_have_count(2)
    shot_in_every_look(page, "ready", made)
    made.get_by_text("Details").click()
    shot_in_every_look(page, "details", made.get_by_role("list", name="History"))
    saved: list[Download] = []
    page.on("download", lambda download: saved.append(download))
    made.get_by_role("button", name="All", exact=True).click()
    page.wait_for_event("download", lambda _: len(saved) == 2)
    names = sorted(each.suggested_filename for each in saved)
    assert [re.sub("-.{6}-", "-…-", name) for name in names] == [
        "a-paper-boat-…-1.mp4",
        "a-paper-boat-…-2.mp4",
    ]


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("curl", '-H "x-functions-key: $REELKEEP_KEY"'),
        ("python", 'requests.post(API + "jobs", headers=KEY, json={'),
        ("typescript", 'fetch(API + "jobs", { method: "POST"'),
        ("openai", "client.videos.create_and_poll("),
    ],
)
def test_a_job_is_shown_as_code_that_can_be_read(studio: Studio, language: str, says: str) -> None:
    studio.store(request=VideoRequest('a "quoted" boat\n`${x}`', 480, 480, 1))
    page = studio.visit()
    page.get_by_role("button", name="Code").click()
    page.get_by_label("Language").select_option(language)
    code = page.get_by_label("Code", exact=True).inner_text()
    assert says in code
    if language in ("python", "openai"):
        compile(code, language, "exec")
    refuse_barriers(page)
    shot_in_every_look(page, f"code-{language}")
