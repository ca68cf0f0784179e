"""Check the NATS server: durability, storage, version, certificate, clock; and the data directory of a stack."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from cli.doctor.target import DoctorTarget
from shared.contracts.errors import TransientError
from shared.messaging.connection import NatsConnection
from shared.messaging.server_status import read_durability
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.checks.nats_server import assess_durability, assess_free_space, assess_payload, assess_storage


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
        assess_storage(group, "storage of the account", room.stored, room.limit)
    assess_payload(group, bus.client.max_payload)
    return group.found


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
