"""Judge what a NATS server reports of itself: durability, storage, version, certificate, clock. Pure."""

from datetime import datetime, timedelta

from shared.messaging.server_status import ServerStatus
from shared.runtime.checks.findings import Group

MINIMUM_VERSION = (2, 14)  # consumers can be reset to an earlier position, which a restore needs
SKEW_WARNING, SKEW_FAULT = timedelta(seconds=5), timedelta(seconds=30)  # an HTTP date is up to two seconds old
CERTIFICATE_WARNING = timedelta(days=30)
STORAGE_SHARE = 0.8  # of the storage for streams; as the alert NatsStorageFills
GIGABYTE = 1_000_000_000
MAX_PAYLOAD = 8 * 2**20  # fits the record of a long stay; NATS advises against more, its default is 1 MiB


def assess_payload(group: Group, most: int) -> None:
    """Assess whether the record of a long stay fits into a message. Pure."""
    if most < MAX_PAYLOAD:
        says = f"the server accepts messages up to {most / 2**20:g} MiB: the record of a long stay may not fit"
        group.warning("size of messages", says, f"set `max_payload: {MAX_PAYLOAD // 2**20}MB` and reload the server")


def assess_durability(group: Group, found: ServerStatus, now: datetime) -> None:
    """Assess what the server reports of itself. Pure."""
    if found.sync_always:
        group.ok("durability", "every write is on disk before it is acknowledged")
    else:
        do = "set `sync_interval: always` in the server's `jetstream` block"
        group.fault("durability", "a power failure may lose acknowledged writes", do)
    if not found.auth_required:
        group.fault(
            "authentication",
            "the server accepts clients without credentials",
            "configure the users of shared/messaging/permissions.py",
        )
    if found.single:
        says = f"only one replica in a cluster of {found.servers} servers: {', '.join(found.single)}"
        group.fault("replicas", says, "provision with three replicas (COUNTERSIGN_NATS_REPLICAS=3)")
    if _version(found.version) < MINIMUM_VERSION:
        group.fault(
            "version", f"nats-server {found.version}", f"run {MINIMUM_VERSION[0]}.{MINIMUM_VERSION[1]} or later"
        )
    else:
        group.ok("version", f"nats-server {found.version}")
    if found.may_store:
        assess_storage(group, "stream storage", found.stored, found.may_store)
    assess_clock_skew(group, "NATS", found.now, now)
    if found.certificate_ends is not None:
        assess_certificate(group, found.certificate_ends - now)


def assess_certificate(group: Group, left: timedelta) -> None:
    """Assess how long the server's certificate is still valid. Pure."""
    do = "renew it (countersign secrets init, or your own PKI) and reload the servers: docs/how-to/tls.md"
    if left <= timedelta():
        group.fault("certificate", "it has expired: clients can no longer connect", do)
    elif left < CERTIFICATE_WARNING:
        group.warning("certificate", f"it expires in {left.days} days", do)
    else:
        group.ok("certificate", f"it expires in {left.days} days")


def assess_clock_skew(group: Group, whose: str, theirs: datetime, ours: datetime) -> None:
    """Assess two clocks. Timers use the server's; signatures and sign-ins use ours. Pure."""
    apart = abs(theirs - ours)
    says = f"{apart.total_seconds():.1f} s off this machine's clock"
    do = "synchronize both machines with the same time server"
    if apart >= SKEW_FAULT:
        group.fault(f"clock of {whose}", says, do)
    elif apart >= SKEW_WARNING:
        group.warning(f"clock of {whose}", says, do)
    else:
        group.ok(f"clock of {whose}", says)


def assess_storage(group: Group, what: str, stored: int, limit: int) -> None:
    """Assess storage that has a limit; sizes in bytes. Pure."""
    assess_free_space(group, what, limit - stored, limit, low=limit * (1 - STORAGE_SHARE))


def assess_free_space(group: Group, what: str, free: int, total: int, *, low: float | None = None) -> None:
    """Assess free space; sizes in bytes. Less than `low` is a warning: by default 10 GB, or a tenth. Pure."""
    says = f"{free / GIGABYTE:.1f} GB of {total / GIGABYTE:.0f} GB free"
    do = "free some space: a server that cannot write accepts no messages"
    if free < min(GIGABYTE, total * 0.02):
        group.fault(what, says, do)
    elif free < (min(10 * GIGABYTE, total * 0.1) if low is None else low):
        group.warning(what, says, do)
    else:
        group.ok(what, says)


def _version(text: str) -> tuple[int, ...]:
    numbers = text.split("-")[0].split(".")
    return tuple(int(part) for part in numbers if part.isdigit())
