"""A nats-server that runs by the configuration of an installation, as `countersign secrets init` writes it."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.stack.certificates import CA
from cli.stack.nats import server_binary
from cli.stack.ports import free_port
from cli.stack.secrets import load_or_create
from shared.messaging.connection import NatsConnection, connect
from tests.support import http
from tests.support.server import PATIENCE


@dataclass
class Installation:
    """A running server, and how its users reach it."""

    url: str
    monitor: str
    ca_file: Path

    async def connect(self, secrets: Path, user: str) -> NatsConnection:
        """Connect as a user of the hospital whose secrets are there."""
        return await connect(self.url, user, load_or_create(secrets).seeds[user], ca_file=self.ca_file)


def on_this_machine(secrets: Path, target: Path, client: int = 4222, monitor: int = 8222) -> Path:
    """Copy the configuration files with paths and addresses of this machine in the place of a container's."""
    shutil.copytree(secrets, target)
    moved = {
        "/run/secrets/": f"{target}/",
        '"/data"': f'"{target / "data"}"',
        '"0.0.0.0"': '"127.0.0.1"',
        '"0.0.0.0:8222"': f'"127.0.0.1:{monitor}"',
        '"port": 4222': f'"port": {client}',
    }
    for file in target.glob("*.conf"):
        text = file.read_text()
        for there, here in moved.items():
            text = text.replace(there, here)
        file.write_text(text)
    return target


def accepted(config: Path) -> str:
    """Return what nats-server has against a configuration; empty if nothing."""
    done = subprocess.run(
        [str(server_binary()), "-c", str(config), "-t"],
        capture_output=True,
        text=True,
        check=False,
        env={"POD_NAME": "nats-0"},
    )
    return done.stderr if done.returncode else ""


@contextmanager
def running_by(secrets: Path, directory: Path) -> Iterator[Installation]:
    """Run nats-server by `nats.conf` of `secrets`, on a copy in `directory`."""
    client, monitor = free_port(), free_port()
    here = on_this_machine(secrets, directory, client, monitor)
    with (here / "nats.log").open("wb") as log:
        process = subprocess.Popen(
            [str(server_binary()), "-c", str(here / "nats.conf")], stdout=log, stderr=log, env={}
        )
    installation = Installation(f"tls://127.0.0.1:{client}", f"http://127.0.0.1:{monitor}", here / CA)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(installation):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError((here / "nats.log").read_text()[-2000:])
            time.sleep(0.02)
        yield installation
    finally:
        process.kill()
        process.wait()


def _answers(installation: Installation) -> bool:
    try:
        return http.get(f"{installation.monitor}/healthz", timeout=1).is_success
    except httpx.HTTPError:
        return False
