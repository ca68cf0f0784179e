"""A real nats-server for tests, with the configuration that `countersign up` runs it with; it can be killed."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from cli.stack.certificates import CA, CERTIFICATE, KEY, ensure_certificates
from cli.stack.nats import NatsPorts, local_node, server_binary
from cli.stack.nats_config import ACCOUNT, SYNC_ALWAYS, Tenant, Tls, configuration, key_environment
from cli.stack.ports import free_port
from cli.stack.secrets import Secrets, load_or_create
from shared.messaging.connection import NatsConnection, connect
from shared.messaging.provision import provision
from tests.support import http

PATIENCE = 15.0


def certified(directory: Path) -> Tls:
    """A CA and a certificate for loopback, as `countersign secrets init` makes them."""
    ensure_certificates(directory, ["127.0.0.1"], datetime.now(UTC))
    return Tls(directory / CERTIFICATE, directory / KEY, directory / CA)


class Account:
    """How tests reach one account of a server."""

    url: str
    ports: NatsPorts
    directory: Path
    secrets: Secrets
    ca_file: Path | None = None  # where it speaks TLS

    async def connect(self, user: str) -> NatsConnection:
        return await connect(self.url, user, self.secrets.seeds[user], ca_file=self.ca_file)

    async def provision(self) -> None:
        bus = await self.connect("admin")
        try:
            await provision(bus)
        finally:
            await bus.close()


class Neighbour(Account):
    """Another hospital on the server; `directory` is where its own secrets are."""

    def __init__(self, server: "NatsServer", directory: Path) -> None:
        self.url, self.ports, self.directory = server.url, server.ports, directory
        self.secrets = load_or_create(directory)


class NatsServer(Account):
    """One server on one directory. `kill` is kill -9; `start` brings it back on the same data and ports."""

    def __init__(self, directory: Path, others: Mapping[str, Tenant] | None = None, *, tls: bool = False) -> None:
        """`others`: accounts beside our own. `tls`: as an installation has it, by a CA of its own."""
        self.directory = directory
        self._others = dict(others or {})
        self.secrets = load_or_create(directory)
        self.ports = NatsPorts(free_port(), free_port())
        self._tls = certified(directory) if tls else None
        self.ca_file = self._tls.ca if self._tls else None
        self.url = f"{'tls' if tls else 'nats'}://127.0.0.1:{self.ports.client}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, sync_interval: str = SYNC_ALWAYS) -> None:
        config = self.directory / "nats.conf"
        hospitals = {ACCOUNT: Tenant(self.secrets)} | self._others
        node = replace(local_node(self.ports, self.directory / "nats", sync_interval), tls=self._tls)
        config.write_text(configuration(node, hospitals, self.secrets.seeds["system"]))
        with (self.directory / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(server_binary()), "--config", str(config)],
                stdout=log,
                stderr=log,
                env=key_environment(self.secrets),
            )
        deadline = time.monotonic() + PATIENCE
        while not self._healthy():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.directory / "nats.log").read_text()[-2000:])
            time.sleep(0.02)

    def _healthy(self) -> bool:
        try:
            return http.get(f"http://127.0.0.1:{self.ports.monitor}/healthz", timeout=1).is_success
        except httpx.HTTPError:
            return False

    def reload(self, change: Callable[[str], str] = str) -> None:
        """Let the server read its configuration and certificate again while it runs, as they are changed."""
        config = self.directory / "nats.conf"
        config.write_text(change(config.read_text()))
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def send(self, number: signal.Signals) -> None:
        """A signal: SIGSTOP and SIGCONT pause it."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
