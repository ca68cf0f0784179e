"""A part of a stack as a process of its own, so that it can be killed."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

PATIENCE = 60.0


@dataclass
class Part:
    """One process that can be killed and started again on the same address and data."""

    name: str
    command: list[str]
    health: str
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    cwd: Path | None = None
    patience: float = PATIENCE
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.before()
        with self.log.open("ab") as log:
            environment = os.environ | self.environment
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment, cwd=self.cwd)

    def wait(self) -> None:
        deadline = time.monotonic() + self.patience
        while not self.healthy():
            assert time.monotonic() < deadline, f"{self.name} does not get ready: {self.log.read_text()[-1500:]}"
            time.sleep(0.05)

    def healthy(self) -> bool:
        try:
            return httpx.get(self.health, timeout=1).is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
