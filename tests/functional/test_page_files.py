"""The page's files as they travel: which there are, what the browser is told of them, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from http_edge.static_files import takes_gzip
from local.azurite_process import Azurite
from local.function_host.host import FunctionHost
from local.function_host.host_json import HostJson
from tests.whole_app import fresh_app
from web.bundle import script_of
from web.policy import security_headers

STATIC = Path(__file__).resolve().parents[2] / "web" / "static"
PAGES = {"index.html": "studio", "operations.html": "operations", "help.html": "help"}
SERVED = {
    *PAGES,
    "studio.js",
    "studio.css",
    "operations.js",
    "plain.css",
    "theme.js",
    "icons.svg",
    "logo.svg",
}
SOURCES = {path.name: path.read_text() for path in STATIC.iterdir()}


@pytest.fixture(scope="module")
def studio(azurite: Azurite) -> Iterator[str]:
    with (
        pytest.MonkeyPatch.context() as patch,
        FunctionHost(fresh_app(), azurite.connection_string, HostJson()) as host,
    ):
        patch.setenv("AzureWebJobsStorage", azurite.connection_string)
        patch.setenv("AZURE_OPENAI_ENDPOINT", "https://example.test")
        patch.setenv("AZURE_OPENAI_DEPLOYMENT", "sora")
        patch.setenv("AZURE_OPENAI_API_KEY", "a-key")
        yield f"{host.url}/api/studio"


@pytest.mark.parametrize("name", ["", *(f"/{name}" for name in sorted(SERVED))])
def test_each_file_is_served_as_what_it_is_and_only_once(studio: str, name: str) -> None:
    answer = requests.get(studio + name, timeout=10)
    assert answer.status_code == 200
    kind = {"": "text/html", ".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
    assert answer.headers["content-type"].startswith(kind.get(Path(name).suffix, "image/svg+xml"))
    assert answer.headers["content-encoding"] == "gzip"
    if name.strip("/") in SOURCES and name not in ("/operations.js", "/plain.css"):  # joined of several
        assert answer.text == SOURCES[name.strip("/")]
    again = requests.get(studio + name, headers={"If-None-Match": answer.headers["etag"]}, timeout=10)
    assert (again.status_code, again.content) == (304, b"")
    plain = requests.get(studio + name, headers={"Accept-Encoding": "identity"}, timeout=10)
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        "nothing.js",
        "../files.py",
        "..%2ffiles.py",
        "%2e%2e%2ffiles.py",
        "..%5cfiles.py",
        "%2fetc%2fpasswd",
        "static/theme.js",
        "app.js",
        "base.css",
        "studio.js%00",
        "STUDIO.JS",
        "__init__.py",
    ],
)
def test_nothing_but_the_files_is_served(studio: str, path: str) -> None:
    session = requests.Session()
    request = session.prepare_request(requests.Request("GET", studio))
    request.url = f"{studio}/{path}"  # as it is: the library would tidy it up
    assert session.send(request, timeout=10).status_code == 404


def test_the_browser_may_load_from_the_app_and_its_storage_only(studio: str, azurite: Azurite) -> None:
    headers = requests.get(studio, timeout=10).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    storage = azurite.blob_endpoint.rpartition("/")[0]
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == f"'self' blob: {storage}"
    assert policy["media-src"] == storage
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"


def test_the_page_is_there_to_say_what_is_wrong_with_the_settings(
    studio: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", "")
    answer = requests.get(studio, timeout=10)
    assert answer.status_code == 200
    assert "media-src 'none'" in answer.headers["content-security-policy"]


def test_without_storage_nothing_but_the_app_is_named() -> None:
    assert "http" not in security_headers(None)["Content-Security-Policy"]


def test_nothing_stands_inline_and_no_text_becomes_markup() -> None:
    for name in PAGES:
        shell = SOURCES[name]
        assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:|https?://", shell)
        assert not re.search(r"<script(?![^>]* src=)", shell)
    for name, source in SOURCES.items():
        if name.endswith(".js"):
            markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
            assert not re.search(markup, source), name


def test_the_page_takes_few_requests() -> None:
    for name in PAGES:
        named = set(re.findall(r'(?:src|href)="/api/studio/([\w-]+\.\w+)', SOURCES[name]))
        assert named <= SERVED - {*PAGES}
        assert len(named) <= 6


def test_every_module_and_sheet_is_in_the_files_that_are_served(studio: str) -> None:
    for ending, files in ((".js", ("studio.js", "operations.js")), (".css", ("studio.css", "plain.css"))):
        joined = "".join(requests.get(f"{studio}/{file}", timeout=10).text for file in files)
        for name, source in SOURCES.items():
            last = source.rstrip().splitlines()[-1].removeprefix("export ")
            assert not name.endswith(ending) or name == "theme.js" or last in joined, name


def test_modules_that_can_not_be_joined_are_refused(tmp_path: Path) -> None:
    def written(name: str, source: str) -> Path:
        (tmp_path / name).write_text(source)
        return tmp_path / name

    written("a.js", 'import { b } from "./b.js";\nexport const a = 1;\n')
    written("b.js", 'import { a } from "./a.js";\nexport const b = a;\n')
    with pytest.raises(ValueError, match="imports itself"):
        script_of(tmp_path / "a.js")
    for odd in ('import "./b.js";', "export default 1;", 'export { b } from "./b.js";', 'import b from "b";'):
        with pytest.raises(ValueError, match="another form"):
            script_of(written("odd.js", f"{odd}\n"))


def test_every_icon_that_is_named_is_in_the_sprite() -> None:
    there = set(re.findall(r'<symbol id="(\w+)"', SOURCES["icons.svg"]))
    assert set(re.findall(r"icons\.svg#(\w+)", SOURCES["index.html"])) <= there


@pytest.mark.parametrize(
    ("header", "taken"),
    [("gzip, br", True), ("br;q=1, GZIP;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
def test_what_is_compressed_is_what_the_client_takes(header: str, taken: bool) -> None:
    assert takes_gzip(header) is taken
