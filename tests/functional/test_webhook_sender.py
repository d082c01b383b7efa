"""One delivery over real sockets and real TLS: where it goes, and what it puts up with."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from video_jobs.domain.errors import Undelivered
from video_jobs.net import pinned
from video_jobs.webhooks.sender import HttpWebhookSender

HOST = "hooks.example.test"
BODY = b'{"type":"job.succeeded"}'
DEADLINE = 1.0  # seconds; long enough for a busy machine's handshake, short enough for tests of silence

Talk = Callable[[ssl.SSLSocket], None]


class Receiver:
    """Takes one connection after another, remembers what was said, and answers as it was told."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.talk: Talk = answering(b"HTTP/1.1 204 No Content\r\n\r\n")
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with ExitStack() as stack:
            stack.enter_context(connection)
            try:
                if self._context is not None:
                    connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
                said = b""
                while not said.endswith(BODY):
                    said += connection.recv(4096) or BODY
                self.requests.append(said)
                self.talk(connection)  # type: ignore[arg-type]
            except OSError:
                pass  # the sender has gone away: it is the one that is tested


def answering(*pieces: bytes, pause: float = 0.0) -> Talk:
    def talk(connection: ssl.SSLSocket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return talk


def for_ever(piece: bytes, pause: float, begin: bytes = b"") -> Talk:
    def talk(connection: ssl.SSLSocket) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return talk


class Resolver:
    """Says what it is told to, one answer after another, the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A throwaway authority, `ca.pem`, and what it says of HOST, `host.pem`."""
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)

    def issue(name: str, key, issuer: str, issuer_key, *, is_ca: bool) -> x509.Certificate:  # type: ignore[no-untyped-def]
        def called(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = (
            x509.CertificateBuilder()
            .subject_name(called(name))
            .issuer_name(called(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if is_ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
            identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
            builder = builder.add_extension(authority, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    ca_key, host_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = issue("a throwaway authority", ca_key, "a throwaway authority", ca_key, is_ca=True)
    host = issue(HOST, host_key, "a throwaway authority", ca_key, is_ca=False)
    (folder / "ca.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    secret = host_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "host.pem").write_bytes(host.public_bytes(Encoding.PEM) + secret)
    return folder


@pytest.fixture
def receiver(certificates: Path) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "host.pem")
    running = Receiver(context)
    yield running
    running.close()


@pytest.fixture
def plain() -> Iterator[Receiver]:
    running = Receiver(None)
    yield running
    running.close()


def here(address: object) -> bool:
    """In place of what is public: a test has no public address."""
    return address == ip_address("127.0.0.1")


def send(
    receiver: Receiver,
    certificates: Path,
    resolver: Resolver | None = None,
    *,
    host: str = HOST,
    trusted: bool = True,
) -> int:
    sender = HttpWebhookSender(
        allow_http_loopback=False,
        deadline=DEADLINE,
        resolve=resolver or Resolver(["127.0.0.1"]),
        is_public=here,
        ca_file=str(certificates / "ca.pem") if trusted else None,
    )
    return sender.send(f"https://{host}:{receiver.port}/hooks?token=1", {"webhook-id": "evt_1"}, BODY)


def test_a_delivery_is_one_post_to_the_checked_address_under_the_name_of_the_url(
    receiver: Receiver, certificates: Path
) -> None:
    resolver = Resolver(["127.0.0.1"])
    assert send(receiver, certificates, resolver) == 204
    assert resolver.asked == [HOST]
    [request] = receiver.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert lines[0] == "POST /hooks?token=1 HTTP/1.1"
    assert headers["host"] == f"{HOST}:{receiver.port}"
    assert (headers["content-type"], headers["user-agent"]) == ("application/json", "reelkeep")
    assert (headers["webhook-id"], headers["content-length"]) == ("evt_1", str(len(BODY)))
    assert body == BODY


def test_the_name_is_resolved_once_so_that_a_second_answer_leads_nowhere(
    receiver: Receiver, certificates: Path
) -> None:
    resolver = Resolver(["127.0.0.1"], ["169.254.169.254"])
    assert send(receiver, certificates, resolver) == 204
    assert resolver.asked == [HOST]
    with pytest.raises(Undelivered, match="private or reserved"):
        send(receiver, certificates, resolver)
    assert receiver.connections == 1


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1", "10.0.0.1"],
        ["169.254.169.254"],
        ["::1", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
    ],
)
def test_one_address_that_is_not_public_is_one_too_many(
    receiver: Receiver, certificates: Path, answers: list[str]
) -> None:
    with pytest.raises(Undelivered, match="private or reserved"):
        send(receiver, certificates, Resolver(answers))
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "168.63.129.16", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("::1", "::", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001::1", "fd00:ec2::254"),
    ],
)
def test_what_a_name_leads_to_is_checked_by_the_real_rules_too(address: str) -> None:
    sender = HttpWebhookSender(allow_http_loopback=True, resolve=Resolver(["93.184.215.14", address]))
    with pytest.raises(Undelivered, match="private or reserved"):
        sender.send(f"https://{HOST}/", {}, BODY)


@pytest.mark.parametrize("answers", [[], ["not-an-address"]])
def test_a_name_without_an_address_is_said_to_have_none(
    receiver: Receiver, certificates: Path, answers: list[str]
) -> None:
    with pytest.raises(Undelivered, match="has no address"):
        send(receiver, certificates, Resolver(answers))


def test_a_name_that_can_not_be_resolved_is_said_to_be_so(receiver: Receiver, certificates: Path) -> None:
    sender = HttpWebhookSender(allow_http_loopback=False)
    with pytest.raises(Undelivered, match="looked up"):
        sender.send("https://nobody.invalid/", {}, BODY)


def test_a_resolver_that_hangs_holds_nobody_up() -> None:
    done = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        done.wait(30)
        return ["127.0.0.1"]

    sender = HttpWebhookSender(allow_http_loopback=False, deadline=0.2, resolve=hang, is_public=here)
    with pytest.raises(Undelivered, match="looked up in time"):
        sender.send(f"https://{HOST}/", {}, BODY)
    done.set()


def test_a_receiver_whose_name_is_not_looked_up_in_time_counts_as_one_that_did_not_answer() -> None:
    done = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        done.wait(30)
        return ["127.0.0.1"]

    sender = HttpWebhookSender(allow_http_loopback=False, deadline=0.2, resolve=hang, is_public=here)
    sender._receivers.answered(HOST, 0.1)
    with pytest.raises(Undelivered, match="looked up in time"):
        sender.send(f"https://{HOST}/", {}, BODY)
    assert not sender._receivers._of(HOST).is_prompt
    done.set()


def test_a_receiver_that_takes_no_connection_for_long_counts_as_one_that_did_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pinned, "CONNECT_TIMEOUT", 0.6)
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = full.getsockname()[1]
        for _ in range(
            4
        ):  # the queue of a socket that accepts nothing: the next connection never comes about
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        sender = HttpWebhookSender(
            allow_http_loopback=False, deadline=1.0, resolve=Resolver(["127.0.0.1"]), is_public=here
        )
        sender._receivers.answered(f"{HOST}:{port}", 0.1)
        with pytest.raises(Undelivered, match="in time"):
            sender.send(f"https://{HOST}:{port}/", {}, BODY)
    assert not sender._receivers._of(f"{HOST}:{port}").is_prompt


def test_the_next_address_is_tried_where_the_first_takes_no_connection(
    receiver: Receiver, certificates: Path
) -> None:
    sender = HttpWebhookSender(
        allow_http_loopback=False,
        deadline=DEADLINE * 5,
        resolve=Resolver(["127.0.0.2", "127.0.0.1"]),  # nobody listens at the first
        is_public=lambda address: True,
        ca_file=str(certificates / "ca.pem"),
    )
    assert sender.send(f"https://{HOST}:{receiver.port}/", {}, BODY) == 204


def test_a_certificate_for_another_name_is_not_accepted(receiver: Receiver, certificates: Path) -> None:
    with pytest.raises(Undelivered, match="certificate"):
        send(receiver, certificates, host="other.example.test")
    assert receiver.requests == []


def test_a_certificate_of_an_unknown_authority_is_not_accepted(
    receiver: Receiver, certificates: Path
) -> None:
    with pytest.raises(Undelivered, match="certificate"):
        send(receiver, certificates, trusted=False)
    assert receiver.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_a_redirect_is_a_failure_and_is_not_followed(
    receiver: Receiver, certificates: Path, status: int
) -> None:
    location = f"Location: https://{HOST}:{receiver.port}/elsewhere\r\n"
    receiver.talk = answering(f"HTTP/1.1 {status} Elsewhere\r\n{location}Content-Length: 0\r\n\r\n".encode())
    with pytest.raises(Undelivered, match="not followed") as failed:
        send(receiver, certificates)
    assert failed.value.status == status
    assert receiver.connections == 1


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 999])
def test_only_a_success_is_a_success(receiver: Receiver, certificates: Path, status: int) -> None:
    receiver.talk = answering(f"HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(Undelivered, match=f"answered {status}") as failed:
        send(receiver, certificates)
    assert (failed.value.status, failed.value.retry_after) == (status, 7)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: </a>"])
def test_an_interim_answer_is_not_the_answer(receiver: Receiver, certificates: Path, interim: bytes) -> None:
    receiver.talk = answering(b"HTTP/1.1 " + interim + b"\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n")
    assert send(receiver, certificates) == 204


@pytest.mark.parametrize("interim", [b"100 Continue", b"103 Early Hints"])
def test_a_flood_of_interim_answers_is_not_read_for_long(
    receiver: Receiver, certificates: Path, interim: bytes
) -> None:
    receiver.talk = for_ever(b"HTTP/1.1 " + interim + b"\r\n\r\n", 0)
    with pytest.raises(Undelivered, match="broke") as failed:
        send(receiver, certificates)
    assert failed.value.status is None


HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "talk",
    [for_ever(b"x" * 65536, 0, begin=HUGE), for_ever(b"x", 0.05, begin=HUGE)],
    ids=["huge", "drop by drop"],
)
def test_the_body_of_an_answer_is_not_waited_for(receiver: Receiver, certificates: Path, talk: Talk) -> None:
    receiver.talk = talk
    assert send(receiver, certificates) == 200


@pytest.mark.parametrize(
    "talk",
    [
        for_ever(b"", 0.05),
        for_ever(b"H", 0.05),
        for_ever(b"x", 0.05, begin=OK + b"X-Drip: "),
    ],
    ids=["nothing", "a status drop by drop", "a header drop by drop"],
)
def test_a_receiver_that_never_comes_to_the_point_is_left_at_the_deadline(
    receiver: Receiver, certificates: Path, talk: Talk
) -> None:
    receiver.talk = talk
    with pytest.raises(Undelivered, match="in time"):
        send(receiver, certificates)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"not HTTP\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        OK + b"X: y\r\n" * 200 + b"\r\n",
    ],
    ids=["hangs up", "no HTTP", "no status", "a huge header", "too many headers"],
)
def test_what_is_no_answer_is_a_failure(receiver: Receiver, certificates: Path, said: bytes) -> None:
    receiver.talk = answering(said)
    with pytest.raises(Undelivered) as failed:
        send(receiver, certificates)
    assert failed.value.status is None


def test_a_tls_handshake_that_never_ends_is_left_at_the_deadline(plain: Receiver, certificates: Path) -> None:
    with pytest.raises(Undelivered, match="in time"):
        send(plain, certificates)


def test_a_refused_connection_is_said_to_be_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Undelivered, match="refused"):
        HttpWebhookSender(allow_http_loopback=True).send(f"http://127.0.0.1:{port}/", {}, BODY)


def test_no_proxy_of_the_environment_gets_to_see_it(
    receiver: Receiver, certificates: Path, plain: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{plain.port}")
    assert send(receiver, certificates) == 204
    assert plain.connections == 0


def test_no_words_of_a_failure_and_no_log_line_tell_the_url(
    receiver: Receiver, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for said in (b"", b"HTTP/1.1 500 No\r\n\r\n", b"nonsense"):
        receiver.talk = answering(said)
        with pytest.raises(Undelivered) as failed:
            send(receiver, certificates)
        assert failed.value.__cause__ is None
        assert "token" not in str(failed.value)
    assert "token" not in caplog.text


# --- this machine --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_plain_http_reaches_this_machine_where_the_setting_allows_it(plain: Receiver, host: str) -> None:
    url = f"http://{host}:{plain.port}/hooks"
    assert HttpWebhookSender(allow_http_loopback=True).send(url, {}, BODY) == 204
    with pytest.raises(Undelivered, match="must begin with https"):
        HttpWebhookSender(allow_http_loopback=False).send(url, {}, BODY)
    assert plain.connections == 1


def test_plain_http_reaches_nothing_else_though_localhost_may_be_said_to_lie_there(plain: Receiver) -> None:
    resolver = Resolver(["127.0.0.1", "10.0.0.1"])
    with pytest.raises(Undelivered, match="private or reserved"):
        HttpWebhookSender(allow_http_loopback=True, resolve=resolver).send(
            f"http://localhost:{plain.port}/", {}, BODY
        )
    assert plain.connections == 0
