"""TLS to a real nats-server: who gets in, who does not, what is said, and how a certificate is renewed."""

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from cli.doctor import server, users
from cli.stack.certificates import (
    CA,
    CERTIFICATE,
    KEY,
    LIFETIME,
    CertificatePair,
    certificate_text,
    ensure_certificates,
    key_text,
    make_authority,
    make_server,
)
from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from services.approval.audit.chain_verifier import AuditChainVerifier
from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.messaging.connection import REQUEST_TIMEOUT, NatsConnection, connect, sort_refusal
from shared.telemetry import instruments
from tests.connected.test_doctor import levels, place
from tests.support.command import run
from tests.support.ehr import client, sandbox
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer, certified
from tests.support.stack import until

pytestmark = pytest.mark.connected

LONG_AGO = datetime.now(UTC) - LIFETIME - timedelta(days=1)


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[NatsServer]:
    """A server as an installation has it."""
    directory = tmp_path / "sealed"
    directory.mkdir()
    found = NatsServer(directory, tls=True)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def wrong_ca(tmp_path: Path) -> Path:
    directory = tmp_path / "stranger"
    directory.mkdir()
    return certified(directory).ca


async def reach(found: NatsServer, url: str | None = None, ca: Path | None = None) -> NatsConnection:
    return await connect(url or found.url, "admin", found.secrets.seeds["admin"], ca_file=ca or found.ca_file)


async def refusal(
    found: NatsServer, kind: type[CountersignError], url: str | None = None, ca: Path | None = None
) -> str:
    with pytest.raises(kind) as caught:
        await reach(found, url, ca)
    assert "\n" not in caught.value.reason
    return caught.value.reason


async def test_a_certificate_that_is_not_right_is_refused_in_a_sentence(sealed: NatsServer, wrong_ca: Path) -> None:
    await (await reach(sealed)).close()
    said = await refusal(sealed, PermanentError, ca=wrong_ca)
    assert "not signed by a trusted CA" in said
    assert "COUNTERSIGN_NATS_CA_FILE" in said
    said = await refusal(sealed, PermanentError, url=sealed.url.replace("127.0.0.1", "localhost"))
    assert "does not name the host in COUNTERSIGN_NATS_URL" in said
    sealed.kill()
    for name in (CERTIFICATE, KEY):
        (sealed.directory / name).unlink()
    ensure_certificates(sealed.directory, ["127.0.0.1"], LONG_AGO)
    sealed.start()
    assert "has expired" in await refusal(sealed, PermanentError)


async def test_an_intermediate_of_another_pki_is_trusted_without_its_root(sealed: NatsServer) -> None:
    """Its root would let whatever it has signed anywhere join the servers."""
    now = datetime.now(UTC)
    root, own = make_authority(now), make_authority(now)
    made = x509.CertificateBuilder(
        issuer_name=root.certificate.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "intermediate")]),
        public_key=own.key.public_key(),
        serial_number=1,
        not_valid_before=now,
        not_valid_after=now + timedelta(days=1),
        extensions=list(own.certificate.extensions),
    )
    intermediate = CertificatePair(made.sign(root.key, hashes.SHA256()), own.key)
    found = make_server(intermediate, ["127.0.0.1"], now)
    (sealed.directory / CA).write_text(certificate_text(intermediate.certificate))
    (sealed.directory / CERTIFICATE).write_text(certificate_text(found.certificate))
    (sealed.directory / KEY).write_text(key_text(found.key))
    sealed.kill()
    sealed.start()
    await (await reach(sealed)).close()


async def test_what_is_no_file_of_certificates_is_named(sealed: NatsServer, tmp_path: Path) -> None:
    for content, words in (
        (None, "cannot be read"),
        (b"x", "no certificate in PEM"),
        (b"\xff", "no certificate in PEM"),
    ):
        file = tmp_path / "ca"
        if content is not None:
            file.write_bytes(content)
        assert f"COUNTERSIGN_NATS_CA_FILE: {file} " in (said := await refusal(sealed, PermanentError, ca=file))
        assert words in said


async def test_nobody_speaks_plain_where_one_of_the_two_wants_tls(sealed: NatsServer, nats: NatsServer) -> None:
    """Nor is a client talked out of it: a server, or whoever sits in between, that says it has no TLS gets no word."""
    tls = nats.url.replace("nats://", "tls://")
    assert "handshake_first" in await refusal(nats, PermanentError, url=tls, ca=sealed.ca_file)
    assert "must start with tls://" in await refusal(
        sealed, TransientError, url=sealed.url.replace("tls://", "nats://")
    )
    with socket.create_connection(("127.0.0.1", sealed.ports.client), timeout=10) as plain:
        plain.sendall(b"CONNECT {}\r\nPING\r\n")
        heard = b"".join(iter(lambda: plain.recv(4096), b""))
    assert b"INFO" not in heard
    assert b"PONG" not in heard


async def test_who_is_cut_off_by_a_certificate_waits_for_the_right_one_and_ends_when_told(
    sealed: NatsServer, wrong_ca: Path
) -> None:
    """nats-py waits for ever for the end of a connection whose handshake failed."""
    right = {name: (sealed.directory / name).read_bytes() for name in (CERTIFICATE, KEY)}
    wrong = {name: (wrong_ca.parent / name).read_bytes() for name in right}

    async def restart_with(files: dict[str, bytes], met: Callable[[], bool], what: str) -> None:
        sealed.kill()
        for name, content in files.items():
            (sealed.directory / name).write_bytes(content)
        sealed.start()

        async def is_met() -> bool:
            return met()

        await until(is_met, what)

    seed = sealed.secrets.seeds["admin"]
    bus = await connect(sealed.url, "admin", seed, ca_file=sealed.ca_file, patient=True)
    await restart_with(wrong, lambda: isinstance(bus.last_error, ssl.SSLError), "the wrong certificate")
    await restart_with(right, lambda: bus.connected, "the connection")
    bus.last_error = None
    await restart_with(wrong, lambda: isinstance(bus.last_error, ssl.SSLError), "the wrong certificate")
    async with asyncio.timeout(3 * REQUEST_TIMEOUT):
        await bus.close()


async def test_a_renewed_certificate_is_picked_up_by_a_reload_and_cuts_nobody_off(sealed: NatsServer) -> None:
    other = sealed.url.replace("127.0.0.1", "localhost")
    before = await reach(sealed)
    ensure_certificates(sealed.directory, ["localhost"], datetime.now(UTC))
    sealed.reload()

    async def by_its_new_name() -> NatsConnection | None:
        try:
            return await reach(sealed, other)
        except PermanentError:
            return None

    await (await until(by_its_new_name, "the new certificate")).close()
    assert before.connected
    assert before.client.stats["reconnects"] == 0
    await before.close()


def test_commands_by_address_take_the_ca_and_give_up_on_another(
    sealed: NatsServer, wrong_ca: Path, tmp_path: Path
) -> None:
    seed = tmp_path / "admin.seed"
    seed.write_text(sealed.secrets.seeds["admin"])
    named = {"COUNTERSIGN_NATS_URL": sealed.url, "COUNTERSIGN_NATS_SEED_FILE": str(seed)}
    right, wrong = ({"COUNTERSIGN_NATS_CA_FILE": str(ca)} for ca in (sealed.ca_file, wrong_ca))
    done = run("provision", **named, **right)
    assert (done.returncode, done.stderr) == (0, "")
    refused = run("backup", "--to", str(tmp_path / "backup"), **named, **wrong)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "not signed by a trusted CA" in refused.stderr
    assert "not signed by a trusted CA" in run("doctor", **named, **wrong).stdout


async def test_the_doctor_looks_by_tls_and_knows_when_the_certificate_ends(sealed: NatsServer) -> None:
    await sealed.provision()
    assert set(levels(await users.check(place(sealed))).values()) == {"ok"}
    found = {item.what: item for item in await server.check(place(sealed))}
    assert found["certificate"].says == f"it expires in {LIFETIME.days - 1} days"


async def test_the_rounds_tell_how_long_it_lasts(sealed: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, float] = {}
    monkeypatch.setattr(instruments, "set_gauge", lambda name, value, _=None: told.__setitem__(name, value))
    await sealed.provision()
    bus = await connect(sealed.url, "approval", sealed.secrets.seeds["approval"], ca_file=sealed.ca_file)
    patrol = AuditChainVerifier(bus, f"http://127.0.0.1:{sealed.ports.monitor}", client(sandbox()))
    await patrol.collect_gauges()
    await bus.close()
    assert told["countersign.nats.certificate.left"] == pytest.approx(LIFETIME.total_seconds(), abs=600)


async def test_a_server_that_goes_away_in_the_handshake_may_come_back(sealed: NatsServer) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as going:
        port = going.sockets[0].getsockname()[1]
        assert "does not answer" in await refusal(sealed, TransientError, f"tls://127.0.0.1:{port}")
    assert isinstance(sort_refusal(ssl.SSLEOFError(), plain=False), TransientError)  # the same, a moment later


@pytest.fixture
def ingest(sealed: NatsServer, tmp_path: Path) -> Iterator[Callable[[Path], ServiceProcess]]:
    """The service in production."""
    tokens, started = tmp_path / "tokens.json", []
    write_tokens(tokens, {"ingest": sealed.secrets.tokens["ingest"]})

    def start(ca: Path) -> ServiceProcess:
        port = str(free_port())
        settings = {
            "COUNTERSIGN_NATS_URL": sealed.url,
            "COUNTERSIGN_NATS_CA_FILE": str(ca),
            "COUNTERSIGN_NATS_MONITOR_URL": f"http://127.0.0.1:{sealed.ports.monitor}",
            "COUNTERSIGN_NATS_SEED": sealed.secrets.seeds["ingest"],
            "COUNTERSIGN_TOKENS_FILE": str(tokens),
            "COUNTERSIGN_PORT": port,
        }
        command = [sys.executable, "-m", "services.ingest.main"]
        part = ServiceProcess("ingest", command, f"http://127.0.0.1:{port}/readyz", tmp_path / f"{port}.log", settings)
        part.start()
        started.append(part)
        return part

    yield start
    for part in started:
        part.kill()


async def test_a_service_connects_by_tls_or_waits_and_says_why(
    sealed: NatsServer, wrong_ca: Path, ingest: Callable[[Path], ServiceProcess]
) -> None:
    await sealed.provision()
    assert sealed.ca_file is not None
    waiting, ready = ingest(wrong_ca), ingest(sealed.ca_file)
    await asyncio.to_thread(ready.wait)

    async def said() -> bool:
        return "not signed by a trusted CA" in waiting.log.read_text()

    await until(said, "the reason in the log")
    assert waiting.process is not None
    assert waiting.process.poll() is None
