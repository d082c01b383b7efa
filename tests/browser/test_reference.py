"""The reference page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import expect

import function_app
from contract_api.openapi import openapi
from local.azurite_process import Azurite
from local.function_host.host import FunctionHost
from local.simulator.server import Simulator
from tests.browser.conftest import Watched
from tests.browser.studio import refuse_barriers, shot_in_every_look
from tests.whole_app import running_app


@pytest.fixture(scope="module")
def host(azurite: Azurite, shared_simulator: Simulator) -> Iterator[FunctionHost]:
    with running_app(azurite, shared_simulator) as running:
        yield running


def test_it_shows_every_operation_and_tries_one_out_without_a_complaint(
    host: FunctionHost, watched: Watched
) -> None:
    page = watched.page
    page.goto(f"{host.url}/api/reference")
    shown = page.locator(".opblock")
    described = openapi(function_app.blueprints)["paths"].values()
    expect(shown).to_have_count(sum(len(operations) for operations in described))
    health = page.locator("#operations-Operation-health")
    health.locator(".opblock-summary-control").click()
    health.get_by_role("button", name="Execute").click()
    expect(health.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")
    expect(health.locator(".live-responses-table")).to_contain_text("healthy")
    submit = page.locator("#operations-Jobs-submit_job")
    submit.locator(".opblock-summary-control").click()
    expect(submit).to_contain_text("Idempotency-Key")
    expect(submit.locator("textarea, select").first).to_be_visible()
    assert watched.complaints == []
    assert watched.origins == {host.url}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("/reference.js", "text/javascript; charset=utf-8"),
        ("/reference.css", "text/css; charset=utf-8"),
        ("/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/swagger-ui.css", "text/css; charset=utf-8"),
        ("/favicon-32x32.png", "image/png"),
    ],
)
def test_its_files_have_exact_types_a_strict_policy_and_are_kept(
    host: FunctionHost, name: str, kind: str
) -> None:
    url = f"{host.url}/api/reference{name}"
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-encoding"] == "gzip"
    again = requests.get(url, headers={"If-None-Match": answer.headers["etag"]}, timeout=10)
    assert (again.status_code, again.content) == (304, b"")
    plain = requests.get(url, headers={"Accept-Encoding": "identity, gzip;q=0"}, timeout=10)
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    assert plain.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        "..%2Fblueprint.py",
        "%2E%2E%2Freference.py",
        "swagger-ui.js",
        "x" * 3000,
        "%00",
        "static",
    ],
)
def test_what_is_no_file_of_the_page_is_404(host: FunctionHost, name: str) -> None:
    answer = requests.get(f"{host.url}/api/reference/{name}", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (404, "page_not_found")


def test_it_has_no_barriers_and_leads_back_to_the_studio(host: FunctionHost, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{host.url}/api/reference")
    expect(page.locator(".opblock").first).to_be_visible()
    refuse_barriers(page)
    page.locator("#operations-Operation-health .opblock-summary-control").click()
    expect(page.locator("#operations-Operation-health .opblock-body")).to_be_visible()
    refuse_barriers(page)
    page.get_by_role("link", name="Back to the studio").click()
    expect(page.get_by_role("button", name="Generate")).to_be_visible()


def test_it_is_dark_where_the_system_is(host: FunctionHost, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{host.url}/api/reference")
    viewer = page.locator(".swagger-ui").first
    page.emulate_media(color_scheme="dark")
    expect(viewer).to_have_css("background-color", "rgb(28, 32, 34)")
    shot_in_every_look(page, "reference")
    page.emulate_media(color_scheme="light")
    expect(viewer).to_have_css("background-color", "rgba(0, 0, 0, 0)")
