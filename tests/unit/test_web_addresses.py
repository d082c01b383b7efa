"""An address that another server names is read as the library reads it that connects to it, or not at all."""

from __future__ import annotations

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from tests.unit.examples import moderately_many
from video_jobs.net.web_address import LONGEST, read_address

BASE = "https://api.example.test/v1/videos/x/content"


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        (
            "https://files.example.test/a.mp4?sig=a%2Bb",
            ("https", "files.example.test", 443),
            "/a.mp4?sig=a%2Bb",
        ),
        ("HTTP://Files.Example.TEST:8080", ("http", "files.example.test", 8080), "/"),
        ("//files.example.test/a", ("https", "files.example.test", 443), "/a"),
        ("/files/a.mp4", ("https", "api.example.test", 443), "/files/a.mp4"),
        ("http://api.example.test/a.mp4", ("https", "api.example.test", 443), "/a.mp4"),
        ("http://files.example.test/a.mp4", ("https", "files.example.test", 443), "/a.mp4"),
        ("?variant=video", ("https", "api.example.test", 443), "/v1/videos/x/content?variant=video"),
        ("https://[2001:db8::1]:444/a", ("https", "2001:db8::1", 444), "/a"),
        (
            "https://files.example.test/my video.mp4#t=1",
            ("https", "files.example.test", 443),
            "/my%20video.mp4",
        ),
        ("\t https://files.example.test/a \r\n", ("https", "files.example.test", 443), "/a"),
        ("https://files.example.test?a=1", ("https", "files.example.test", 443), "/?a=1"),
    ],
)
def test_an_address_has_an_origin_and_a_target(text: str, origin: tuple[str, str, int], target: str) -> None:
    address = read_address(text, BASE)
    assert (address.origin, address.target) == (origin, target)
    assert read_address(str(address)) == address


@pytest.mark.parametrize(
    "target",
    ["/a%2fb?sig=a%2fb%3D", "/a/../b//c", "/a?n=100%&sig=a%2Fb", "/~a%7Eb?c=~", "/a?b=%e4%b8%AD&c='()*!,;:@"],
)
def test_what_may_be_signed_stays_as_it_is_written(target: str) -> None:
    assert read_address(f"https://files.example.test{target}#t=1", BASE).target == target


@pytest.mark.parametrize(
    ("text", "base", "scheme"),
    [
        ("http://a.test:8443/v", "https://a.test:8443/v1", "https"),
        ("http://b.test:8443/v", "https://a.test:8443/v1", "http"),
        ("http://a.test/v", "http://a.test/v1", "http"),
        ("http://a.test/v", None, "http"),
    ],
)
def test_only_what_an_https_address_names_is_read_as_https(text: str, base: str | None, scheme: str) -> None:
    assert read_address(text, base).scheme == scheme


@pytest.mark.parametrize(
    "text",
    [
        "http://evil.test\\@api.example.test/",
        "\\\\evil.test/",
        "/\\evil.test/",
        "https://user@evil.test/",
        "https://api.example.test@evil.test/",
        "https://user:word@evil.test/",
        "https://evil.test\t/",
        "https://evil.test/\r\nHost: x",
        "https://evil.test\x00/",
        "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        "https://evil.test:0/",
        "https://evil.test:99999/",
        "https://[::1/",
        "ftp://evil.test/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:video/mp4,hi",
        "https:// evil.test/",
        "https://evil.test/" + "a" * LONGEST,
    ],
)
def test_what_two_readers_might_read_differently_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are looked at
        read_address(text, BASE)
    assert "evil" not in str(refused.value)


@moderately_many
@given(
    st.text(st.sampled_from("ab.:/\\@?#[]%20 \t\r\n\x00é１。xn-"), max_size=30).map(
        lambda tail: f"http://a{tail}"
    )
)
def test_the_host_is_the_one_to_which_requests_would_connect(text: str) -> None:
    try:
        address = read_address(text)
    except ValueError:
        return
    prepared = requests.Request("GET", str(address)).prepare().url or ""
    assert parse_url(text.strip()).host == parse_url(prepared).host
    connected = parse_url(prepared)
    assert ((connected.host or "").strip("[]"), connected.port or 80) == (address.host, address.port)
