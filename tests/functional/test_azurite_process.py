"""Azurite as a child process: real ones, started and stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local import azurite_process
from local.azurite_process import Azurite, AzuriteError, PortTakenError
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture(scope="module")
def debug_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "debug.log"


@pytest.fixture(scope="module")
def other(azurite: Azurite, debug_log: Path) -> Iterator[Azurite]:
    """A second one, with its data on disk; when it starts, its first ports are taken."""
    offers = iter([ports_of(azurite), azurite_process.free_ports()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(azurite_process, "free_ports", lambda: next(offers))
        running = Azurite(data_dir=debug_log.parent / "data", debug_log=debug_log).start()
    with running:
        yield running


def alive(pid: int) -> bool:
    try:
        # A process that has ended but was not reaped yet has no memory any more.
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.exhaustive
def test_a_port_taken_meanwhile_is_exchanged(azurite: Azurite, other: Azurite) -> None:
    assert not set(ports_of(azurite)) & set(ports_of(other))


@pytest.mark.exhaustive
def test_two_beside_each_other_refuse_each_others_key(azurite: Azurite, other: Azurite) -> None:
    stranger = azurite.connection_string.replace(azurite.account_key, other.account_key)
    with pytest.raises(HttpResponseError) as refusal:
        QueueServiceClient.from_connection_string(stranger, retry_total=0).create_queue("forbidden")
    assert refusal.value.status_code == 403


def test_a_restart_keeps_ports_account_and_everything_stored(other: Azurite) -> None:
    before = other.connection_string
    queue = QueueServiceClient.from_connection_string(before).create_queue("kept")
    queue.send_message("still here")
    BlobServiceClient.from_connection_string(before).create_container("kept")
    TableServiceClient.from_connection_string(before).create_table("kept")
    other.stop()
    other.start()
    assert other.connection_string == before
    assert [message.content for message in queue.peek_messages()] == ["still here"]
    assert BlobServiceClient.from_connection_string(before).get_container_client("kept").exists()
    assert [table.name for table in TableServiceClient.from_connection_string(before).list_tables()] == [
        "kept"
    ]


def test_the_debug_log_is_written(other: Azurite, debug_log: Path) -> None:
    BlobServiceClient.from_connection_string(other.connection_string).create_container("logged")
    assert until(lambda: "logged" in debug_log.read_text())


def test_a_named_port_that_is_taken_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "azurite.js"
    script.write_text("console.error('listen EADDRINUSE: address already in use'); process.exit(1)")
    monkeypatch.setattr(azurite_process, "SCRIPT", script)
    with pytest.raises(PortTakenError, match="taken by another process"):
        Azurite(ports=(10, 11, 12)).start()


def test_a_missing_installation_says_make_setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(azurite_process, "SCRIPT", tmp_path / "azurite.js")
    with pytest.raises(AzuriteError, match="make setup"):
        Azurite().start()


def test_node_beside_this_python_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(AzuriteError, match="make setup"):
        azurite_process.find_node()
    node = tmp_path / "node"
    node.touch(mode=0o755)
    assert azurite_process.find_node() == str(node)


def test_a_death_at_start_shows_what_it_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "azurite.js"
    script.write_text("console.error('no space left for testing'); process.exit(3)")
    monkeypatch.setattr(azurite_process, "SCRIPT", script)
    with pytest.raises(AzuriteError, match=r"(?s)exit code 3.*no space left for testing"):
        Azurite().start()


def test_ctrl_c_in_the_parent_leaves_no_child_behind() -> None:
    program = (
        "import time\n"
        "from local.azurite_process import Azurite\n"
        "azurite = Azurite().start()\n"
        "print(azurite._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    os.killpg(parent.pid, signal.SIGINT)
    parent.communicate(timeout=60)
    assert until(lambda: not alive(child))


def ports_of(azurite: Azurite) -> tuple[int, int, int]:
    endpoints = (azurite.blob_endpoint, azurite.queue_endpoint, azurite.table_endpoint)
    blob, queue, table = (urlsplit(endpoint).port or 0 for endpoint in endpoints)
    return blob, queue, table
