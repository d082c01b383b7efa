"""What a model can do is checked before anything is written or paid for."""

import itertools

import pytest

from video_jobs.backends import azure_sora, openai_videos
from video_jobs.domain.capabilities import LARGEST_SIDE, Limits
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import InputImage
from video_jobs.settings.backends import BackendSettings

#: Size, most seconds, most variants, as the service documents them.
SORA = [
    ("480x480", 20, 4),
    ("854x480", 20, 4),
    ("480x854", 20, 4),
    ("720x720", 20, 2),
    ("1280x720", 20, 2),
    ("720x1280", 20, 2),
    ("1080x1080", 10, 1),
    ("1920x1080", 10, 1),
    ("1080x1920", 10, 1),
]


def videos(**changes: object) -> Limits:
    settings = {"name": "v", "dialect": "openai-videos", "base_url": "https://example.test/v1", "model": "m"}
    return openai_videos.limits(BackendSettings.model_validate({**settings, **changes}))


def refused(limits: Limits, **wanted: object) -> dict[str, str]:
    """The problems, by field."""
    asked = {"size": None, "seconds": None, "variants": None, "image": None, **wanted}
    with pytest.raises(InvalidRequest) as error:
        limits.complete("a boat", **asked)  # type: ignore[arg-type]
    return {problem.field: problem.message for problem in error.value.problems}


# --- azure-sora ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "most_seconds", "most_variants"), SORA)
def test_sora_makes_what_is_documented_for_a_size_and_no_more(
    size: str, most_seconds: int, most_variants: int
):
    limits = azure_sora.limits()
    for seconds, variants in itertools.product(range(1, 24), range(1, 7)):
        expected = set()
        if seconds > most_seconds:
            expected.add("seconds")
        if variants > most_variants:
            expected.add("variants")
        if expected:
            assert refused(limits, size=size, seconds=seconds, variants=variants).keys() == expected
        else:
            request = limits.complete("a boat", size, seconds, variants, None)
            assert (request.size, request.seconds, request.variants) == (size, seconds, variants)


def test_sora_makes_no_other_sizes():
    documented = {size for size, _, _ in SORA}
    assert set(azure_sora.limits().takes.sizes or ()) == documented
    for size in ("480x720", "1024x1024", "721x1280", "1080x1280", "10x10", "99999x99999"):
        said = refused(azure_sora.limits(), size=size)["size"]
        assert size in said or "pixels" in said


def test_sora_fills_in_the_defaults_of_the_service():
    request = azure_sora.limits().complete("a boat", None, None, None, None)
    assert (request.size, request.seconds, request.variants) == ("480x480", 5, 1)


def test_the_message_names_what_would_be_taken():
    problems = refused(azure_sora.limits(), size="1920x1080", seconds=11, variants=2)
    assert problems == {
        "seconds": "at 1920x1080 this model makes at most 10 seconds",
        "variants": "at 1920x1080 this model makes at most 1 in one job",
    }
    assert refused(azure_sora.limits(), seconds=21)["seconds"].endswith("1 to 20")
    assert "854x480, 720x720" in refused(azure_sora.limits(), size="1x1")["size"]


def test_every_problem_is_told_at_once():
    assert refused(azure_sora.limits(), size="999x999", seconds=0, variants=9).keys() == {
        "size",
        "seconds",
        "variants",
    }


# --- openai-videos -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["720x1280", "1280x720", "1024x1792", "1792x1024"])
@pytest.mark.parametrize("seconds", [4, 8, 12])
def test_the_videos_api_makes_its_listed_sizes_and_seconds(size: str, seconds: int):
    request = videos().complete("a boat", size, seconds, None, None)
    assert (request.size, request.seconds, request.variants) == (size, seconds, 1)


@pytest.mark.parametrize(
    ("wanted", "field", "says"),
    [
        ({"size": "480x480"}, "size", "720x1280, 1280x720, 1024x1792, 1792x1024"),
        ({"seconds": 5}, "seconds", "4, 8, 12"),
        ({"seconds": 16}, "seconds", "4, 8, 12"),
        ({"variants": 2}, "variants", "at most 1"),
    ],
)
def test_the_videos_api_makes_nothing_else(wanted: dict[str, object], field: str, says: str):
    problems = refused(videos(), **wanted)
    assert problems.keys() == {field}
    assert says in problems[field]


def test_the_videos_api_has_defaults():
    request = videos().complete("a boat", None, None, None, None)
    assert (request.size, request.seconds) == ("720x1280", 4)


def test_a_backend_may_list_its_own_sizes_and_seconds_and_the_first_is_the_default():
    own = videos(sizes=["832x480", "480x832"], seconds=[6, 3])
    request = own.complete("a boat", None, None, None, None)
    assert (request.size, request.seconds) == ("832x480", 6)
    assert own.complete("a boat", "480x832", 3, None, None).seconds == 3
    assert refused(own, size="1280x720", seconds=4).keys() == {"size", "seconds"}


def test_a_backend_that_takes_any_is_left_to_judge_by_itself():
    anything = videos(sizes="any", seconds="any")
    request = anything.complete("a boat", "832x480", 7, None, None)
    assert (request.size, request.seconds) == ("832x480", 7)
    assert anything.complete("a boat", None, None, None, None).size == "720x1280"


def test_no_backend_is_asked_for_an_absurd_size():
    anything = videos(sizes="any")
    assert anything.complete("a boat", f"{LARGEST_SIDE}x10", None, None, None).width == LARGEST_SIDE
    assert refused(anything, size=f"{LARGEST_SIDE + 1}x10").keys() == {"size"}
    assert refused(anything, size=f"10x{LARGEST_SIDE + 1}").keys() == {"size"}


@pytest.mark.parametrize(
    ("width", "height", "fits"), [(1280, 720, True), (720, 1280, False), (1281, 720, False)]
)
def test_the_image_must_have_the_videos_size(width: int, height: int, fits: bool):
    image = InputImage("image/png", 100, "ab" * 32, width, height)
    if fits:
        assert videos().complete("a boat", "1280x720", None, None, image).input_image == image
    else:
        said = refused(videos(), size="1280x720", image=image)
        assert said == {"input_image": f"is {width}x{height}; it must have the video's size, 1280x720"}


def test_sora_takes_an_image_of_any_size():
    image = InputImage("image/png", 100, "ab" * 32, 33, 44)
    assert azure_sora.limits().complete("a boat", None, None, None, image).input_image == image
