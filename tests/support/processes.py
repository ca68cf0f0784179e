"""Every part as a process of its own, so that any of them can be killed: services, Triton, EHR, nats-server."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cli.stack import triton
from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from tests.support import http
from tests.support.server import NatsServer

START_TIMEOUT_S = 60.0
MODEL = "drafter-scripted"


@dataclass
class ServiceProcess:
    """One process that can be killed and started again on the same address and data."""

    name: str
    command: list[str]
    health: str
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    cwd: Path | None = None
    patience: float = START_TIMEOUT_S
    process: subprocess.Popen[bytes] | None = None
    more: dict[str, str] = field(default_factory=dict)  # environment besides, which may change between two starts

    def start(self) -> None:
        self.before()
        with self.log.open("ab") as log:
            environment = os.environ | self.environment | self.more
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment, cwd=self.cwd)

    def wait(self) -> None:
        deadline = time.monotonic() + self.patience
        while not self.healthy():
            assert time.monotonic() < deadline, f"{self.name} does not get ready: {self.log.read_text()[-1500:]}"
            time.sleep(0.05)

    def healthy(self) -> bool:
        try:
            return http.get(self.health, timeout=1).is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class ProcessStack:
    """A whole stack of processes on one directory."""

    def __init__(self, directory: Path, seed: Path) -> None:
        self.directory = directory
        bus = directory / "bus"
        bus.mkdir()
        self.server = NatsServer(bus)
        self.tokens = self.server.secrets.tokens
        write_tokens(directory / "tokens.json", self.tokens)
        ehr_port = free_port()
        self.ehr_url = f"http://127.0.0.1:{ehr_port}/fhir"
        self.ports = {name: free_port() for name in ("ingest", "drafter", "approval")}
        ports = self._triton_ports = triton.TritonPorts(free_port(), free_port())
        self.parts = {
            "ehr": self._python(
                "ehr",
                [
                    *("sandbox_ehr", "--port", str(ehr_port)),
                    *("--db", str(directory / "ehr.sqlite"), "--seed", str(seed)),
                ],
                f"{self.ehr_url}/metadata",
            ),
            "triton": self._triton(ports),
        }
        for name, port in self.ports.items():
            self.parts[name] = self.service(name, port)

    def service(self, name: str, port: int, code: Path | None = None) -> ServiceProcess:
        """One process of a service; of the version whose packages are in the folder `code`, where one is named."""
        part = self._python(name, [f"services.{name}.main"], f"http://127.0.0.1:{port}/healthz")
        part.environment = {
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_NATS_URL": self.server.url,
            "COUNTERSIGN_NATS_SEED": self.server.secrets.seeds[name],
            "COUNTERSIGN_TOKENS_FILE": str(self.directory / "tokens.json"),
            "COUNTERSIGN_PORT": str(port),
            "COUNTERSIGN_EHR_URL": self.ehr_url,
            "COUNTERSIGN_TRITON_URL": f"127.0.0.1:{self._triton_ports.grpc}",
            "COUNTERSIGN_TRITON_DRAFTER_MODEL": MODEL,
        }
        if code is not None:
            part.environment["PYTHONPATH"] = str(code)
            part.cwd = code
        return part

    def _python(self, name: str, module: list[str], health: str) -> ServiceProcess:
        return ServiceProcess(name, [sys.executable, "-m", *module], health, self.directory / f"{name}.log")

    def _triton(self, ports: triton.TritonPorts) -> ServiceProcess:
        home = triton.server_home(triton.ENVIRONMENT)
        region = f"countersign_fleet_{os.getpid()}_"
        command = triton.command(home, triton.link_backends(home, self.directory), ports, (MODEL,), region)
        # Its ports are opened when the models are loaded.
        part = ServiceProcess("triton", command, f"http://127.0.0.1:{ports.metrics}/metrics", self.log("triton"))
        part.environment = triton.process_environment(triton.ENVIRONMENT)
        part.cwd = triton.empty_directory(self.directory / "run")
        part.before = lambda: triton.clear_shared_memory(region)
        return part

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    async def start(self) -> None:
        self.server.start()
        await self.server.provision()
        for part in self.parts.values():
            part.start()
        for part in self.parts.values():
            part.wait()

    def stop(self) -> None:
        for part in self.parts.values():
            part.kill()
        self.server.kill()
        triton.clear_shared_memory(f"countersign_fleet_{os.getpid()}_")

    def logs(self) -> str:
        files = [*self.directory.glob("*.log"), *(self.directory / "bus").glob("*.log")]
        return "\n".join(file.read_text(errors="replace") for file in files)
