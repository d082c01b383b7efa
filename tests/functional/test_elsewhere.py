"""Videos at other hosts: without our key, only from public addresses, over the connection that was checked."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import pytest

from tests.functional.certificates import Authority
from tests.strange_api import KEY, Reply, StrangeApi, StrangeLine, small_mp4
from tests.strange_server import Server
from video_jobs.backends.elsewhere import Elsewhere
from video_jobs.backends.http import BackendHttp
from video_jobs.domain.errors import BackendError, NotAVideo, Unavailable
from video_jobs.domain.job import Status
from video_jobs.net.addresses import Address, is_public

VIDEO = small_mp4()
HOST = "files.example.test"


class Host:
    """Another host, over HTTP or TLS, on 127.0.0.1."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.seen: list[dict[str, str]] = []
        self.status, self.body, self.headers = 200, VIDEO, {"Content-Type": "video/mp4"}
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.seen.append({"path": self.path} | {k.lower(): v for k, v in self.headers.items()})
                self.send_response(host.status)
                for name, value in {**host.headers, "Content-Length": str(len(host.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(host.body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as running:
        yield running


class Names:
    """A resolver that says what it is told, one answer after the other, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def loopback_is_public(address: Address) -> bool:
    return address.is_loopback or is_public(address)


def client(api: StrangeApi, names: Names, base_url: str | None = None, **more: Any) -> BackendHttp:
    elsewhere = Elsewhere(**{"resolve": names, "is_public": loopback_is_public, **more})
    return BackendHttp(base_url or f"{api.url}/v1", lambda: {"Authorization": f"Bearer {KEY}"}, {}, elsewhere)


def read(http: BackendHttp, path: str = "/videos/1/content") -> bytes:
    with http.open(path, 5) as content:
        return b"".join(content.chunks(1 << 16))


def test_a_redirect_to_a_public_host_is_followed_without_the_key(api: StrangeApi, host: Host) -> None:
    api.answer = lambda asked: Reply(302, headers={"Location": f"http://{HOST}:{host.port}/v.mp4?sig=abc"})
    assert read(client(api, Names(["127.0.0.1"]))) == VIDEO
    [seen] = host.seen
    assert (seen["path"], seen["host"]) == ("/v.mp4?sig=abc", f"{HOST}:{host.port}")
    assert not {"authorization", "api-key", "cookie", "referer"} & seen.keys()


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(
    api: StrangeApi, host: Host
) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    api.answer = lambda asked: Reply(302, headers={"Location": f"http://{HOST}:{host.port}/v.mp4"})
    assert read(client(api, names)) == VIDEO
    assert names.asked == 1


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
def test_a_private_address_is_never_connected_to(api: StrangeApi, address: str) -> None:
    api.answer = lambda asked: Reply(302, headers={"Location": f"https://{HOST}/v.mp4"})
    names = Names(["127.0.0.1", address]), Names([address])
    for answers in names:
        http = client(api, answers, is_public=is_public)
        with pytest.raises(Unavailable, match="not on the public internet"):
            read(http)


def test_an_origin_that_the_operator_names_may_be_private(api: StrangeApi, host: Host) -> None:
    api.answer = lambda asked: Reply(302, headers={"Location": f"http://{HOST}:{host.port}/v.mp4"})
    trusted = [("http", HOST, host.port)]
    assert read(client(api, Names(["127.0.0.1"]), trusted=trusted, is_public=is_public)) == VIDEO
    with pytest.raises(Unavailable):
        read(client(api, Names(["127.0.0.1"]), trusted=[("https", HOST, host.port)], is_public=is_public))


def test_tls_proves_the_name_and_a_wrong_certificate_ends_it(api: StrangeApi, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for name, is_good in ((HOST, True), ("other.example.test", False)):
        with Host(authority.certificate(name)) as host:
            location = f"https://{HOST}:{host.port}/v.mp4"
            api.answer = lambda asked, to=location: Reply(302, headers={"Location": to})
            http = client(api, Names(["127.0.0.1"]), ca_file=str(authority.path))
            if is_good:
                assert read(http) == VIDEO
            else:
                with pytest.raises(Unavailable):
                    read(http)
                assert host.seen == []


def test_from_https_nothing_leads_to_plain_http(tmp_path: Path, host: Host, api: StrangeApi) -> None:
    authority = Authority(tmp_path)
    with Host(authority.certificate(HOST)) as secure:
        secure.status, secure.body = 302, b""
        secure.headers = {"Location": f"http://{HOST}:{host.port}/v.mp4"}
        api.answer = lambda asked: Reply(302, headers={"Location": f"https://{HOST}:{secure.port}/v.mp4"})
        with pytest.raises(Unavailable, match="without TLS"):
            read(client(api, Names(["127.0.0.1"]), ca_file=str(authority.path)))
    assert host.seen == []


def test_a_host_behind_tls_that_names_itself_without_is_asked_with_tls(
    tmp_path: Path, api: StrangeApi
) -> None:
    authority = Authority(tmp_path)
    with Host(authority.certificate(HOST)) as secure:
        secure.status, secure.body = 302, b""
        secure.headers = {"Location": f"http://{HOST}:{secure.port}/v.mp4"}
        api.answer = lambda asked: Reply(302, headers={"Location": f"https://{HOST}:{secure.port}/"})
        with pytest.raises(Unavailable, match="redirects too often"):
            read(client(api, Names(["127.0.0.1"]), ca_file=str(authority.path)))
        assert {seen["path"] for seen in secure.seen} == {"/", "/v.mp4"}


SECRETS_OF_OTHERS = "inner-page-of-somebody-else"


@pytest.mark.parametrize(
    ("status", "content_type"),
    [(403, "text/html"), (500, "application/json"), (200, "text/html"), (200, "application/json")],
)
def test_nothing_that_another_host_says_is_quoted(
    api: StrangeApi, host: Host, status: int, content_type: str
) -> None:
    host.status, host.body = status, f'{{"error": {{"message": "{SECRETS_OF_OTHERS}"}}}}'.encode()
    host.headers = {"Content-Type": f"{content_type}; {SECRETS_OF_OTHERS}", "X-Request-Id": SECRETS_OF_OTHERS}
    api.answer = lambda asked: Reply(302, headers={"Location": f"http://{HOST}:{host.port}/v.mp4"})
    http = client(api, Names(["127.0.0.1"]))
    with pytest.raises(BackendError) as refused, http.open("/videos/1/content", 5) as content:
        raise NotAVideo(content.quotation(content.beginning()))
    said = [str(refused.value), refused.value.code, refused.value.detail, refused.value.request_id]
    assert SECRETS_OF_OTHERS not in repr(said)


def test_who_comes_back_to_the_api_from_another_host_comes_without_the_key(
    api: StrangeApi, host: Host
) -> None:
    host.status, host.body = 302, b""
    host.headers = {"Location": f"{api.url}/v1/videos/1/again"}

    def answer(asked: Any) -> Reply:
        if asked.bare.endswith("again"):
            return Reply(200, VIDEO, content_type="video/mp4")
        return Reply(302, headers={"Location": f"http://{HOST}:{host.port}/v.mp4"})

    api.answer = answer
    assert read(client(api, Names(["127.0.0.1"]))) == VIDEO
    first, again = api.seen
    assert KEY in first.headers["authorization"]
    assert "authorization" not in again.headers


def test_cookies_that_an_api_sets_do_not_come_back(api: StrangeApi) -> None:
    api.answer = lambda asked: Reply(200, {"id": "1"}, {"Set-Cookie": "session=of-another-job; Path=/"})
    http = client(api, Names(["127.0.0.1"]))
    for _ in range(3):
        http.get("/videos/1")
    with contextlib.suppress(BackendError):
        http.delete("/videos/1")
    assert all("cookie" not in asked.headers for asked in api.seen)


def test_a_redirect_of_another_host_may_be_written_in_utf_8(api: StrangeApi, host: Host) -> None:
    address = f"http://{HOST}:{host.port}"
    host.status, host.headers = 302, {"Location": f"{address}/船.mp4".encode().decode("latin-1")}
    api.answer = lambda asked: Reply(302, headers={"Location": f"{address}/v.mp4"})
    with pytest.raises(Unavailable, match="redirects too often"):
        read(client(api, Names(["127.0.0.1"])))
    assert {seen["path"] for seen in host.seen} == {"/v.mp4", "/%E8%88%B9.mp4"}


def test_another_host_is_asked_for_exactly_what_was_signed(api: StrangeApi, host: Host) -> None:
    target = "/a%2fb.mp4?name=100%&sig=a%2fb%3D"
    api.answer = lambda asked: Reply(302, headers={"Location": f"http://{HOST}:{host.port}{target}"})
    assert read(client(api, Names(["127.0.0.1"]))) == VIDEO
    assert [seen["path"] for seen in host.seen] == [target]


@pytest.mark.parametrize("origin", ["", "{url}"], ids=["relative", "absolute"])
@pytest.mark.parametrize("way", ["a job", "a redirect"])
def test_the_own_host_is_asked_for_exactly_what_was_signed(api: StrangeApi, origin: str, way: str) -> None:
    target = "/files/a%2fb.mp4?name=100%&sig=a%2fb%3D"
    address = origin.format(url=api.url) + target
    server = Server(api, job={"status": "completed", **({"url": address} if way == "a job" else {})})
    server.replies["content"] = Reply(404) if way == "a job" else Reply(302, headers={"Location": address})
    server.replies[""] = lambda asked: (
        Reply(200, VIDEO, content_type="video/mp4") if asked.path == target else Reply(403)
    )
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert [asked.path for asked in api.asked("")] == [target]


def test_white_space_around_an_address_is_no_part_of_it(api: StrangeApi, host: Host) -> None:
    server = Server(api, job={"status": "completed", "url": f"\n http://127.0.0.1:{host.port}/v.mp4 \n"})
    server.replies["content"] = Reply(404)
    line = StrangeLine(api, download_origins=[f"http://127.0.0.1:{host.port}"])
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED


def test_a_host_that_redirects_for_ever_or_nowhere_is_given_up(api: StrangeApi, host: Host) -> None:
    host.status, host.body = 302, b""
    api.answer = lambda asked: Reply(302, headers={"Location": f"http://{HOST}:{host.port}/v.mp4"})
    http = client(api, Names(["127.0.0.1"]))
    for location in (f"http://{HOST}:{host.port}/again", "", "ftp://x/", f"http://u@{HOST}/"):
        host.headers = {"Location": location}
        host.seen.clear()
        with pytest.raises(Unavailable):
            read(http)
        assert len(host.seen) <= 6


def test_the_addresses_of_this_test_are_what_they_seem() -> None:
    assert not is_public(ip_address("127.0.0.1"))
