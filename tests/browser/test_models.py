"""The page offers what the chosen model takes, and nothing else; in Debian's Chromium."""

from __future__ import annotations

import io
import re

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from local.simulator.openrouter_models import VEO, WAN
from tests.browser.studio import PHONE, Studio, refuse_barriers, shot_in_every_look

expect.set_options(timeout=20_000)  # milliseconds: only a failure lasts so long


def picture(name: str) -> dict[str, object]:
    written = io.BytesIO()
    Image.new("RGB", (48, 32), "teal").save(written, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": written.getvalue()}


def rented(page: Page) -> Locator:
    """The form with the models that take much."""
    page.get_by_label("Backend", exact=True).select_option("rented")
    return page.locator("#composer")


def test_only_what_the_model_takes_is_shown(studio: Studio) -> None:
    page = studio.visit()
    expect(page.get_by_label("Size", exact=True)).to_be_visible()
    for label in ("Model", "Sound", "Seed", "Last image", "Reference images", "Not in the video"):
        expect(page.get_by_label(label, exact=True)).to_have_count(0 if label != "Model" else 1)
    expect(page.locator("#model-field")).to_be_hidden()
    form = rented(page)
    expect(form.get_by_label("Size", exact=True)).to_have_count(0)
    expect(form.get_by_role("radiogroup", name="Shape")).to_have_count(1)
    expect(form.get_by_role("radio", name="Portrait, 9:16")).to_be_visible()
    expect(form.get_by_role("radio", name="Landscape, 16:9")).to_be_checked()
    expect(form.get_by_role("radio", name="720p")).to_be_checked()
    for label in ("Last image", "Reference images", "Seed"):
        expect(form.get_by_label(label, exact=True)).to_be_visible()
    refuse_barriers(page)
    shot_in_every_look(page, "models")
    page.set_viewport_size(PHONE)
    expect(page.locator("#extras")).to_be_hidden()
    page.get_by_role("button", name="Size, length and more").click()
    expect(page.locator("#extras")).to_be_visible()
    shot_in_every_look(page, "models-unfolded", page.locator("#extras"))
    page.get_by_label("Model", exact=True).select_option(WAN)
    expect(form.get_by_label("Last image", exact=True)).to_have_count(0)
    expect(form.get_by_role("radiogroup", name="Sound")).to_have_count(0)
    expect(form.get_by_role("radio", name="Square, 1:1")).to_be_visible()
    page.get_by_label("Backend", exact=True).select_option("default")
    expect(page.get_by_label("Size", exact=True)).to_be_visible()
    expect(page.locator("#extras")).to_be_hidden()


def test_what_is_chosen_is_asked_for_and_kept_over_a_reload(studio: Studio) -> None:
    studio.pause()
    page = studio.visit()
    form = rented(page)
    form.get_by_role("radio", name="Portrait, 9:16").check(force=True)
    form.get_by_role("radio", name="1080p").check(force=True)
    form.get_by_role("radio", name="Off").check(force=True)
    form.get_by_label("Seed", exact=True).fill("7")
    page.reload()
    expect(form.get_by_role("radio", name="Portrait, 9:16")).to_be_checked()
    expect(form.get_by_label("Seed", exact=True)).to_have_value("7")
    page.locator("#image-input").set_input_files([picture("first.png")])
    form.get_by_label("Last image", exact=True).set_input_files([picture("last.png")])
    form.get_by_label("Reference images", exact=True).set_input_files([picture("a.png"), picture("b.png")])
    page.get_by_role("textbox", name="Prompt").fill("a paper boat")
    page.get_by_role("button", name="Generate").click()
    made = page.get_by_role("article", name="a paper boat")
    expect(made).to_contain_text("with 4 images")
    [job] = studio.jobs()
    asked = {name: job[name] for name in ("aspect_ratio", "resolution", "audio", "seed", "size")}
    assert asked == {
        "aspect_ratio": "9:16",
        "resolution": "1080p",
        "audio": False,
        "seed": 7,
        "size": "1080x1920",
    }
    assert job["backend"]["model"] == VEO
    assert (job["last_image"]["width"], len(job["reference_images"])) == (48, 2)
    expect(page.get_by_role("button", name="Generate another")).to_be_visible()  # of the same images
    expect(form.get_by_label("Last image", exact=True)).to_have_value(re.compile(r"last\.png$"))
    page.reload()
    expect(form.get_by_label("Last image", exact=True)).to_have_value("")
    made.get_by_role("button", name="Edit").click()
    for label, words in {"Last image": "Add it again", "Reference images": "Add them again"}.items():
        expect(form.get_by_label(label, exact=True)).to_have_accessible_description(re.compile(words))
    made.get_by_role("button", name="Code").click()
    code = page.locator("#code-text")
    for words in ("seed=7", "audio=false", "aspect_ratio=9:16", "-F last_image=@YOUR_IMAGE"):
        expect(code).to_contain_text(words)
    page.locator("#code-language").select_option("openai")
    expect(code).to_contain_text('"generate_audio": False')


def test_a_refusal_stands_beside_its_field(studio: Studio) -> None:
    page = studio.visit()
    form = rented(page)
    form.get_by_label("Seed", exact=True).fill("much")
    page.get_by_role("textbox", name="Prompt").fill("a paper boat")
    page.get_by_role("button", name="Generate").click()
    expect(form.get_by_label("Seed", exact=True)).to_be_focused()
    expect(form.get_by_label("Seed", exact=True)).to_have_accessible_description(re.compile("whole number"))
    assert studio.jobs() == []


def test_where_there_is_no_thumbnail_the_video_shows_its_own_first_frame(studio: Studio) -> None:
    page = studio.visit()
    form = rented(page)
    page.get_by_label("Model", exact=True).select_option(WAN)
    form.get_by_role("radio", name="480p").check(force=True)
    form.get_by_role("radio", name="2 s").check(force=True)
    page.get_by_role("textbox", name="Prompt").fill("a paper boat")
    page.get_by_role("button", name="Generate").click()
    made = page.get_by_role("article", name="a paper boat")
    expect(made.locator(".badge", has_text="Ready")).to_be_visible()
    [job] = studio.jobs()
    assert job["videos"][0]["thumbnail_url"] is None
    page.wait_for_function("() => document.querySelector('.poster video.frame')?.readyState >= 2")
    frame = made.locator("video.frame")
    expect(frame).to_have_attribute("preload", "metadata")
    refuse_barriers(page)
    shot_in_every_look(page, "first-frame", made)
    made.get_by_role("button", name="Play the video").click()
    expect(frame).to_have_count(0)
    page.wait_for_function("() => document.querySelector('video').currentTime > 0")
