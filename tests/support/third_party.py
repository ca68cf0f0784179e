"""Servers that others wrote, as processes: Medplum's FHIR router over its repository in memory, and its MLLP server."""

import fcntl
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from shared.contracts.envelope import sha256_hex

FOLDER = Path(__file__).parents[1] / "thirdparty"


def installed() -> None:
    """Installs the server as its lock file says; the test is skipped where there is no Node.js."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here: the third-party server comes from npm's registry")
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes, and they share the folder
        stamp, wanted = FOLDER / "node_modules" / ".installed", sha256_hex(lock.read().encode())
        if not stamp.is_file() or stamp.read_text() != wanted:
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=300)
            stamp.write_text(wanted)


@contextmanager
def serving(resources: list[dict[str, Any]], directory: Path) -> Iterator[str]:
    """The base URL of the server with `resources` in it; it ends with the block, and with this process."""
    installed()
    bundle = directory / "bundle.json"
    bundle.write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": item} for item in resources]}))
    command = ["node", str(FOLDER / "server.mjs"), str(bundle)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        line = server.stdout.readline()  # it comes when the server listens, or is empty when it has ended
        assert line, "the third-party server did not start"
        try:
            yield f"http://127.0.0.1:{json.loads(line)['port']}/fhir/R4"
        finally:
            server.kill()


@dataclass
class Receiver:
    """Medplum's MLLP server as a process. `messages` are those that it has read, as JSON, in order."""

    port: int
    messages: list[dict[str, Any]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, patience: float = 120.0) -> None:
        """Wait until `count` messages have been read."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, patience), "no message arrives"


@contextmanager
def receiving() -> Iterator[Receiver]:
    """The MLLP server; it ends with the block, and with this process."""
    installed()
    command = ["node", str(FOLDER / "receiver.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the third-party receiver did not start"
        receiver = Receiver(json.loads(line)["port"])
        reading = threading.Thread(target=_read, args=(process.stdout, receiver), daemon=True)
        reading.start()
        try:
            yield receiver
        finally:
            process.kill()


def _read(output: IO[bytes], receiver: Receiver) -> None:
    for line in output:
        with receiver.arrived:
            receiver.messages.append(json.loads(line))
            receiver.arrived.notify_all()


def errors(bundles: list[bytes], directory: Path) -> list[dict[str, Any]]:
    """What Medplum's validator has against Bundles, and the resources in them, by the definitions of R4."""
    installed()
    files = [directory / f"{number}.json" for number in range(len(bundles))]
    for file, bundle in zip(files, bundles, strict=True):
        file.write_bytes(bundle)
    command = ["node", str(FOLDER / "validate.mjs"), *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
