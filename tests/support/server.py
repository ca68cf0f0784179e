"""A real nats-server for tests, with the configuration that `countersign up` runs it with; it can be killed."""

import subprocess
import time
from pathlib import Path

import httpx

from cli.stack.nats import NatsPorts, configuration, free_port, key_environment, server_binary
from cli.stack.secrets import load_or_make
from shared.messaging.connection import Bus, connect
from shared.messaging.provision import provision

PATIENCE = 15.0


class NatsServer:
    """One server on one directory. `kill` is kill -9; `start` brings it back on the same data and ports."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secrets = load_or_make(directory)
        self.ports = NatsPorts(free_port(), free_port())
        self.url = f"nats://127.0.0.1:{self.ports.client}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.directory / "nats.conf"
        config.write_text(configuration(self.secrets, self.ports, self.directory / "nats"))
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

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def connect(self, user: str) -> Bus:
        return await connect(self.url, user, self.secrets.seeds[user])

    async def provision(self) -> None:
        bus = await self.connect("admin")
        try:
            await provision(bus)
        finally:
            await bus.close()
