"""Where a webhook may lead: to the public internet, by a name or address that everybody reads alike."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from video_jobs.net.addresses import is_loopback, is_public
from video_jobs.net.webhook_url import LONGEST_URL, HookUrl, read_hook_url

HOSTILE = [
    # not HTTPS, or nothing of the kind
    "http://example.com/",
    "HTTP://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "javascript:alert(1)",
    "//example.com/",
    "example.com",
    "https:example.com",
    "https:/example.com",
    "https:///example.com",
    "https://",
    "https://?x",
    "",
    # two readers, two hosts
    "https://example.com@169.254.169.254/",
    "https://user:password@example.com/",
    "https://:@example.com/",
    "https://example.com\\@127.0.0.1/",
    "https:\\\\127.0.0.1\\",
    "https://127.0.0.1#@example.com/",
    "https://example.com#.internal",
    "https://exa mple.com/",
    "https://example.com/\r\nHost: 127.0.0.1",
    "https://example.com/\tx",
    "https://example.com%00.internal/",
    "https://%31%32%37.0.0.1/",
    "https://example.com/\x7f",
    # names that are looked up here
    "https://localhost/",
    "https://LOCALHOST:8443/",
    "https://localhost./",
    "https://a.localhost/",
    "https://localhost.localdomain/",
    "https://metadata/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://1.0.0.127.in-addr.arpa/",
    "https://example.com./",
    "https://.example.com/",
    "https://example..com/",
    "https://-example.com/",
    "https://ex_ample.com/",
    f"https://{'a' * 64}.com/",
    # letters that turn into others
    "https://ⓛocalhost/",
    "https://127。0。0。1/",
    "https://１２７.0.0.1/",
    "https://exämple.com/",
    "https://example.com/ä",
    # addresses, in all their spellings
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.000.000.001/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.0.0.0x1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://100.100.100.200/latest/meta-data/",
    "https://169.254.169.254/metadata/instance",
    "https://168.63.129.16/machine",
    "https://192.0.0.192/",
    "https://198.18.0.1/",
    "https://203.0.113.1/",
    "https://192.88.99.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://240.0.0.1/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1%eth0]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[100::1]/",
    "https://[127.0.0.1]/",
    "https://[::1/",
    "https://::1/",
    # ports that are other services', or none
    "https://example.com:0/",
    "https://example.com:22/",
    "https://example.com:25/",
    "https://example.com:80/",
    "https://example.com:65536/",
    "https://example.com:443443/",
    "https://example.com:-1/",
    "https://example.com:/",
    "https://example.com:443:443/",
    "https://example.com:0x1bb/",
    f"https://example.com/{'a' * LONGEST_URL}",
]


@pytest.mark.parametrize("url", HOSTILE)
@pytest.mark.parametrize("allowed", [False, True], ids=["", "with loopback allowed"])
def test_a_hostile_url_is_refused_and_not_repeated(url: str, allowed: bool):
    with pytest.raises(ValueError, match=r"^(must|is longer)") as refused:
        read_hook_url(url, allow_http_loopback=allowed)
    assert len(url) < 20 or url not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://example.com", HookUrl("https", "example.com", 443, "/")),
        ("HTTPS://Example.COM/Hooks?A=B", HookUrl("https", "example.com", 443, "/Hooks?A=B")),
        ("https://example.com?a=/b", HookUrl("https", "example.com", 443, "/?a=/b")),
        (
            "https://a-b.example.co.uk:8443/x//y/../z",
            HookUrl("https", "a-b.example.co.uk", 8443, "/x//y/../z"),
        ),
        ("https://xn--exmple-cua.com/%C3%A4", HookUrl("https", "xn--exmple-cua.com", 443, "/%C3%A4")),
        (
            "https://example.com/?next=https://[::1]/",
            HookUrl("https", "example.com", 443, "/?next=https://[::1]/"),
        ),
        ("https://93.184.215.14/", HookUrl("https", "93.184.215.14", 443, "/")),
        ("https://[2606:4700:0::1111]/", HookUrl("https", "2606:4700::1111", 443, "/")),
    ],
)
def test_a_public_https_url_is_taken_and_read_one_way(url: str, read: HookUrl):
    assert read_hook_url(url, allow_http_loopback=False) == read


@pytest.mark.parametrize(
    "url",
    ["http://localhost:9000/hooks", "http://127.0.0.1/", "http://[::1]:9000/", "http://127.8.9.1:1024/"],
)
def test_plain_http_is_for_this_machine_where_the_setting_allows_it(url: str):
    assert read_hook_url(url, allow_http_loopback=True).scheme == "http"
    with pytest.raises(ValueError, match="WEBHOOK_ALLOW_HTTP_LOOPBACK"):
        read_hook_url(url, allow_http_loopback=False)


def test_the_host_header_names_what_the_url_named():
    def netloc(url: str) -> str:
        return read_hook_url(url, allow_http_loopback=True).netloc

    assert netloc("https://example.com:443/") == "example.com"
    assert netloc("https://example.com:8443/") == "example.com:8443"
    assert netloc("http://[::1]:9000/") == "[::1]:9000"


@moderately_many
@given(st.ip_addresses())
def test_nothing_is_public_that_python_knows_to_be_private(address):
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not is_public(address)
    assert not (is_public(address) and is_loopback(address))


@moderately_many
@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:", "::", "64:ff9b::"]))
def test_no_way_of_writing_an_ipv4_address_as_ipv6_is_public(address, prefix: str):
    assert not is_public(ip_address(f"{prefix}{address}"))
    assert not is_loopback(ip_address(f"::ffff:{address}"))
