"""Three nats-servers that keep every message thrice and speak TLS, on loopback; any can be killed and started again."""

import asyncio
import subprocess
import time
from pathlib import Path

import httpx

from cli.stack.nats import NatsPorts, server_binary
from cli.stack.nats_config import ACCOUNT, Cluster, Node, Tenant, configuration, key_environment
from cli.stack.ports import free_port
from cli.stack.secrets import load_or_create
from shared.contracts.errors import TransientError
from shared.messaging.connection import NatsConnection, connect
from shared.messaging.provision import Change, StreamStorage, provision
from tests.support import http
from tests.support.server import certified

PATIENCE = 30.0
SIZE = 3


class NatsCluster:
    """Node `n` is called `node-n`; `tags` are each node's. `url` names all of them."""

    def __init__(self, directory: Path, tags: tuple[tuple[str, ...], ...] = ((),) * SIZE) -> None:
        self.directory = directory
        self.secrets = load_or_create(directory)
        self._clients = [free_port() for _ in range(SIZE)]
        self._monitors = [free_port() for _ in range(SIZE)]
        self.between = [free_port() for _ in range(SIZE)]
        routes = tuple(f"tls://127.0.0.1:{port}" for port in self.between)
        self.ports = NatsPorts(self._clients[0], self._monitors[0])
        self.url = ",".join(f"tls://127.0.0.1:{port}" for port in self._clients)
        tls = certified(directory)
        self.ca_file = tls.ca
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        for index in range(SIZE):
            node = Node(
                f"node-{index}",
                f"127.0.0.1:{self._clients[index]}",
                f"127.0.0.1:{self._monitors[index]}",
                directory / f"nats-{index}",
                Cluster("countersign", f"127.0.0.1:{self.between[index]}", routes),
                tags[index],
                tls,
            )
            hospitals = {ACCOUNT: Tenant(self.secrets)}
            (directory / f"nats-{index}.conf").write_text(configuration(node, hospitals, self.secrets.seeds["system"]))

    @property
    def monitors(self) -> list[str]:
        """The base URLs of the monitoring endpoints."""
        return [f"http://127.0.0.1:{port}" for port in self._monitors]

    def start(self) -> None:
        """All of them, or those that do not run; returns when they have agreed."""
        for index in range(SIZE):
            if index not in self._running:
                with (self.directory / f"nats-{index}.log").open("ab") as log:
                    self._running[index] = subprocess.Popen(
                        [str(server_binary()), "--config", str(self.directory / f"nats-{index}.conf")],
                        stdout=log,
                        stderr=log,
                        env=key_environment(self.secrets),
                    )
        deadline = time.monotonic() + PATIENCE
        while not (all(self.healthy(index) for index in range(SIZE)) and self._together()):
            assert time.monotonic() < deadline, (self.directory / "nats-0.log").read_text()[-2000:]
            time.sleep(0.05)

    def healthy(self, index: int) -> bool:
        """Whether the node has caught up with the others on everything it keeps."""
        try:
            return http.get(f"http://127.0.0.1:{self._monitors[index]}/healthz", timeout=2).is_success
        except httpx.HTTPError:
            return False

    async def caught_up(self) -> bool:
        """Whether each has a copy of everything: that replicas are current is said seconds before they are."""
        return all([await asyncio.to_thread(self.healthy, index) for index in range(SIZE)])

    def _together(self) -> bool:
        """Whether their leader sees all of them: until then no stream is given to three."""
        for monitor in self._monitors:
            meta = http.get(f"http://127.0.0.1:{monitor}/jsz", timeout=2).json()["meta_cluster"]
            seen = meta.get("replicas") or ()  # the leader's alone
            if sum(peer["current"] and not peer.get("offline") for peer in seen) == SIZE - 1:
                return True
        return False

    def kill(self, name: str) -> None:
        """kill -9 of one node."""
        process = self._running.pop(int(name.removeprefix("node-")))
        process.kill()
        process.wait()

    def stop(self) -> None:
        for index in list(self._running):
            self.kill(f"node-{index}")

    async def connect(self, user: str) -> NatsConnection:
        return await connect(self.url, user, self.secrets.seeds[user], ca_file=self.ca_file)

    async def provision(self, storage: StreamStorage = StreamStorage(replicas=SIZE)) -> list[Change]:  # noqa: B008 - frozen
        """Provision as soon as the cluster takes it: its leader may change between two requests."""
        bus = await self.connect("admin")
        deadline = time.monotonic() + PATIENCE
        try:
            while True:
                try:
                    return await provision(bus, storage)
                except TransientError:
                    assert time.monotonic() < deadline, (self.directory / "nats-0.log").read_text()[-2000:]
                    await asyncio.sleep(0.2)
        finally:
            await bus.close()
