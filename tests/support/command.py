"""The `countersign` command as a process of its own, as its users run it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support import http

COUNTERSIGN = Path(sys.executable).with_name("countersign")
START_PATIENCE = 90.0


def run(*arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. Its output is a pipe's, without the width that pytest-xdist sets for its workers."""
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(
        [str(COUNTERSIGN), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=inherited | environment,
    )


@dataclass
class Up:
    """A running `countersign up`."""

    process: subprocess.Popen[str]
    data_dir: Path
    url: str
    errors: list[str] = field(default_factory=list)

    @property
    def access(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "access.json").read_text())
        return found

    def call(self, role: str, method: str, path: str, **sent: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.access['tokens'][role]}"} | sent.pop("headers", {})
        return http.request(method, f"{self.url}{path}", headers=headers, timeout=30, **sent)

    def kill(self) -> None:
        """kill -9: nothing is cleaned up."""
        self.process.kill()
        self.process.wait()

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sent)
        return self.process.wait(timeout=30)


@contextmanager
def up(data_dir: Path, port: int, *arguments: str) -> Iterator[Up]:
    """`countersign up`, serving; killed at the end if it still runs."""
    process = subprocess.Popen(
        [str(COUNTERSIGN), "up", "--data-dir", str(data_dir), "--port", str(port), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = Up(process, data_dir, f"http://127.0.0.1:{port}")
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: found.errors.extend(process.stderr or ()), daemon=True)
    reader.start()
    watchdog = threading.Timer(START_PATIENCE, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        watchdog.cancel()
        assert line == f"ready {found.url}\n", "".join(found.errors)
        yield found
    finally:
        watchdog.cancel()
        if process.poll() is None:
            found.kill()
        reader.join(timeout=10)
