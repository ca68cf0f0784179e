"""Is what NATS acknowledges safe, is there room, do the clocks agree."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.doctor.findings import Finding, Group
from cli.doctor.target import DoctorTarget
from cli.stack.nats_config import MAX_PAYLOAD
from shared.contracts.errors import TransientError
from shared.messaging.connection import Bus
from shared.messaging.monitor import Durability, read_durability

MINIMUM_VERSION = (2, 14)  # consumers can be put back to an earlier position, which a restore needs
SKEW_WARNING, SKEW_FAULT = timedelta(seconds=5), timedelta(seconds=30)  # an HTTP date is up to two seconds old
CERTIFICATE_WARNING = timedelta(days=30)
GIGABYTE = 1_000_000_000


async def check(place: DoctorTarget) -> list[Finding]:
    group = Group("server")
    if not place.monitor_url:
        do = "set COUNTERSIGN_NATS_MONITOR_URL, or start the stack again"
        group.warning("durability", "the monitoring endpoint is not known: nobody can tell what is synced", do)
    else:
        try:
            assess_durability(group, await read_durability(place.monitor_url), datetime.now(UTC))
        except TransientError as failure:
            group.fault("monitoring", failure.reason, f"is nats-server running, and its endpoint {place.monitor_url}?")
    if place.data_dir is not None:
        assess_free_space(
            group, "data directory", shutil.disk_usage(place.data_dir).free, shutil.disk_usage(place.data_dir).total
        )
        _check_data_dir(group, place.data_dir)
    return group.found


async def check_account(bus: Bus) -> list[Finding]:
    """The room that the hospital was given, where it has a limit of its own."""
    group, room = Group("server"), await bus.room()
    if room.limit is not None:
        assess_free_space(group, "storage of the account", room.limit - room.stored, room.limit)
    assess_payload(group, bus.client.max_payload)
    return group.found


def assess_payload(group: Group, most: int) -> None:
    """Whether the record of a long stay fits into a message, judged. Pure."""
    if most < MAX_PAYLOAD:
        says = f"the server takes messages of {most / 2**20:g} MiB: a long stay's record may not fit"
        group.warning("size of messages", says, f"set `max_payload: {MAX_PAYLOAD // 2**20}MB` and reload the server")


def assess_durability(group: Group, found: Durability, now: datetime) -> None:
    """What the server says of itself, judged. Pure."""
    if found.sync_always:
        group.ok("durability", "every acknowledged write is on disk first")
    else:
        do = "set `sync_interval: always` in the server's `jetstream` block"
        group.fault("durability", "a power cut may lose writes that were acknowledged", do)
    if not found.auth_required:
        group.fault("authentication", "the server lets anybody in", "give it the users of shared/messaging/rights.py")
    if found.single:
        says = f"one replica only, in a cluster of {found.servers}: {', '.join(found.single)}"
        group.fault("replicas", says, "provision with three (COUNTERSIGN_NATS_REPLICAS=3)")
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
    """How long the server's certificate is still good, judged. Pure."""
    do = "make a new one (countersign secrets init, or your own PKI) and reload the servers: docs/how-to/tls.md"
    if left <= timedelta():
        group.fault("certificate", "it has expired: nobody can connect any more", do)
    elif left < CERTIFICATE_WARNING:
        group.warning("certificate", f"it ends in {left.days} days", do)
    else:
        group.ok("certificate", f"it ends in {left.days} days")


def assess_clock_skew(group: Group, whose: str, theirs: datetime, ours: datetime) -> None:
    """Two clocks, judged. Timers fire by the server's; signatures and sign-ins carry ours. Pure."""
    apart = abs(theirs - ours)
    says = f"{apart.total_seconds():.1f} s from this machine's"
    do = "let both machines follow the same time server"
    if apart >= SKEW_FAULT:
        group.fault(f"clock of {whose}", says, do)
    elif apart >= SKEW_WARNING:
        group.warning(f"clock of {whose}", says, do)
    else:
        group.ok(f"clock of {whose}", says)


def assess_free_space(group: Group, what: str, free: int, total: int) -> None:
    """Room that is left, in bytes, judged. Pure."""
    says = f"{free / GIGABYTE:.1f} GB of {total / GIGABYTE:.0f} GB free"
    do = "make room: a server that cannot write acknowledges nothing"
    if free < min(GIGABYTE, total * 0.02):
        group.fault(what, says, do)
    elif free < min(10 * GIGABYTE, total * 0.1):
        group.warning(what, says, do)
    else:
        group.ok(what, says)


def _check_data_dir(group: Group, directory: Path) -> None:
    """An embedded stack's own: nobody else reads its secrets, and its store is encrypted."""
    loose = [name for name in ("secrets.json", "tokens.json", "access.json") if _is_open_to_others(directory / name)]
    if loose:
        names = ", ".join(loose)
        group.fault("secrets", f"others can read {names}", f"chmod 600 {' '.join(str(directory / n) for n in loose)}")
    else:
        group.ok("secrets", "readable by their owner only")
    config = directory / "nats.conf"
    if config.exists() and '"cipher"' in config.read_text():
        group.ok("encryption", "what is stored is encrypted")
    else:
        group.fault("encryption", "what is stored is not encrypted", "start the stack again with this version")


def _is_open_to_others(file: Path) -> bool:
    return file.exists() and bool(file.stat().st_mode & 0o077)


def _version(text: str) -> tuple[int, ...]:
    numbers = text.split("-")[0].split(".")
    return tuple(int(part) for part in numbers if part.isdigit())
