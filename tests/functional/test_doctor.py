"""The doctor, with each thing broken in turn: what it says, its exit code, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.transport import RequestsTransport

from doctor.__main__ import ALL_RIGHT, SOMETHING_WRONG, USAGE, run
from doctor.findings import Finding, Mark
from doctor.gate_check import check_gate
from doctor.network import check_way
from doctor.storage_check import check_storage
from doctor.storage_probes import PREFIX, probe_blobs, probe_name, probe_queues, probe_tables
from doctor.subject import find_claim
from job_api.import_job import read_import
from local.azurite_process import Azurite
from local.simulator.faults import Fault
from local.simulator.server import Simulator
from tests.cases import EACH_DIALECT
from tests.functional.certificates import Authority, tls_server
from tests.functional.storage_adapters import a_job, a_name, settings_for
from tests.leaks import secrets_in
from tests.pipeline import API_KEY, SMALL, environment_for
from video_jobs.backends.registry import Backends
from video_jobs.domain.errors import NotSent
from video_jobs.domain.gate import ClosureReason, close, pause
from video_jobs.domain.job import BackendRef, VideoRequest
from video_jobs.ports import Claim
from video_jobs.settings.app import Settings
from video_jobs.storage.claims import CLAIMS_TABLE, TableClaims
from video_jobs.storage.connection import StorageServices, connect
from video_jobs.storage.gates import GATES_TABLE, TableGates
from video_jobs.storage.jobs import JOBS_TABLE
from video_jobs.wiring import build, utc_now

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Report:
    exit_code: int
    text: str

    def __contains__(self, words: str) -> bool:
        """However the lines are broken."""
        return " ".join(words.split()) in " ".join(self.text.split())


class Office:
    """A doctor's, over the simulated video API and Azurite."""

    def __init__(self, simulator: Simulator, azurite: Azurite, folder: Path) -> None:
        self.simulator = simulator
        self.azurite = azurite
        self.folder = folder
        self.clock: Callable[[], datetime] = utc_now
        self.secrets = [azurite.account_key]

    def visit(self, *arguments: str, dialect: str = "azure-sora", **changes: str) -> Report:
        settings = {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "VIDEO_DOWNLOAD_ORIGINS": self.simulator.signed_origin,  # on one machine no host is public
            **changes,
        }
        environment = environment_for(self.simulator, dialect, **settings)
        out = io.StringIO()
        exit_code = run(arguments, environment, self.folder, out, self.clock)
        text = out.getvalue()
        assert secrets_in(text) == []
        assert not any(secret in text for secret in self.secrets)
        assert "\033" not in text
        return Report(exit_code, text)

    def fault(self, operation: str, **effects: Any) -> None:
        self.simulator.faults.add([Fault.read({"operation": operation, "times": -1, **effects})])

    def backend_job(self, dialect: str, *, finished: bool = True, **changes: Any) -> str:
        """The id of one that somebody else has made."""
        backends = Backends(Settings.from_environment(environment_for(self.simulator, dialect)))
        ref, limits = backends.choose(None)
        body = {**SMALL[dialect], **changes}
        wanted: VideoRequest = limits.complete(body["prompt"], body["size"], body["seconds"], None, None)
        made = backends.client(ref).create(wanted, {}, 10)
        if finished:
            for job in self.simulator.world.everything():
                for output in job.outputs:
                    output.rendering.result()
            self.simulator.world.clock.advance(100)
        return made.id

    def base_url(self, dialect: str) -> str:
        settings = Settings.from_environment(environment_for(self.simulator, dialect))
        return settings.backends[0].base_url


@pytest.fixture
def office(simulator: Simulator, azurite: Azurite, tmp_path: Path) -> Office:
    return Office(simulator, azurite, tmp_path)


@pytest.fixture(autouse=True)
def nothing_is_left_in_storage(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "azurite" in request.fixturenames:
        assert probes_in(connect(settings_for(request.getfixturevalue("azurite")).storage)) == []


def probes_in(storage: StorageServices) -> list[str]:
    names = [table.name for table in storage.tables.list_tables()]
    names += [queue.name for queue in storage.queues.list_queues()]
    names += [container.name for container in storage.blobs.list_containers()]
    return [name for name in names if name.startswith(PREFIX)]


# --- all is well ---


def test_a_list_that_shows_no_prompts_is_not_said_to_settle_unknown_outcomes(office: Office) -> None:
    office.backend_job("openai-videos")
    shown = office.visit(dialect="openai-videos")
    assert "shows prompts: unknown outcomes are cleared up from it" in shown
    office.simulator.world.change({"hide_prompt": True})
    hidden = office.visit(dialect="openai-videos")
    assert "shows no prompts" in hidden
    assert "cleared up from it" not in hidden


@pytest.mark.parametrize(
    "leads_to", ["http://127.0.0.1:{port}/private", "http://127.0.0.1:{port}\\@{own}/private"]
)
def test_no_address_that_an_api_names_leads_the_doctor_to_a_private_host_or_the_key_to_a_stranger(
    office: Office, leads_to: str
) -> None:
    video = office.backend_job("openai-videos")
    port = office.simulator.signed_origin.rpartition(":")[2]
    link = leads_to.format(port=port, own=office.simulator.url.removeprefix("http://"))
    office.fault("video", status=404)
    office.fault("get", status=200, body={"id": video, "status": "completed", "url": link})
    before = len(office.simulator.world.ledger.calls())
    report = office.visit(
        "--generation", video, dialect="openai-videos", VIDEO_DOWNLOAD_ORIGINS="http://other.example"
    )
    calls = office.simulator.world.ledger.calls()[before:]
    assert [call for call in calls if "private" in call["path"]] == []
    assert "not on the public internet" in report or "can't be used" in report


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_what_is_right_is_said_and_nothing_is_paid_for(office: Office, dialect: str) -> None:
    office.simulator.world.change({"deployments": ["sora"]})
    report = office.visit(dialect=dialect)
    assert report.exit_code == ALL_RIGHT, report.text
    for words in (
        "complete and well-formed",
        "key from AZURE_OPENAI_API_KEY (the environment)",
        "a table was made, written, read, changed, listed and deleted",
        "a queue was made, a message sent, received and deleted",
        "also through a signed URL",
        "the key is accepted",
        "its list of jobs can be read",
        "'sora' exists" if dialect == "azure-sora" else "'sora' is among those that the server lists",
        "open, 0 ",
        "it costs money: not tried",
        "All is right: 0 wrong",
    ):
        assert words in report, report.text
    calls = office.simulator.world.ledger.calls()
    assert {call["method"] for call in calls} == {"GET"}
    assert office.simulator.world.everything() == []


def test_every_backend_is_looked_at(office: Office) -> None:
    backends = [
        {"name": "gpu", "dialect": "openai-videos", "model": "wan", "base_url": f"{office.simulator.url}/v1"},
        {
            "name": "open",
            "dialect": "openai-videos",
            "model": "w",
            "base_url": "http://127.0.0.1:9/v1",
            "auth": "none",
        },
    ]
    backends[0]["api_key_setting"] = "GPU_KEY"
    report = office.visit(VIDEO_BACKENDS=json.dumps(backends), GPU_KEY=API_KEY)
    assert report.exit_code == SOMETHING_WRONG
    for words in (
        "Backend 'default'",
        "Backend 'gpu'",
        "Backend 'open'",
        "key from GPU_KEY (the environment)",
    ):
        assert words in report
    assert "refuses connections on port 9" in report


@pytest.mark.exhaustive
def test_beside_a_deployment_it_reads_the_environment_and_the_file(office: Office) -> None:
    values = environment_for(
        office.simulator, "azure-sora", AzureWebJobsStorage=office.azurite.connection_string
    )
    file = {"IsEncrypted": False, "Values": {**values, "FUNCTIONS_WORKER_RUNTIME": "python"}}
    (office.folder / "local.settings.json").write_text(json.dumps(file))
    clean = {name: value for name, value in os.environ.items() if name not in values}

    def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "doctor", *arguments],
            cwd=office.folder,
            env={**clean, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = doctor()
    assert done.returncode == ALL_RIGHT, done.stdout + done.stderr
    assert "local.settings.json gives" in " ".join(done.stdout.split())
    assert "key from AZURE_OPENAI_API_KEY (local.settings.json)" in " ".join(done.stdout.split())
    done = doctor(AZURE_OPENAI_API_KEY="another-key")
    assert done.returncode == SOMETHING_WRONG
    assert "its own values for these settings, and they are used: AZURE_OPENAI_API_KEY" in " ".join(
        done.stdout.split()
    )
    assert "another-key" not in done.stdout
    assert doctor("--nonsense").returncode == USAGE


# --- settings ---


def test_every_problem_of_the_settings_is_told_at_once_and_the_rest_is_checked(office: Office) -> None:
    report = office.visit(AZURE_OPENAI_DEPLOYMENT="", VIDEO_CREATE_DEADLINE_SECONDS="1", RETENTION_DAYS="x")
    assert report.exit_code == SOMETHING_WRONG
    for words in (
        "AZURE_OPENAI_DEPLOYMENT is not set",
        "VIDEO_CREATE_DEADLINE_SECONDS is '1'",
        "RETENTION_DAYS",
    ):
        assert words in report
    assert "a table was made" in report


def test_without_storage_the_backends_are_checked(office: Office) -> None:
    report = office.visit(AzureWebJobsStorage="")
    assert report.exit_code == SOMETHING_WRONG
    assert "Storage is not configured" in report
    assert "the key is accepted" in report


def test_a_missing_key_is_told_and_the_host_is_looked_at(office: Office) -> None:
    backend = {
        "name": "other",
        "dialect": "openai-videos",
        "model": "w",
        "base_url": f"{office.simulator.url}/v1",
    }
    backends = json.dumps([{**backend, "api_key_setting": "OTHER_KEY"}])
    report = office.visit(VIDEO_BACKENDS=backends)
    assert report.exit_code == SOMETHING_WRONG
    assert "takes its key from OTHER_KEY, which is not set" in report
    assert "OTHER_KEY is missing, so nothing more can be asked" in report
    for arguments in (("--orphans", "--backend", "other"), ("--generation", "video_1", "--backend", "other")):
        report = office.visit(*arguments, VIDEO_BACKENDS=backends)
        assert report.exit_code == SOMETHING_WRONG
        assert "missing" in report


# --- the way to the video API ---


def test_a_host_that_does_not_exist_is_told(office: Office) -> None:
    report = office.visit(AZURE_OPENAI_ENDPOINT="https://no-such-resource.invalid")
    assert report.exit_code == SOMETHING_WRONG
    assert "no-such-resource.invalid can't be resolved" in report
    assert "Is AZURE_OPENAI_ENDPOINT spelt right?" in report
    assert "nothing more can be told before that is mended" in report


def test_a_port_that_refuses_is_told(office: Office) -> None:
    report = office.visit(AZURE_OPENAI_ENDPOINT="http://127.0.0.1:9")
    assert report.exit_code == SOMETHING_WRONG
    assert "refuses connections on port 9" in report


@pytest.mark.parametrize(
    ("names", "days", "known", "mark", "words"),
    [
        (("127.0.0.1",), 90, True, Mark.RIGHT, "valid until"),
        (("127.0.0.1",), 3, True, Mark.WARNING, "ends in 2 days"),
        (("127.0.0.1",), -2, True, Mark.WRONG, "has expired, on "),
        (
            ("elsewhere.example", "other.example"),
            90,
            True,
            Mark.WRONG,
            "another name than 127.0.0.1: for elsewhere.example",
        ),
        (("127.0.0.1",), 90, False, Mark.WRONG, "is self-signed"),
    ],
)
def test_certificates_are_judged_in_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    days: float,
    known: bool,
    mark: Mark,
    words: str,
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
    with tls_server(authority.certificate(*names, days=days, known=known)) as url:
        host, tls = check_way(url, "AZURE_OPENAI_ENDPOINT")
    assert host.mark is Mark.RIGHT
    assert (tls.mark, tls.subject) == (mark, "TLS")
    assert words in tls.words
    assert (tls.advice is None) == (mark is Mark.RIGHT)


def test_an_authority_that_nobody_knows_is_told(office: Office, tmp_path: Path) -> None:
    with tls_server(Authority(tmp_path).certificate("127.0.0.1")) as url:
        report = office.visit(AZURE_OPENAI_ENDPOINT=url)
    assert report.exit_code == SOMETHING_WRONG
    assert "an authority that is not known here" in report
    assert "REQUESTS_CA_BUNDLE" in report


def test_plain_http_behind_https_is_told(tmp_path: Path) -> None:
    with tls_server(None) as url:
        tls = check_way(url, "AZURE_OPENAI_ENDPOINT")[1]
    assert tls.mark is Mark.WRONG
    assert "breaks the TLS handshake off" in tls.words


def test_a_proxy_is_named_and_the_way_behind_it_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://somebody:secret@proxy.example:3128")
    (host,) = check_way("https://no-such-resource.invalid", "AZURE_OPENAI_ENDPOINT")
    assert host == Finding(Mark.RIGHT, "host", "reached through the proxy proxy.example:3128")


@pytest.mark.parametrize(
    "proxy", ["http://somebody:s3/cret@proxy.example:3128", "somebody:s3/cret@proxy.example:1", "http://[::1"]
)
def test_of_a_proxy_that_can_not_be_read_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    [host] = check_way("https://api.example/v1", "VIDEO_BACKENDS")
    assert host.mark is Mark.WRONG
    assert "s3" not in repr(host)


# --- what the video API answers ---

WRONG_HTML = {"body": "<html><title>Please sign in</title></html>"}
REFUSED = {
    "body": {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}
}
MISSING = {
    "body": {
        "code": "DeploymentNotFound",
        "message": "The API deployment 'sora' for this resource does not exist.",
    }
}
RETIRED = {"body": {"code": "ModelRetired", "message": "The model 'sora' has been retired."}}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 401}, ["does not take the key", "Copy the key again into AZURE_OPENAI_API_KEY"]),
        ({"status": 403, **REFUSED}, ["the key is known, and this is not allowed", "network rules"]),
        ({"status": 404, **MISSING}, ["'sora' is missing", "AZURE_OPENAI_DEPLOYMENT"]),
        ({"status": 410, **RETIRED}, ["gone for good", "vLLM-Omni", "SGLang", "LiteLLM"]),
        ({"status": 200, **WRONG_HTML}, ["a web page", "Please sign in"]),
        ({"status": 502, **WRONG_HTML}, ["it can't right now", "502"]),
        ({"status": 200, "body": {"hello": "world"}}, ["no video API of"]),
        ({"redirect": "https://login.example/?sig=0123456789"}, ["redirects to login.example"]),
        ({"drop": True}, ["no answer"]),
        ({"status": 418}, ["it answers 418"]),
    ],
)
@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_what_the_video_api_refuses_with_is_told_apart(
    office: Office, dialect: str, fault: dict[str, Any], words: list[str]
) -> None:
    office.fault("list", **fault)
    report = office.visit(dialect=dialect)
    assert report.exit_code == SOMETHING_WRONG
    for each in words:
        assert each in report, report.text


def test_a_wrong_key_is_told_and_never_repeated(office: Office) -> None:
    office.secrets.append("a-wrong-key-0123")
    office.fault("list", status=401, body={"error": {"message": "The key a-wrong-key-0123 is not known."}})
    report = office.visit(AZURE_OPENAI_API_KEY="a-wrong-key-0123")
    assert report.exit_code == SOMETHING_WRONG
    assert "does not take the key" in report
    assert "[removed] is not known" in report


def test_an_identity_that_can_not_sign_in_is_told_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signer(*_: Any) -> Callable[[], Any]:
        def sign() -> Any:
            raise NotSent("No Entra token for the backend 'default'.")

        return sign

    for place in ("doctor.backend_check", "doctor.downloads", "video_jobs.backends.registry"):
        monkeypatch.setattr(f"{place}.signer", signer)
    for arguments in ((), ("--generation", "gen_1"), ("--orphans",)):
        report = office.visit(*arguments, AZURE_OPENAI_API_KEY="")
        assert report.exit_code == SOMETHING_WRONG
        assert report.text.count("No Entra token") == 1


def test_a_busy_video_api_is_no_fault_of_ours(office: Office) -> None:
    office.fault("list", status=429)
    report = office.visit()
    assert report.exit_code == ALL_RIGHT
    assert "it is busy" in report


def test_a_server_that_wants_a_key_and_gets_none_is_told(office: Office) -> None:
    backend = {
        "name": "own",
        "dialect": "openai-videos",
        "model": "w",
        "base_url": f"{office.simulator.url}/v1",
    }
    backends = json.dumps([{**backend, "auth": "none"}])
    report = office.visit(VIDEO_BACKENDS=backends, AZURE_OPENAI_ENDPOINT="")
    assert report.exit_code == SOMETHING_WRONG
    assert "it wants a key, and auth is 'none'" in report


@pytest.mark.parametrize("status", [404, 405, 501, 422])
@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_a_server_without_a_list_is_known_by_what_it_says_of_an_unknown_id(
    office: Office, dialect: str, status: int
) -> None:
    office.fault("list", status=status, body={"detail": "Not here"})
    report = office.visit(dialect=dialect)
    assert report.exit_code == ALL_RIGHT, report.text
    assert "the key is accepted" in report
    assert f"keeps no list of jobs (it answers {status})" in report


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_an_address_with_nothing_behind_it_is_told(office: Office, dialect: str) -> None:
    report = office.visit(AZURE_OPENAI_ENDPOINT=f"{office.simulator.url}/elsewhere", dialect=dialect)
    assert report.exit_code == SOMETHING_WRONG
    assert f"it knows no path of {dialect}" in report


def test_a_deployment_that_is_not_there_is_told_with_those_that_are(office: Office) -> None:
    office.simulator.world.change({"deployments": ["my-sora", "other"]})
    report = office.visit()
    assert report.exit_code == SOMETHING_WRONG
    assert "'sora' is missing" in report
    assert "it has: my-sora, other" in report
    report = office.visit(dialect="openai-videos")
    assert report.exit_code == ALL_RIGHT
    assert "'sora' is not among those that the server lists: my-sora, other" in report


def test_a_model_that_the_resource_says_is_retired_is_wrong(office: Office) -> None:
    office.simulator.world.change({"deployments": ["sora"], "retired": True})
    report = office.visit()
    assert report.exit_code == SOMETHING_WRONG
    assert "has been retired since" in report
    assert "VIDEO_BACKENDS" in report


def test_a_gate_that_is_shut_says_why_and_how_to_open_it(office: Office) -> None:
    names = [a_name("gate") for _ in range(4)]
    gates = build(settings_for(office.azurite)).gates
    now = utc_now()
    paused, closed, busy, unpaid = (gates.get(name) for name in names)
    gates.save(unpaid, close(unpaid.gate, now, ClosureReason.ACCOUNT, "No money is left.", None))
    gates.save(paused, pause(paused.gate, now))
    gates.save(closed, close(closed.gate, now, ClosureReason.MISCONFIGURED, "The key is not taken.", None))
    gates.save(busy, close(busy.gate, now, ClosureReason.BUSY, "Too many tasks.", 300))
    backend = {
        "dialect": "openai-videos",
        "model": "w",
        "base_url": f"{office.simulator.url}/v1",
        "api_key_setting": "K",
    }
    backends = json.dumps([{"name": name, **backend} for name in names])
    report = office.visit(VIDEO_BACKENDS=backends, AZURE_OPENAI_ENDPOINT="", K=API_KEY)
    assert "paused by an operator" in report
    assert f"POST /api/backends/{names[0]}/resume" in report
    assert "The key is not taken. → Mend that" in report
    assert "No money is left. → Mend that" in report
    assert "Too many tasks. → It opens by itself." in report
    assert report.exit_code == ALL_RIGHT


# --- storage ---


def test_a_wrong_storage_key_is_told_for_each_kind(office: Office) -> None:
    wrong = office.azurite.connection_string.replace(office.azurite.account_key, "d3Jvbmc=")
    report = office.visit(AzureWebJobsStorage=wrong)
    assert report.exit_code == SOMETHING_WRONG
    for kind, step in (
        ("tables", "creating a table"),
        ("queues", "creating a queue"),
        ("blobs", "creating a container"),
    ):
        assert re.search(rf"✗ {kind} .*?403.*?the key is not taken.*?{step}", report.text, re.DOTALL)
    assert "Copy the connection string again" in report


@pytest.mark.parametrize("kind", ["blob", "queue", "table"])
def test_one_kind_that_is_away_is_told_from_the_others(office: Office, kind: str) -> None:
    endpoint = getattr(office.azurite, f"{kind}_endpoint")
    away = office.azurite.connection_string.replace(
        endpoint, f"http://127.0.0.1:9/{office.azurite.account_name}"
    )
    report = office.visit(AzureWebJobsStorage=away)
    assert report.exit_code == SOMETHING_WRONG
    assert f"✗ {kind}s 127.0.0.1 is 127.0.0.1, and refuses connections on port 9" in report
    assert all(f"✓ {other}s" in report for other in {"blob", "queue", "table"} - {kind})


def test_an_account_that_does_not_exist_is_told(office: Office) -> None:
    elsewhere = "https://nosuchaccount.table.invalid"
    missing = office.azurite.connection_string.replace(office.azurite.table_endpoint, elsewhere)
    report = office.visit(AzureWebJobsStorage=missing)
    assert report.exit_code == SOMETHING_WRONG
    assert "nosuchaccount.table.invalid can't be resolved" in report


def test_an_endpoint_of_another_kind_is_told(office: Office) -> None:
    swapped = office.azurite.connection_string.replace(
        office.azurite.queue_endpoint, office.azurite.blob_endpoint
    )
    report = office.visit(AzureWebJobsStorage=swapped)
    assert report.exit_code == SOMETHING_WRONG
    assert re.search(r"✗ queues\s+what answers is not this service of Azure Storage", report.text)


@pytest.mark.parametrize(
    ("minutes", "side", "exit_code"),
    [(20, "ahead of", SOMETHING_WRONG), (-20, "behind", SOMETHING_WRONG), (5, "ahead of", ALL_RIGHT)],
)
def test_a_clock_that_is_off_is_told(office: Office, minutes: int, side: str, exit_code: int) -> None:
    ahead = timedelta(minutes=minutes, seconds=20 if minutes > 0 else -20)
    office.clock = lambda: utc_now() + ahead
    report = office.visit()
    assert f"this machine's clock is {abs(minutes)} minutes {side} the service's" in report
    assert "NTP" in report
    assert report.exit_code == exit_code


class Refusing(RequestsTransport):
    """Carries calls to one port out, and answers them with a refusal."""

    def __init__(self, endpoint: str, status: int, code: str) -> None:
        super().__init__()
        self._endpoint, self._status, self._code = endpoint, status, code

    def send(self, request: Any, **kwargs: Any) -> Any:
        response = super().send(request, **kwargs)
        if request.url.startswith(self._endpoint):
            response.status_code = self._status
            response.headers["x-ms-error-code"] = self._code
        return response


@pytest.mark.parametrize(
    ("kind", "status", "code", "identity", "words", "advice"),
    [
        (
            "queue",
            403,
            "AuthorizationPermissionMismatch",
            True,
            "has no role for queues",
            "Storage Queue Data Contributor",
        ),
        (
            "table",
            403,
            "AuthorizationPermissionMismatch",
            True,
            "has no role for tables",
            "Storage Table Data Contributor",
        ),
        ("blob", 403, "AuthorizationFailure", True, "this network is not let in", "network rules"),
        (
            "blob",
            403,
            "KeyBasedAuthenticationNotPermitted",
            False,
            "takes no keys",
            "AzureWebJobsStorage__accountName",
        ),
        ("table", 401, "InvalidAuthenticationInfo", True, "the token is not taken", "tenant"),
        ("queue", 403, "AccountIsDisabled", False, "is disabled", "subscription"),
        ("table", 400, "InvalidHeaderValue", False, "this version of the protocol", "--skipApiVersionCheck"),
        ("queue", 404, "ResourceNotFound", False, "no such account or kind of storage", "endpoint"),
        ("blob", 503, "ServerBusy", False, "it can't right now", "throttled"),
    ],
)
def test_a_refusal_of_one_kind_is_told_in_words(
    azurite: Azurite, kind: str, status: int, code: str, identity: bool, words: str, advice: str
) -> None:
    transport = Refusing(getattr(azurite, f"{kind}_endpoint"), status, code)
    storage = connect(settings_for(azurite).storage, transport=transport, retry_total=0)
    if identity:
        storage = storage._replace(account_key=None)
    findings = {finding.subject: finding for finding in check_storage(storage, utc_now)}
    told = findings[f"{kind}s"]
    assert told.mark is Mark.WRONG
    assert words in told.words
    assert f"{status} {code}" in told.words
    assert advice in (told.advice or "")
    well = [finding for subject, finding in findings.items() if subject not in (f"{kind}s", "blobs")]
    assert all(finding.mark is Mark.RIGHT for finding in well)


def test_storage_that_no_app_has_used_has_an_open_gate_and_no_claim(azurite: Azurite) -> None:
    settings = settings_for(azurite)
    without_tables = Refusing(azurite.table_endpoint, 404, "TableNotFound")
    storage = connect(settings.storage, transport=without_tables, retry_total=0)
    gate = check_gate(TableGates(storage.tables), settings.backends[0], utc_now())
    assert gate.mark is Mark.RIGHT
    assert gate.words.startswith("open, 0 ")
    assert find_claim(TableClaims(storage.tables), "https://nowhere.invalid", "task_1") is None


def test_an_identity_that_may_not_sign_is_told_with_the_role(azurite: Azurite) -> None:
    # Azurite gives no user delegation key to who comes with the account's.
    storage = connect(settings_for(azurite).storage, retry_total=0)._replace(account_key=None)
    blobs = [finding for finding in check_storage(storage, utc_now) if finding.subject == "blobs"]
    assert [finding.mark for finding in blobs] == [Mark.WRONG]
    assert "while asking for a user delegation key" in blobs[0].words


@pytest.mark.parametrize("interrupted_at", range(1, 12))
def test_an_interruption_leaves_nothing(azurite: Azurite, interrupted_at: int) -> None:
    storage = connect(settings_for(azurite).storage)
    for probe in (
        lambda doing: probe_tables(storage.tables, utc_now(), doing),
        lambda doing: probe_queues(storage.queues, utc_now(), doing),
        lambda doing: probe_blobs(storage.blobs, utc_now(), storage.account_key, doing),
    ):
        steps: list[str] = []

        def doing(what: str, steps: list[str] = steps) -> None:
            steps.append(what)
            if len(steps) == interrupted_at:
                raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            probe(doing)
        assert probes_in(storage) == []


def test_what_a_killed_run_left_goes_with_the_next_one_and_a_running_ones_stays(azurite: Azurite) -> None:
    storage = connect(settings_for(azurite).storage)
    old, young = probe_name(utc_now() - timedelta(minutes=6)), probe_name(utc_now())
    for name in (old, young):
        storage.tables.create_table(name)
        storage.queues.create_queue(name)
        storage.blobs.create_container(name)
    assert all(finding.mark is Mark.RIGHT for finding in check_storage(storage, utc_now))
    assert probes_in(storage) == [young] * 3
    storage.tables.delete_table(young)
    storage.queues.delete_queue(young)
    storage.blobs.delete_container(young)


# --- one download ---


def rows(report: Report) -> dict[str, str]:
    """The table: path to the line about it."""
    found = re.findall(r"^ {2}(.*)\n {8}GET (\S+)$", report.text, re.MULTILINE)
    return {path: line for line, path in found}


def test_of_all_forms_of_soras_url_the_documented_ones_give_the_video(office: Office) -> None:
    task = office.backend_job("azure-sora")
    generation = next(iter(office.simulator.world.everything()[0].outputs)).id
    base = "/openai/v1/video/generations"
    for named in (generation, task):
        report = office.visit("--generation", named)
        assert report.exit_code == ALL_RIGHT
        found = rows(report)
        right = f"{base}/{generation}/content/video?api-version=preview"
        assert list(found)[:3] == [right, f"{right}&quality=high", f"{right}&quality=low"]
        assert {path for path, line in found.items() if "video/mp4" in line} == set(list(found)[:3])
        assert found[right].startswith("✓ 200")
        for wrong in (
            f"{base}/{generation}/content?api-version=preview",
            f"{base}/{generation}/content/video",
            f"{base}/{generation}/content/video?api-version=2025-04-01-preview",
            f"{base}/{task}/content/video?api-version=preview",
            f"{base}/jobs/{task}/content?api-version=preview",
            f"/openai/v1/generations/{generation}/content/video?api-version=preview",
            f"/openai/v1/videos/{generation}/content",
        ):
            assert found[wrong].strip().startswith("404"), wrong
        assert f"job {task}, generations: {generation}" in report
        assert f"'{office.simulator.url}{right}' -o video.mp4" in report
        assert '-H "api-key: $AZURE_OPENAI_API_KEY"' in report
        assert "The video API deletes it at" in report
        assert imports(report) == [{"backend_job_id": task}]


def imports(report: Report) -> list[dict[str, Any]]:
    """The bodies of the calls that it prints, each of which the app takes."""
    bodies = re.findall(r"""curl -s "\$API/jobs/import" .* -d '(.*)'$""", report.text, re.MULTILINE)
    for body in bodies:
        read_import(body.encode())
    return [json.loads(body) for body in bodies]


def test_only_the_beginning_of_a_video_is_read(office: Office) -> None:
    office.simulator.world.change({"pad_to_bytes": 3 << 30})
    task = office.backend_job("azure-sora")
    report = office.visit("--generation", task)
    assert report.exit_code == ALL_RIGHT
    assert f"{3 << 30:,}" in report


@pytest.mark.parametrize("style", ["plain", "base64", "colon"])
def test_of_all_forms_of_the_videos_url_the_documented_ones_give_the_video(
    office: Office, style: str
) -> None:
    office.simulator.world.change({"id_style": style})
    video = office.backend_job("openai-videos")
    report = office.visit("--generation", video, dialect="openai-videos")
    assert report.exit_code == ALL_RIGHT
    found = rows(report)
    assert ["video/mp4" in line for line in found.values()][:2] == [True, True]
    assert '"api-key: $AZURE_OPENAI_API_KEY"' in report
    assert imports(report) == [{"backend_job_id": video}]


def test_a_redirect_is_followed_without_the_key_and_its_signature_is_not_shown(office: Office) -> None:
    office.simulator.world.change({"content_redirect": True, "carry_url": True})
    video = office.backend_job("openai-videos")
    report = office.visit("--generation", video, dialect="openai-videos")
    assert report.exit_code == ALL_RIGHT
    assert "200 by 302 to 127.0.0.1" in report
    assert "named by the job's record" in report
    assert "signed-content" not in report.text


def test_a_record_with_a_url_of_another_host_is_the_answer_where_content_is_404(
    office: Office,
) -> None:
    video = office.backend_job("openai-videos")
    job = office.simulator.world.everything()[0]
    link = office.simulator._links.issue(
        lambda request: office.simulator._videos._file(job, "video", request)
    )
    office.fault("video", status=404)
    record = {"id": video, "object": "video", "status": "completed", "url": link}
    office.fault("get", status=200, body=record)
    report = office.visit("--generation", video, dialect="openai-videos")
    assert "Use the URL in the job's own record" in report
    assert "sig=" not in report.text


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_what_is_not_generated_yet_is_told(office: Office, dialect: str) -> None:
    named = office.backend_job(dialect, finished=False)
    report = office.visit("--generation", named, dialect=dialect)
    assert report.exit_code == SOMETHING_WRONG
    assert "queued: there is no video yet" in report
    assert imports(report) == [{"backend_job_id": named}]


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_an_id_that_nobody_knows_is_told(office: Office, dialect: str) -> None:
    for named in ("gen_of_another_resource", "task_of_another_resource", "video_x"):
        report = office.visit("--generation", named, dialect=dialect)
        assert report.exit_code == SOMETHING_WRONG
        assert "Ids belong to one resource" in report
        assert "no form of the URL can work" in report
        assert imports(report) == []


def test_a_video_that_is_kept_back_is_told_from_one_that_is_gone(office: Office) -> None:
    task = office.backend_job("azure-sora")
    office.fault("video", status=403)
    report = office.visit("--generation", task)
    assert report.exit_code == SOMETHING_WRONG
    assert "A 403 on a finished video may pass" in report
    office.simulator.faults.clear()
    office.fault("video", status=404)
    report = office.visit("--generation", task)
    assert "the bytes are not served: try again" in report


def test_a_refused_key_is_told_before_all_forms_are_blamed(office: Office) -> None:
    report = office.visit("--generation", "gen_1", AZURE_OPENAI_API_KEY="a-wrong-key-0123")
    assert report.exit_code == SOMETHING_WRONG
    assert "mend the key or the role first" in report


def test_an_id_is_looked_for_at_every_backend(office: Office) -> None:
    video = office.backend_job("openai-videos")
    backend = {
        "name": "gpu",
        "dialect": "openai-videos",
        "model": "wan",
        "base_url": f"{office.simulator.url}/v1",
    }
    backends = json.dumps([{**backend, "api_key_setting": "GPU_KEY"}])
    office.fault("get_generation", status=404)
    report = office.visit("--generation", video, VIDEO_BACKENDS=backends, GPU_KEY=API_KEY)
    assert f"Downloads of {video} at 'gpu'" in report
    assert '"Authorization: Bearer $GPU_KEY"' in report
    assert imports(report) == [{"backend_job_id": video, "backend": "gpu"}]
    report = office.visit(
        "--generation", video, "--backend", "default", VIDEO_BACKENDS=backends, GPU_KEY=API_KEY
    )
    assert report.exit_code == SOMETHING_WRONG
    report = office.visit("--generation", video, "--backend", "nobody")
    assert report.exit_code == USAGE
    assert "there are: default" in report


def test_a_job_of_ours_leads_to_its_video(office: Office) -> None:
    task = office.backend_job("azure-sora")
    services = build(settings_for(office.azurite))
    ref = BackendRef("default", "azure-sora", office.base_url("azure-sora"), "sora")
    job = replace(a_job(a_name("owner")), backend=ref, backend_job_id=task)
    services.jobs.insert(job, None)
    services.claims.claim(Claim(ref.base_url, task, job.owner, job.id))
    report = office.visit("--generation", job.id)
    assert report.exit_code == ALL_RIGHT, report.text
    assert f"at 'default' it is {task}" in report
    assert f"This app has it already, as {job.id}" in report
    assert imports(report) == []
    missing = office.visit("--generation", a_job("nobody").id)
    assert missing.exit_code == SOMETHING_WRONG
    assert "is in the table of jobs no more, or no video API has it yet" in missing


def test_a_damaged_row_is_named_and_the_rest_is_checked(office: Office) -> None:
    settings, gate = settings_for(office.azurite), a_name("gate")
    services, tables = build(settings), connect(settings.storage).tables
    gates, claims, jobs = map(tables.get_table_client, (GATES_TABLE, CLAIMS_TABLE, JOBS_TABLE))
    gates.upsert_entity({"PartitionKey": "gate", "RowKey": gate, "slots": "{"})
    backend = {"dialect": "openai-videos", "model": "w", "base_url": f"{office.simulator.url}/v1"}
    names = [{"name": name, **backend, "api_key_setting": "K"} for name in (gate, a_name("gate"))]
    report = office.visit(VIDEO_BACKENDS=json.dumps(names), AZURE_OPENAI_ENDPOINT="", K=API_KEY)
    gates.delete_entity("gate", gate)
    assert f"The row gate / {gate} is no gate" in report
    assert "open, 0 " in report
    task, job = office.backend_job("azure-sora"), a_job("default")
    services.claims.claim(Claim(office.base_url("azure-sora"), task, job.owner, job.id))
    for row in claims.query_entities(f"job_id eq '{job.id}'"):
        claims.upsert_entity({**row, "owner": 5})
    jobs.upsert_entity({"PartitionKey": "default", "RowKey": job.id})
    for arguments in (["--generation", job.id], ["--generation", task], ["--orphans"]):
        assert "An operator has to mend or delete it." in office.visit(*arguments), arguments
    jobs.delete_entity("default", job.id)


# --- what is nobody's ---


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_orphans_are_listed_with_the_calls_that_import_them(office: Office, dialect: str) -> None:
    office.simulator.world.change({"running_limit": None})
    claimed = office.backend_job(dialect)
    orphan = office.backend_job(dialect)
    services = build(settings_for(office.azurite))
    services.claims.claim(Claim(office.base_url(dialect), claimed, "default", "job_x"))
    office.clock = lambda: (
        datetime.fromtimestamp(office.simulator.world.clock.now(), UTC) + timedelta(hours=1)
    )
    report = office.visit("--orphans", dialect=dialect)
    assert report.exit_code == ALL_RIGHT
    assert "2 jobs; no job here has claimed 1 of them" in report
    assert claimed not in report.text
    assert "a paper boat" in report
    assert imports(report) == [{"backend_job_id": orphan}]


def test_a_prompt_is_shortened_and_can_do_nothing_to_the_terminal(office: Office) -> None:
    prompt = "a \x1b[31mred\x1b[0m boat\nthat sails down a long and rainy street"
    office.backend_job("azure-sora", finished=False, prompt=prompt)
    report = office.visit("--orphans")
    assert "boat that sails" in report
    assert "street" not in report


def test_a_job_so_young_that_it_may_be_ours_is_marked(office: Office) -> None:
    orphan = office.backend_job("azure-sora", finished=False)
    office.clock = lambda: datetime.fromtimestamp(office.simulator.world.clock.now(), UTC)
    report = office.visit("--orphans")
    assert f"? {orphan}" in report
    assert "so young" in report


def test_a_list_that_can_not_be_read_is_told(office: Office) -> None:
    office.fault("list", status=401)
    assert office.visit("--orphans").exit_code == SOMETHING_WRONG
    office.simulator.faults.clear()
    office.fault("list", status=405)
    report = office.visit("--orphans")
    assert report.exit_code == ALL_RIGHT
    assert "keeps no list" in report
    office.simulator.faults.clear()
    office.backend_job("azure-sora", finished=False)
    away = office.azurite.connection_string.replace(
        office.azurite.table_endpoint, "http://127.0.0.1:9/reelkeeplocal"
    )
    report = office.visit("--orphans", AzureWebJobsStorage=away)
    assert report.exit_code == SOMETHING_WRONG
    assert "could not be reached" in report
    assert "knows what has been claimed" in office.visit("--orphans", AzureWebJobsStorage="")
