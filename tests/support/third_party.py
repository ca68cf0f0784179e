"""Programs that others wrote, as processes: Medplum's FHIR server in memory, and its MLLP client and server."""

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
class Printed:
    """What a process prints: a JSON object a line, in order."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, patience: float = 120.0) -> None:
        """Wait until there are `count` messages."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, patience), "no message arrives"

    def read(self, output: IO[bytes]) -> None:
        """Read in the background until the process ends."""
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def _read(self, output: IO[bytes]) -> None:
        for line in output:
            with self.arrived:
                self.messages.append(json.loads(line))
                self.arrived.notify_all()


@dataclass
class Receiver(Printed):
    """Medplum's MLLP server as a process. `messages` are those that it has read, as JSON."""

    port: int = 0


@contextmanager
def receiving() -> Iterator[Receiver]:
    """The MLLP server; it ends with the block, and with this process."""
    installed()
    command = ["node", str(FOLDER / "receiver.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the third-party receiver did not start"
        receiver = Receiver(port=json.loads(line)["port"])
        receiver.read(process.stdout)
        try:
            yield receiver
        finally:
            process.kill()


@contextmanager
def sending(messages: list[bytes], port: int, connections: int, directory: Path) -> Iterator[Printed]:
    """Medplum's MLLP client, which repeats each message until it is answered AA; it ends with the block.

    `messages` of what it yields are the answers that it has got: `id` of the message, how many `attempts` it took,
    `answered` (MSA-2) and `code`.
    """
    installed()
    file = directory / "sender.json"
    texts = [message.decode() for message in messages]
    file.write_text(json.dumps({"port": port, "connections": connections, "messages": texts}))
    command = ["node", str(FOLDER / "sender.mjs"), str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        answers = Printed()
        answers.read(process.stdout)
        try:
            yield answers
        finally:
            process.kill()


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
