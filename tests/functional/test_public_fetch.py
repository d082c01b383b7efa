"""A file at an address that a client names: from the public internet only, bounded in bytes and time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from tests.functional.picture_host import NAME, PictureHost, a_picture, in_pieces, redirect
from tests.waiting import until
from video_jobs.domain.errors import NotFetched, TooManyFetched
from video_jobs.net.public_fetch import MOST_AT_ONCE, PublicFetch

MOST = 100_000  # bytes


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureHost]:
    with PictureHost(tmp_path_factory.mktemp("tls")) as host:
        yield host


@pytest.fixture
def host(running: PictureHost) -> PictureHost:
    running.seen.clear()
    running.names = {NAME: ["127.0.0.1"]}
    return running


def refused(host: PictureHost, path: str, seconds: float = 5.0, most: int = MOST) -> str:
    with pytest.raises(NotFetched) as caught:
        host.fetch.fetch(path if "://" in path else host.url + path, most, seconds)
    said = str(caught.value)
    assert "127.0.0.1" not in said
    assert NAME not in said
    return said


def test_a_picture_is_fetched_whole_and_nothing_of_ours_goes_along(host: PictureHost) -> None:
    assert host.fetch.fetch(f"{host.url}/a.png", MOST, 5) == a_picture()
    [seen] = host.seen
    assert not {"authorization", "cookie", "x-functions-key", "referer"} & seen.keys()


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "fd00::1",
    ],
)
def test_a_name_that_leads_to_a_private_address_is_never_connected_to(
    host: PictureHost, address: str
) -> None:
    host.names[NAME] = [address] if address != "::1" else ["::ffff:127.0.0.1"]
    assert "private or reserved" in refused(host, "/a.png")
    assert not host.seen


def test_one_private_address_among_others_is_enough(host: PictureHost) -> None:
    host.names[NAME] = ["127.0.0.1", "10.0.0.1"]
    assert "private or reserved" in refused(host, "/a.png")
    assert not host.seen


@pytest.mark.parametrize(
    "address",
    [
        "https://localhost/a.png",
        "https://127.0.0.1/a.png",
        "https://0177.0.0.1/a.png",
        "https://2130706433/a.png",
        "https://[::1]/a.png",
        "https://[::ffff:10.0.0.1]/a.png",
    ],
)
def test_this_machine_is_no_host_of_pictures_however_it_is_written(address: str) -> None:
    with pytest.raises(NotFetched, match=r"private or reserved|looked up|no address"):
        PublicFetch().fetch(address, MOST, 5)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (f"http://{NAME}/a.png", "https address"),
        (f"https://user:secret@{NAME}/a.png", "user name"),
        (f"https://{NAME}:22/a.png", "port 443"),
        (f"https://{NAME}\\@evil.test/a.png", "backslash"),
        ("https://", "can't be used"),
        ("https://nowhere.example.test/a.png", "can't be looked up"),
    ],
)
def test_an_address_that_is_no_good_is_refused_in_words(host: PictureHost, address: str, says: str) -> None:
    assert says in refused(host, address)
    assert not host.seen


def test_a_redirect_is_followed_and_each_step_is_checked(host: PictureHost) -> None:
    host.at["/to"] = redirect("/a.png")
    assert host.fetch.fetch(f"{host.url}/to", MOST, 5) == a_picture()
    host.names["inside.example.test"] = ["10.0.0.1"]
    host.at["/inside"] = redirect("https://inside.example.test/a.png")
    assert "private or reserved" in refused(host, "/inside")
    host.at["/plain"] = redirect(f"http://{NAME}:8080/a.png")
    assert "https address" in refused(host, "/plain")
    host.at["/round"] = redirect("/round")
    assert "redirects more than 3 times" in refused(host, "/round")


def test_what_is_too_large_is_not_read_to_its_end(host: PictureHost) -> None:
    host.at["/announced"] = in_pieces([b"x"], length=MOST + 1)
    assert str(MOST) in refused(host, "/announced")
    host.at["/endless"] = in_pieces(itertools.repeat(b"x" * 10_000))
    assert str(MOST) in refused(host, "/endless")


def test_what_is_too_slow_is_given_up_at_the_deadline(host: PictureHost) -> None:
    over = threading.Event()

    def drops() -> Iterator[bytes]:
        while not over.wait(0.05):
            yield b"x"

    host.at["/slow"] = in_pieces(drops())
    host.at["/silent"] = lambda handler: over.wait(20) and None
    assert "longer than the time limit" in refused(host, "/slow", seconds=0.7)
    assert "longer than the time limit" in refused(host, "/silent", seconds=0.7)
    over.set()


def test_what_is_cut_off_is_not_taken_for_whole(host: PictureHost) -> None:
    host.at["/cut"] = in_pieces([b"x" * 10], length=1000)
    assert "broke" in refused(host, "/cut")


def test_another_answer_than_200_is_told_by_its_status(host: PictureHost) -> None:
    assert "answered 404" in refused(host, "/none.png")


def test_only_so_many_are_fetched_at_once_and_one_more_waits_its_time(host: PictureHost) -> None:
    over = threading.Event()
    host.at["/held"] = lambda handler: over.wait(30) and None
    threads = [threading.Thread(target=refused, args=(host, "/held", 20)) for _ in range(MOST_AT_ONCE)]
    for thread in threads:
        thread.start()
    until(lambda: len(host.seen) == MOST_AT_ONCE)
    with pytest.raises(TooManyFetched):
        host.fetch.fetch(f"{host.url}/a.png", MOST, 0.3)
    over.set()
    for thread in threads:
        thread.join(30)
    assert host.fetch.fetch(f"{host.url}/a.png", MOST, 5) == a_picture()
