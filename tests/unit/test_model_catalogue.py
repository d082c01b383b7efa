"""What a provider tells of its models is kept for a while, and its silence fails nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from tests.waiting import until
from video_jobs.backends.model_catalogue import KEPT, ModelCatalogue
from video_jobs.backends.providers import openrouter
from video_jobs.domain.capabilities import ModelTakes
from video_jobs.domain.errors import Unavailable


class Provider:
    """Counts how often it is asked; `tells` None: it does not answer."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 1000.0
        self.tells: Mapping[str, ModelTakes] | None = {"a": ModelTakes()}
        self.catalogue = ModelCatalogue(lambda: self.now)

    def models(self) -> list[str]:
        return list(self.catalogue.of("rented", self._answer))

    def _answer(self) -> Mapping[str, ModelTakes]:
        self.asked += 1
        if self.tells is None:
            raise Unavailable("It does not answer.")
        return self.tells


def test_it_is_asked_once_in_ten_minutes() -> None:
    provider = Provider()
    assert provider.models() == provider.models() == ["a"]
    assert provider.asked == 1
    provider.now += KEPT
    provider.tells = {"b": ModelTakes()}
    assert (provider.models(), provider.asked) == (["b"], 2)


def test_one_that_does_not_answer_is_left_alone_for_a_while_and_what_it_told_holds() -> None:
    provider = Provider()
    assert provider.models() == ["a"]
    provider.now, provider.tells = provider.now + KEPT, None
    assert provider.models() == provider.models() == ["a"]
    assert provider.asked == 2
    provider.now, provider.tells = provider.now + 31, {"b": ModelTakes()}
    assert provider.models() == ["b"]


def test_one_that_has_never_answered_has_no_models() -> None:
    provider = Provider()
    provider.tells = None
    assert provider.models() == []


def test_while_one_thread_asks_again_the_others_have_what_was_told_last() -> None:
    catalogue, hold, asking, now = ModelCatalogue(lambda: now[0]), threading.Event(), threading.Event(), [0.0]
    catalogue.of("rented", lambda: {"old": ModelTakes()})
    now[0] = KEPT

    def slow() -> Mapping[str, ModelTakes]:
        asking.set()
        hold.wait(30)
        return {"new": ModelTakes()}

    thread = threading.Thread(target=lambda: catalogue.of("rented", slow))
    thread.start()
    until(asking.is_set)
    assert list(catalogue.of("rented", slow)) == ["old"]
    hold.set()
    thread.join(30)
    assert list(catalogue.of("rented", slow)) == ["new"]


def test_a_list_that_is_too_long_or_holds_odd_names_is_cut() -> None:
    told = {f"m{number}": ModelTakes() for number in range(900)} | {"x" * 201: ModelTakes()}
    provider = Provider()
    provider.tells = {"a\nb": ModelTakes(), **told}
    models = provider.models()
    assert len(models) == 500
    assert models[0] == "m0"


@pytest.mark.parametrize(
    "body",
    [{}, {"data": None}, {"data": {"id": "a"}}, {"data": ["a", 1, None, {"id": 5}, {"name": "a"}]}],
    ids=str,
)
def test_a_list_that_is_none_has_no_models(body: dict[str, object]) -> None:
    assert openrouter.API.model_list is not None
    assert openrouter.API.model_list.read(body) == {}


def test_of_a_model_only_what_is_told_and_readable_limits_it() -> None:
    assert openrouter.API.model_list is not None
    odd = {
        "id": "a",
        "supported_sizes": ["1280x720", "huge", 7, "0x0"],
        "supported_durations": [8, "4", True, -1, None, 10**9],
        "supported_aspect_ratios": None,
        "supported_frame_images": [],
        "supported_resolutions": "720p",
        "generate_audio": None,
        "seed": False,
    }
    takes = openrouter.API.model_list.read({"data": [odd]})["a"]
    assert (takes.sizes, takes.seconds) == (("1280x720",), (4, 8))
    assert (takes.aspect_ratios, takes.resolutions) == (None, None)
    assert (takes.image, takes.last_image, takes.audio, takes.seed) == (False, False, True, False)
