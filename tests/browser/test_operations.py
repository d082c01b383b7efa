"""The operator's page: what it shows is the API's, and it wants the master key."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.steps import layout_shifts
from tests.browser.studio import KEYS, PHONE, Studio, refuse_barriers, shot_in_every_look
from video_jobs import wiring
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Status
from video_jobs.domain.webhook import Webhook, WebhookStatus
from video_jobs.ports import GivenUp, LiveJob


def test_it_asks_for_the_master_key_and_keeps_it_for_the_tab_only(studio: Studio) -> None:
    page = studio.visit(f"{studio.url_with_keys}/operations")
    field = page.get_by_label("Master key")
    expect(field).to_be_focused()
    refuse_barriers(page)
    shot_in_every_look(page, "operations-key")
    field.fill(KEYS.function or "")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("did not take this key")
    field.fill(KEYS.master or "")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="default")).to_be_visible()
    page.reload()
    expect(page.get_by_role("article", name="default")).to_be_visible()
    assert KEYS.master not in page.url + page.content() + str(page.evaluate("({...localStorage})"))
    other = page.context.new_page()
    other.goto(f"{studio.url_with_keys}/operations")
    expect(other.get_by_label("Master key")).to_be_visible()


def test_a_closed_gate_says_why_and_is_opened(studio: Studio) -> None:
    studio.close_gate(ClosureReason.MISCONFIGURED, "The video API does not take the key.")
    page = studio.visit(f"{studio.url}/operations")
    gate = page.get_by_role("article", name="default")
    expect(gate).to_contain_text("On hold")
    expect(gate).to_contain_text("does not take the key. The next job tries at")
    refuse_barriers(page)
    shot_in_every_look(page, "operations-on-hold", gate)
    gate.get_by_role("button", name="Resume").click()
    expect(gate).to_contain_text("Open")
    gate.get_by_role("button", name="Pause").click()
    expect(gate).to_contain_text("Paused just now. New jobs wait; nothing is lost.")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    refuse_barriers(page)


def test_what_waits_and_what_needs_attention_is_listed_and_mended(studio: Studio) -> None:
    live_jobs = wiring.get_services().live_jobs
    [waits] = studio.store(status=Status.WAITING, finished_at=None, error=None, reason="The line is long.")
    [alarmed] = studio.store(status=Status.RUNNING, finished_at=None, error=None, alarm="Its time runs out.")
    live_jobs.add(LiveJob.of(waits, waiting=True))
    live_jobs.add(LiveJob.of(alarmed))
    page = studio.visit(f"{studio.url}/operations")
    expect(page.get_by_role("region", name="Waiting for longest")).to_contain_text(waits.id)
    expect(page.get_by_role("region", name="Needs attention")).to_contain_text("Its time runs out.")
    expect(page.get_by_role("region", name="Queues")).to_contain_text("video-poll")
    refuse_barriers(page)
    shot_in_every_look(page, "operations-attention", page.get_by_role("region", name="Needs attention"))
    page.get_by_role("button", name=f"Repair {alarmed.id}").click()
    expect(page.get_by_text("It is polled now, and downloaded where that is due.")).to_be_visible()
    for job in (waits, alarmed):
        live_jobs.remove(LiveJob.of(job))


def test_a_webhook_is_shown_by_owner_and_told_again(studio: Studio) -> None:
    [job] = studio.store(webhook=Webhook(None, WebhookStatus.FAILED))
    page = studio.visit(f"{studio.url}/operations")
    page.get_by_label("Owner").fill(studio.owner)
    page.get_by_role("button", name="Show").click()
    hooks = page.get_by_role("region", name="Webhooks")
    expect(hooks).to_contain_text(re.compile(f"{job.id}.*failed", re.DOTALL))
    page.get_by_role("button", name=f"Resend the webhook of {job.id}").click()
    expect(page.get_by_text("The webhook is told again now.")).to_be_visible()


def test_one_look_says_that_all_is_well_or_what_is_not_and_leads_there(studio: Studio) -> None:
    page = studio.visit("about:blank")
    # What other tests have left is none of this one's.
    none: dict[str, object] = {"jobs": [], "read": 0, "next_cursor": None}
    answer = {**none}
    page.route("**/api/operations/jobs?*", lambda route: route.fulfill(json=answer))
    page.route("**/api/operations/queues", lambda route: route.fulfill(json={"queues": []}))
    page.goto(f"{studio.url}/operations")
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("All is well")
    refuse_barriers(page)
    shot_in_every_look(page, "operations-all-is-well")
    answer["next_cursor"] = "b"  # of a list that goes on, this part says nothing of the others
    page.get_by_role("button", name="Refresh").click()
    expect(verdict).to_contain_text("Read on to see the others.")
    [job] = studio.store(webhook=Webhook(None, WebhookStatus.FAILED))
    wiring.get_services().hooks.note_given_up(GivenUp(studio.owner, job.id))
    studio.close_gate(ClosureReason.MISCONFIGURED, "The video API does not take the key.")
    page.unroute("**/api/operations/jobs?*")
    page.get_by_role("button", name="Refresh").click()
    expect(verdict).to_contain_text("default is on hold. The next try is at")
    refuse_barriers(page)
    verdict.get_by_role("link", name=re.compile("webhooks? (was|were) given up")).click()
    assert page.url.endswith("#webhooks-heading")


def test_a_webhook_that_was_given_up_is_shown_whoever_its_owner_is(studio: Studio) -> None:
    [job] = studio.store(webhook=Webhook(None, WebhookStatus.FAILED))
    wiring.get_services().hooks.note_given_up(GivenUp(studio.owner, job.id))
    page = studio.visit(f"{studio.url}/operations", has_touch=True)
    given_up = page.get_by_role("table", name="Webhooks that were given up")
    expect(given_up.get_by_role("row", name=job.id)).to_contain_text(studio.owner)
    refuse_barriers(page)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    expect(given_up.get_by_role("row", name=job.id)).to_be_visible()  # a box now, and a row all the same
    refuse_barriers(page)
    shot_in_every_look(page, "operations-given-up", given_up)
    given_up.get_by_role("button", name=f"Resend the webhook of {job.id}").click()
    expect(page.get_by_text("The webhook is told again now.")).to_be_visible()
    expect(given_up.get_by_role("row", name=job.id)).to_have_count(0)


def test_it_hardly_moves_while_it_is_read(studio: Studio) -> None:
    studio.store(3, webhook=Webhook(None, WebhookStatus.FAILED))
    page = studio.visit(f"{studio.url}/operations")
    expect(page.get_by_role("article", name="default")).to_be_visible()
    assert sum(shift[0] for shift in layout_shifts(page)) < 0.05


def test_help_is_linked_from_the_studio_and_has_no_barriers(studio: Studio) -> None:
    page = studio.visit()
    page.get_by_role("link", name="Help").click()
    expect(page.get_by_role("heading", name="What costs money")).to_be_visible()
    refuse_barriers(page)
    shot_in_every_look(page, "help")
    page.get_by_role("link", name="Back to the studio").click()
    submit_button = page.get_by_role("button", name="Generate")
    expect(submit_button).to_be_visible()
