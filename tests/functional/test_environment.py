"""The clients of storage and of video APIs take their proxy and their certificates from the environment, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from azure.core.exceptions import AzureError

from local.azurite_process import Azurite
from local.simulator.server import Simulator
from tests.functional.storage_adapters import settings_for
from tests.pipeline import API_KEY
from video_jobs.backends.http import BackendHttp
from video_jobs.backends.paid_post import post_once
from video_jobs.domain.errors import InvalidSettings, NotSent, Unauthorised, Unavailable
from video_jobs.settings.storage import StorageSettings
from video_jobs.storage.connection import StorageServices, connect

CALLS: dict[str, Callable[[StorageServices], object]] = {
    "blobs": lambda services: services.blobs.get_service_properties(),
    "queues": lambda services: services.queues.get_service_properties(),
    "tables": lambda services: services.tables.get_service_properties(),
}


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The addresses that a proxy, which the environment names, was asked for; it refuses each."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        do_POST = do_GET  # noqa: N815 - the base class names it

        def log_message(self, format: str, *arguments: object) -> None: ...

    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, daemon=True).start()
    yield asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("service", CALLS)
def test_storage_is_called_by_the_proxy_of_the_environment(
    azurite: Azurite, proxied: list[str], service: str
) -> None:
    services = connect(settings_for(azurite).storage, retry_total=0)
    with pytest.raises(AzureError):
        CALLS[service](services)
    assert len(proxied) == 1
    assert proxied[0].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("service", CALLS)
def test_a_host_that_needs_no_proxy_is_called_directly(
    azurite: Azurite, proxied: list[str], monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert CALLS[service](connect(settings_for(azurite).storage))
    assert proxied == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_storages_certificate_is_judged_by_the_authorities_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "authorities.pem"))
    text = "AccountName=a;AccountKey=a2V5;" + ";".join(
        f"{service}Endpoint=https://127.0.0.1:9/a" for service in ("Blob", "Queue", "Table")
    )
    with pytest.raises(InvalidSettings, match="certificates"):
        connect(StorageSettings(connection_string=text))
    (tmp_path / "authorities.pem").touch()
    services = connect(StorageSettings(connection_string=text), retry_total=0)
    (tmp_path / "authorities.pem").unlink()
    with pytest.raises(OSError, match="authorities"):
        services.blobs.get_service_properties()


def test_a_video_api_is_called_by_the_proxy_of_the_environment(proxied: list[str]) -> None:
    http = BackendHttp("http://video.invalid/v1", dict, {})
    with pytest.raises(Unauthorised):  # so the proxy answers
        http.get("/videos/1")
    with pytest.raises(Unauthorised):
        post_once(http, "/videos", 5.0)
    assert proxied == ["http://video.invalid/v1/videos/1", "http://video.invalid/v1/videos"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("HTTPS_PROXY", proxy)
            for proxy in ("http://", "http://[::1", "ftp://proxy.invalid", "socks5://p.invalid")
        ),
        ("REQUESTS_CA_BUNDLE", "/nowhere/authorities.pem"),
    ],
)
def test_an_environment_with_which_nothing_can_be_sent_leaves_no_doubt_that_nothing_was(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(NotSent, match="the proxy or the certificates"):
        post_once(BackendHttp("https://video.invalid/v1", dict, {}), "/videos", 5.0)


def test_a_key_from_netrc_never_replaces_the_video_apis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_simulator: Simulator
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    http = BackendHttp(f"{shared_simulator.url}/v1", lambda: {"Authorization": f"Bearer {API_KEY}"}, {})
    assert http.get("/videos").body["object"] == "list"


def test_a_video_apis_certificate_is_judged_by_the_authorities_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authorities.pem")
    with pytest.raises(Unavailable):
        BackendHttp("https://127.0.0.1:9/v1", dict, {}).get("/videos")


def test_a_proxy_is_asked_for_exactly_what_was_signed(proxied: list[str]) -> None:
    http = BackendHttp("http://api.example.test/v1", dict, {})
    with pytest.raises(Unauthorised), http.open_address("/a%2fb.mp4?name=100%&sig=a%2fb", 5):
        pass
    assert proxied == ["http://api.example.test/a%2fb.mp4?name=100%&sig=a%2fb"]
