"""The doctor's judgements that need no network: settings, host.json, retirement, and how it is all printed."""

from __future__ import annotations

import base64
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doctor.__main__ import APP, _without_secrets, run
from doctor.access_check import check_access
from doctor.backend_check import check_backend
from doctor.configuration import read_configuration
from doctor.download_forms import forms_of
from doctor.downloads import _key_header
from doctor.environment import read_environment
from doctor.findings import Finding, Mark, right, unknown, warning, wrong
from doctor.printer import Printer, Row
from doctor.retirement import check_retirement
from doctor.settings_check import NAMES, check_host_json, check_settings
from doctor.wire import Response
from video_jobs.media.images import LARGEST_BODY
from video_jobs.settings.backends import BackendSettings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FINE = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com",
    "AZURE_OPENAI_DEPLOYMENT": "sora",
    "AZURE_OPENAI_API_KEY": "a-key-of-mine",
}
IN_HOST_JSON = "AzureFunctionsJobHost"
API_KEYS = f"0123456789abcdefgh, tools:sha256:{'ab' * 32}"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"0" * 32).decode()


def settings_findings(folder: Path, **changes: str) -> list[Finding]:
    environment = {**FINE, **changes}
    read = read_environment(environment, folder)
    return list(check_settings(read, read_configuration(environment), APP))


def odd(findings: list[Finding]) -> list[tuple[Mark, str]]:
    return [
        (each.mark, f"{each.words} {each.advice or ''}") for each in findings if each.mark is not Mark.RIGHT
    ]


# --- settings ---


def test_fine_settings_have_nothing_odd(tmp_path: Path) -> None:
    assert odd(settings_findings(tmp_path)) == []


@pytest.mark.parametrize(
    ("changes", "mark", "words"),
    [
        (
            {"AZURE_OPENAI_ENDPOINT": "http://10.0.0.7:8000"},
            Mark.WARNING,
            "the key, prompts and videos travel unencrypted",
        ),
        (
            {"AZURE_OPENAI_ENDPOINT": "https://YOUR-RESOURCE.openai.azure.com"},
            Mark.WRONG,
            "the example's address",
        ),
        ({"AZURE_OPENAI_ENDPOINT": "https://api.openai.com"}, Mark.WARNING, "set the dialect openai-videos"),
        (
            {"AZURE_OPENAI_ENDPOINT": "https://api.openai.com"},
            Mark.WRONG,
            "https://api.openai.com/v1 in VIDEO",
        ),
        ({"AZURE_OPENAI_DEPLOYMENT": "sora-2"}, Mark.WARNING, "set the dialect openai-videos"),
        ({"AZURE_OPENAI_KEY": "x"}, Mark.WARNING, "Did you mean AZURE_OPENAI_API_KEY?"),
        ({"WEBHOOK_SECRET": "x"}, Mark.WARNING, "Did you mean WEBHOOK_SECRETS?"),
        ({"OPENAI_COMPAT_API_KEY": "x"}, Mark.WARNING, "Did you mean OPENAI_COMPAT_API_KEYS?"),
        ({"VIDEO_SOMETHING_ELSE_ALTOGETHER": "x"}, Mark.WARNING, "nothing reads it"),
        ({"FUNCTIONS_WORKER_RUNTIME": "node"}, Mark.WRONG, "Set it to python"),
        ({"VIDEO_CREATE_DEADLINE_SECONDS": "200"}, Mark.WARNING, "cuts the client's answer off at 230 s"),
        ({"VIDEO_CREATE_DEADLINE_SECONDS": "6"}, Mark.WARNING, "unknown outcome"),
        ({"VIDEO_FETCH_DEADLINE_SECONDS": "10"}, Mark.WARNING, "may never be fetched"),
        ({"AZURE_OPENAI_ENDPOINT": ""}, Mark.WRONG, "No video API is configured"),
        ({"AzureWebJobs.poll_job.Disabled": "True"}, Mark.WRONG, "poll_job is turned off"),
        ({"AzureWebJobs_sweep_jobs_Disabled": "1"}, Mark.WRONG, "sweep_jobs is turned off"),
        ({f"{IN_HOST_JSON}__functionTimeout": "00:05:00"}, Mark.WARNING, "its whole worker process along"),
        ({f"{IN_HOST_JSON}__extensions__queues__messageEncoding": "none"}, Mark.WRONG, "none would be under"),
    ],
)
def test_what_is_odd_about_settings_is_told(
    tmp_path: Path, changes: dict[str, str], mark: Mark, words: str
) -> None:
    found = odd(settings_findings(tmp_path, **changes))
    assert [each for each, text in found if words in text] == [mark]


def test_http_on_this_machine_is_nothing_odd(tmp_path: Path) -> None:
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000"):
        assert odd(settings_findings(tmp_path, AZURE_OPENAI_ENDPOINT=f"http://{host}")) == []


def test_a_backend_with_a_key_that_is_never_sent_is_told(tmp_path: Path) -> None:
    backend = {
        "name": "own",
        "dialect": "openai-videos",
        "base_url": "http://vllm:8000/v1",
        "model": "wan",
        "auth": "none",
    }
    found = odd(
        settings_findings(tmp_path, VIDEO_BACKENDS=json.dumps([{**backend, "api_key_setting": "K"}]), K="key")
    )
    assert ["prompts and videos travel" in text for _, text in found] == [True, False]
    assert "it is never sent" in found[1][1]


def test_the_doctor_knows_every_setting_of_its_prefixes() -> None:
    of_the_host = {
        "AzureWebJobsStorage",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
        "FUNCTIONS_WORKER_RUNTIME",
        "PYTHON_THREADPOOL_THREAD_COUNT",
    }
    assert set(EXAMPLE) - of_the_host <= set(NAMES)


@pytest.mark.parametrize(
    ("value", "mark", "words"),
    [
        ("", Mark.WARNING, "2.6 GB"),
        ("many", Mark.WRONG, "no number"),
        ("9" * 4000, Mark.WRONG, "no number"),
        (str(LARGEST_BODY - 1), Mark.WARNING, "bare 500"),
        (str(200 << 20), Mark.WARNING, "after it is in memory"),
        (EXAMPLE["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"], None, None),
    ],
)
def test_the_hosts_limit_of_a_body_is_judged(
    tmp_path: Path, value: str, mark: Mark | None, words: str | None
) -> None:
    found = settings_findings(tmp_path, WEBSITE_SITE_NAME="app", FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=value)
    told = [each for each in found if "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT" in each.words]
    assert [each.mark for each in told] == ([] if mark is None else [mark])
    assert all(words is not None and words in each.words for each in told)


def test_the_app_brings_a_host_json_that_fits() -> None:
    settings = read_configuration(FINE).settings
    assert [finding.mark for finding in check_host_json(ROOT / "host.json", settings, {})] == [Mark.RIGHT]


@pytest.mark.parametrize(
    ("document", "mark", "words"),
    [
        (None, Mark.WRONG, "is missing"),
        ("[", Mark.WRONG, "can't be read"),
        ({"extensions": 7}, Mark.WRONG, "can't be read"),
        ({"functionTimeout": "soon"}, Mark.WRONG, "can't be read"),
        ({"functionTimeout": "00:05:00"}, Mark.WARNING, "may take its whole worker process along"),
        ({"functionTimeout": "-1"}, Mark.WARNING, "maxPollingInterval is 60 s"),
        ({"extensions": {"queues": {"messageEncoding": "none"}}}, Mark.WRONG, "none would be understood"),
        ({"extensions": {"http": {"routePrefix": ""}}}, Mark.WARNING, "Set it to api"),
    ],
)
def test_a_host_json_that_does_not_fit_is_told(tmp_path: Path, document: Any, mark: Mark, words: str) -> None:
    path = tmp_path / "host.json"
    if document is not None:
        path.write_text(document if isinstance(document, str) else json.dumps(document))
    found = odd(list(check_host_json(path, read_configuration(FINE).settings, {})))
    assert [each for each, text in found if words in text] == [mark]


# --- who comes in ---


@pytest.mark.parametrize(
    ("changes", "mark", "words"),
    [
        ({}, Mark.RIGHT, "off, since OPENAI_COMPAT_API_KEYS is not set"),
        (
            {"OPENAI_COMPAT_API_KEYS": API_KEYS},
            Mark.RIGHT,
            "on for 2 keys, with the jobs of 'default', 'tools'",
        ),
        ({}, Mark.RIGHT, "whoever has a function key shares the jobs of 'default'"),
        ({"SIGN_IN": "easy-auth"}, Mark.WARNING, "everybody shares the jobs of the owner 'default'"),
        ({"WEBSITE_AUTH_ENABLED": "True"}, Mark.WARNING, "SIGN_IN is off: all of them share"),
        ({"SIGN_IN": "easy-auth", "WEBSITE_AUTH_ENABLED": "True"}, Mark.RIGHT, "has jobs of their own"),
        ({}, Mark.RIGHT, "as many jobs as they like"),
        (
            {"OWNER_JOBS_AT_ONCE": "5", "OWNER_JOBS_PER_DAY": "50"},
            Mark.RIGHT,
            "may have 5 jobs at once and 50 jobs a day",
        ),
        ({}, Mark.RIGHT, "none, since WEBHOOK_SECRETS is not set"),
        ({"WEBHOOK_SECRETS": WEBHOOK_SECRET}, Mark.RIGHT, "those that jobs name, signed with 1 secret"),
        (
            {"WEBHOOK_SECRETS": WEBHOOK_SECRET, "WEBHOOK_URL": "https://hooks.example/?k=1"},
            Mark.RIGHT,
            "each job's own, else the app's",
        ),
    ],
)
def test_who_comes_in_and_who_is_told_is_said_without_their_secrets(
    changes: dict[str, str], mark: Mark, words: str
) -> None:
    settings = read_configuration({**FINE, **changes}).settings
    assert settings is not None
    found = list(check_access(settings))
    assert [each.mark for each in found if words in each.words] == [mark]
    assert not re.search(r"0123456789|whsec_|\?k=1", repr(found))


# --- the file ---


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "can't be read"),
        ("[]", "can't be read"),
        ('{"Values": []}', "must be an object"),
        ('{"IsEncrypted": true, "Values": {"A": "x"}}', "func settings decrypt"),
        ('{"Values": {"VIDEO_RUNNING_LIMIT": 2}}', "quotation marks"),
    ],
)
def test_a_settings_file_that_can_not_be_used_is_told(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "local.settings.json").write_text(content)
    environment = dict(FINE)
    findings = read_environment(environment, tmp_path).findings
    assert findings[0].mark is Mark.WRONG
    assert words in f"{findings[0].words} {findings[0].advice}"
    assert environment == FINE


# --- retirement ---


def backend(base_url: str, dialect: str = "openai-videos", model: str = "m") -> BackendSettings:
    return BackendSettings.model_validate(
        {"name": "b", "dialect": dialect, "base_url": base_url, "model": model}
    )


@pytest.mark.parametrize(
    ("base_url", "dialect", "words"),
    [
        (
            "https://r.openai.azure.com/openai/v1/video/generations",
            "azure-sora",
            "Azure's model sora has been announced to end on 2026-02-28",
        ),
        (
            "https://r.openai.azure.com/openai/v1",
            "openai-videos",
            "sora-2 has been announced to end on 2026-10-15",
        ),
        (
            "https://api.openai.com/v1",
            "openai-videos",
            "with all its models, has been announced to end on 2026-09-24",
        ),
    ],
)
def test_known_ends_are_told_with_their_dates_and_what_to_do(base_url: str, dialect: str, words: str) -> None:
    (finding,) = check_retirement(backend(base_url, dialect), None, None, NOW)
    assert finding.mark is Mark.WARNING
    assert words in finding.words
    assert all(
        name in (finding.advice or "") for name in ("vLLM-Omni", "SGLang", "LiteLLM", "VIDEO_BACKENDS")
    )


def test_before_the_day_it_is_a_warning_too_and_of_others_nothing_is_known() -> None:
    azure = backend("https://r.openai.azure.com/openai/v1")
    (finding,) = check_retirement(azure, None, None, datetime(2026, 10, 1, tzinfo=UTC))
    assert "is announced to end on 2026-10-15" in finding.words
    (finding,) = check_retirement(backend("http://vllm:8000/v1"), None, None, NOW)
    assert finding.mark is Mark.RIGHT


def test_a_known_end_is_told_where_nothing_answers_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    away = [wrong("host", "api.openai.com can't be resolved.")]
    monkeypatch.setattr("doctor.backend_check.check_way", lambda *_: away)
    found = list(check_backend(backend("https://api.openai.com/v1"), "a-key", NOW))
    assert [finding.subject for finding in found] == ["host", "retirement", "API"]
    assert "2026-09-24" in found[1].words


def test_a_providers_own_address_is_not_called_misspelt(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr("doctor.network.socket.getaddrinfo", unknown)
    rented = BackendSettings.model_validate({"name": "openrouter", "dialect": "openrouter"})
    host, *_ = check_backend(rented, "a-key", NOW)
    assert host.words.startswith("openrouter.ai can't be resolved")
    assert "spelt" not in (host.advice or "")
    elsewhere = rented.model_copy(update={"base_url": "https://openroutr.example/v1"})
    host, *_ = check_backend(elsewhere, "a-key", NOW)
    assert "Is VIDEO_BACKENDS spelt right?" in (host.advice or "")


def test_what_the_resource_says_comes_first() -> None:
    azure = backend("https://r.openai.azure.com/openai/v1/video/generations", "azure-sora", "mine")

    def told(ends: datetime) -> Finding:
        entries = [{"id": "sora-2025-05-02", "deprecation": {"inference": int(ends.timestamp())}}]
        (finding,) = check_retirement(azure, {"data": [*entries, {"id": "sora-2"}, {}, 7]}, None, NOW)
        return finding

    assert told(datetime(2027, 3, 1, tzinfo=UTC)) == right(
        "retirement", "the resource says that the model is served until 2027-03-01"
    )
    assert told(datetime(2026, 3, 1, tzinfo=UTC)).mark is Mark.WRONG


# --- forms ---


@pytest.mark.parametrize("dialect", ["azure-sora", "openai-videos"])
def test_the_documented_forms_come_first_and_no_form_comes_twice(dialect: str) -> None:
    base_url = "https://r.openai.azure.com/openai/v1" + (
        "/video/generations" if dialect == "azure-sora" else ""
    )
    forms = list(forms_of(backend(base_url, dialect), "task_1", "gen_1", ["https://cdn.example/v.mp4?sig=1"]))
    assert [form.documented for form in forms] == sorted((form.documented for form in forms), reverse=True)
    assert len({form.url for form in forms}) == len(forms)
    assert all(form.words for form in forms)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\0\0\0\x18ftypisom", "video"),
        (b"\xff\xd8\xff\xe0", "picture"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "picture"),
        (b'  {"error": 1}', "JSON"),
        (b"<!DOCTYPE html><p>", "HTML"),
        (b"<?xml version", "XML"),
        (b"", "empty"),
        (b"Not found", "text"),
        (b"\0\1\2\3", "other bytes"),
    ],
)
def test_the_first_bytes_tell_what_a_body_is(body: bytes, kind: str) -> None:
    assert Response(status=200, body=body).kind == kind


# --- printing ---


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ALL = (
    right("a", "fine"),
    warning("b", "odd", "look"),
    wrong("c", "broken", "mend it"),
    unknown("d", "who knows"),
)


def printed(out: io.StringIO, **environment: str) -> str:
    printer = Printer(out, environment, ["s3cret-value"])
    printer.findings(ALL)
    return out.getvalue()


def test_colour_is_for_terminals_that_want_it() -> None:
    assert "\033[" in printed(Terminal())
    assert "\033[" not in printed(Terminal(), NO_COLOR="1")
    assert "\033[" not in printed(io.StringIO())


def test_each_finding_bears_a_mark_and_what_to_do() -> None:
    text = printed(io.StringIO())
    assert re.findall(r"^  (\S) (\w)", text, re.MULTILINE) == [("✓", "a"), ("!", "b"), ("✗", "c"), ("?", "d")]
    assert "→ mend it" in text


def test_a_terminal_without_such_characters_gets_others() -> None:
    bytes_out = io.BytesIO()
    out = io.TextIOWrapper(bytes_out, encoding="ascii")
    printer = Printer(out, {}, [])
    printer.findings(ALL)
    printer.paragraph("gen_… ✓ café")
    out.flush()
    text = bytes_out.getvalue().decode("ascii")
    assert "  x c" in text
    assert "-> mend it" in text
    assert "gen_... ? caf?" in text


def test_neither_secrets_nor_signatures_nor_control_characters_are_printed() -> None:
    out = io.StringIO()
    printer = Printer(out, {}, ["s3cret-value"])
    nasty = "a s3cret-value, https://x.example/v?sv=1&sig=abc%2Bdef \x1b[2J\n ende\u202e"
    printer.finding(wrong("x", nasty, nasty))
    printer.paragraph(nasty)
    printer.command(nasty)
    printer.title(nasty)
    printer.table((nasty,), [Row((nasty,), Mark.WRONG, nasty)])
    text = out.getvalue()
    assert not re.search(r"s3cret-value|abc%2B|\x1b|\u202e", text)
    assert text.count("[removed]") >= 12


def test_secrets_are_known_by_their_settings_names(tmp_path: Path) -> None:
    key = "QUJDREVGR0hJSktMTU5PUA=="
    environment = {
        "AzureWebJobsStorage": f"DefaultEndpointsProtocol=https;AccountName=account1;AccountKey={key}",
        "AzureWebJobsStorage__accountName": "account1",
        "AZURE_OPENAI_TOKEN_SCOPE": "https://ai.azure.com/.default",
        "SOME_SECRETS": "whsec_first111, whsec_second22",
        "MY_API_KEY": "0123456789",
        "OPENAI_COMPAT_API_KEYS": "tools:api-key-0123456789",
    }
    found = set(read_environment(environment, tmp_path).secrets())
    assert {key, "whsec_first111", "whsec_second22", "0123456789", "api-key-0123456789"} <= found
    assert not {"account1", "tools", "https://ai.azure.com/.default"} & found


def test_a_fault_of_our_own_is_told_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "a-very-secret-key")
    error = RuntimeError("GET https://x.example/?sig=abcdef with a-very-secret-key")
    _without_secrets(RuntimeError, error, None)
    told = capsys.readouterr().err
    assert "RuntimeError: GET https://x.example/?sig=[removed] with [removed]" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["--backend", "default"],
        ["--generation", ""],
        ["--generation", ".."],
        ["--generation", "a b"],
        ["--generation", "gen_1", "--orphans"],
    ],
)
def test_wrong_arguments_end_with_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(arguments, dict(FINE), tmp_path, io.StringIO())
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dialect", "header"),
    [
        ("azure-sora", '-H "api-key: $THE_KEY" '),
        ("openai-videos", '-H "Authorization: Bearer $THE_KEY" '),
        ("runway", '-H "Authorization: Bearer $THE_KEY" '),
        ("gemini", '-H "x-goog-api-key: $THE_KEY" '),
        ("fal", '-H "Authorization: Key $THE_KEY" '),
    ],
)
def test_the_curl_line_of_a_download_names_the_key_as_the_video_api_wants_it(
    dialect: Any, header: str
) -> None:
    backend = BackendSettings(
        name="b", dialect=dialect, base_url="https://api.example/v1", model="m", api_key_setting="THE_KEY"
    )
    assert _key_header(backend) == header
