"""A real nats-server for tests, with the configuration that `countersign up` runs it with; it can be killed."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from cli.stack.nats import NatsPorts, local, server_binary
from cli.stack.nats_config import ACCOUNT, Hospital, configuration, key_environment
from cli.stack.ports import free_port
from cli.stack.secrets import Secrets, load_or_make
from shared.messaging.connection import Bus, connect
from shared.messaging.provision import provision

PATIENCE = 15.0


class Account:
    """How tests reach one account of a server."""

    url: str
    ports: NatsPorts
    directory: Path
    secrets: Secrets

    async def connect(self, user: str) -> Bus:
        return await connect(self.url, user, self.secrets.seeds[user])

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
        self.secrets = load_or_make(directory)


class NatsServer(Account):
    """One server on one directory. `kill` is kill -9; `start` brings it back on the same data and ports."""

    def __init__(self, directory: Path, others: Mapping[str, Hospital] | None = None) -> None:
        """`others`: accounts beside our own."""
        self.directory = directory
        self._others = dict(others or {})
        self.secrets = load_or_make(directory)
        self.ports = NatsPorts(free_port(), free_port())
        self.url = f"nats://127.0.0.1:{self.ports.client}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.directory / "nats.conf"
        hospitals = {ACCOUNT: Hospital(self.secrets)} | self._others
        node = local(self.ports, self.directory / "nats")
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
            return httpx.get(f"http://127.0.0.1:{self.ports.monitor}/healthz", timeout=1).is_success
        except httpx.HTTPError:
            return False

    def reload(self, change: Callable[[str], str]) -> None:
        """Change the configuration of the server while it runs."""
        config = self.directory / "nats.conf"
        config.write_text(change(config.read_text()))
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
