"""Check the NATS server: durability, storage, version, certificate, clock."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.doctor.findings import Finding, Group
from cli.doctor.target import DoctorTarget
from cli.stack.nats_config import MAX_PAYLOAD
from shared.contracts.errors import TransientError
from shared.messaging.connection import NatsConnection
from shared.messaging.server_status import ServerStatus, read_durability

MINIMUM_VERSION = (2, 14)  # consumers can be reset to an earlier position, which a restore needs
SKEW_WARNING, SKEW_FAULT = timedelta(seconds=5), timedelta(seconds=30)  # an HTTP date is up to two seconds old
CERTIFICATE_WARNING = timedelta(days=30)
GIGABYTE = 1_000_000_000


async def check(target: DoctorTarget) -> list[Finding]:
    group = Group("server")
    if not target.monitor_url:
        fix = "set COUNTERSIGN_NATS_MONITOR_URL, or restart the stack"
        group.warning(
            "durability", "the monitoring endpoint is not known, so it cannot be checked whether writes are synced", fix
        )
    else:
        try:
            assess_durability(group, await read_durability(target.monitor_url), datetime.now(UTC))
        except TransientError as failure:
            group.fault(
                "monitoring",
                failure.reason,
                f"check that nats-server runs with its monitoring endpoint {target.monitor_url}",
            )
    if target.data_dir is not None:
        assess_free_space(
            group, "data directory", shutil.disk_usage(target.data_dir).free, shutil.disk_usage(target.data_dir).total
        )
        _check_data_dir(group, target.data_dir)
    return group.found


async def check_account(bus: NatsConnection) -> list[Finding]:
    """Check the storage of the account, if it has a limit, and the maximum message size."""
    group, room = Group("server"), await bus.storage_usage()
    if room.limit is not None:
        assess_free_space(group, "storage of the account", room.limit - room.stored, room.limit)
    assess_payload(group, bus.client.max_payload)
    return group.found


def assess_payload(group: Group, most: int) -> None:
    """Assess whether the record of a long stay fits into a message. Pure."""
    if most < MAX_PAYLOAD:
        message = f"the server accepts messages up to {most / 2**20:g} MiB: the record of a long stay may not fit"
        group.warning("size of messages", message, f"set `max_payload: {MAX_PAYLOAD // 2**20}MB` and reload the server")


def assess_durability(group: Group, found: ServerStatus, now: datetime) -> None:
    """Assess what the server reports of itself. Pure."""
    if found.sync_always:
        group.ok("durability", "every write is on disk before it is acknowledged")
    else:
        fix = "set `sync_interval: always` in the server's `jetstream` block"
        group.fault("durability", "a power failure may lose acknowledged writes", fix)
    if not found.auth_required:
        group.fault(
            "authentication",
            "the server accepts clients without credentials",
            "configure the users of shared/messaging/permissions.py",
        )
    if found.single:
        message = f"only one replica in a cluster of {found.servers} servers: {', '.join(found.single)}"
        group.fault("replicas", message, "provision with three replicas (COUNTERSIGN_NATS_REPLICAS=3)")
    if _version(found.version) < MINIMUM_VERSION:
        group.fault(
            "version", f"nats-server {found.version}", f"run {MINIMUM_VERSION[0]}.{MINIMUM_VERSION[1]} or later"
        )
    else:
        group.ok("version", f"nats-server {found.version}")
    if found.may_store:
        assess_free_space(group, "stream storage", found.may_store - found.stored, found.may_store)
    assess_clock_skew(group, "NATS", found.now, now)
    if found.certificate_ends is not None:
        assess_certificate(group, found.certificate_ends - now)


def assess_certificate(group: Group, left: timedelta) -> None:
    """Assess how long the server's certificate is still valid. Pure."""
    fix = "renew it (countersign secrets init, or your own PKI) and reload the servers: docs/how-to/tls.md"
    if left <= timedelta():
        group.fault("certificate", "it has expired: clients can no longer connect", fix)
    elif left < CERTIFICATE_WARNING:
        group.warning("certificate", f"it expires in {left.days} days", fix)
    else:
        group.ok("certificate", f"it expires in {left.days} days")


def assess_clock_skew(group: Group, whose: str, theirs: datetime, ours: datetime) -> None:
    """Assess two clocks. Timers use the server's; signatures and sign-ins use ours. Pure."""
    apart = abs(theirs - ours)
    message = f"{apart.total_seconds():.1f} s off this machine's clock"
    fix = "synchronize both machines with the same time server"
    if apart >= SKEW_FAULT:
        group.fault(f"clock of {whose}", message, fix)
    elif apart >= SKEW_WARNING:
        group.warning(f"clock of {whose}", message, fix)
    else:
        group.ok(f"clock of {whose}", message)


def assess_free_space(group: Group, what: str, free: int, total: int) -> None:
    """Assess free space; sizes in bytes. Pure."""
    message = f"{free / GIGABYTE:.1f} GB of {total / GIGABYTE:.0f} GB free"
    fix = "free some space: a server that cannot write accepts no messages"
    if free < min(GIGABYTE, total * 0.02):
        group.fault(what, message, fix)
    elif free < min(10 * GIGABYTE, total * 0.1):
        group.warning(what, message, fix)
    else:
        group.ok(what, message)


def _check_data_dir(group: Group, directory: Path) -> None:
    """Check that other users cannot read the secrets of an embedded stack, and that its store is encrypted."""
    loose = [name for name in ("secrets.json", "tokens.json", "access.json") if _is_open_to_others(directory / name)]
    if loose:
        names = ", ".join(loose)
        group.fault(
            "secrets", f"other users can read {names}", f"chmod 600 {' '.join(str(directory / n) for n in loose)}"
        )
    else:
        group.ok("secrets", "readable for their owner only")
    config = directory / "nats.conf"
    if config.exists() and '"cipher"' in config.read_text():
        group.ok("encryption", "stored data is encrypted")
    else:
        group.fault("encryption", "stored data is not encrypted", "restart the stack with this version")


def _is_open_to_others(file: Path) -> bool:
    return file.exists() and bool(file.stat().st_mode & 0o077)


def _version(text: str) -> tuple[int, ...]:
    numbers = text.split("-")[0].split(".")
    return tuple(int(part) for part in numbers if part.isdigit())
