"""Compare the entries of the ACCESS stream with the digest over them in each checkpoint."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from services.approval.case_verification.fault import Fault
from shared.contracts.checkpoint import Checkpoint, access_digest
from shared.messaging.access_log import STREAM
from shared.messaging.checkpoints import MAX_EVENTS, PAGE, Folder
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import raw_message_of
from shared.messaging.topology import STREAMS


def retention() -> timedelta:
    """Return how long an entry is kept."""
    return next(timedelta(seconds=item.max_age) for item in STREAMS if item.name == STREAM and item.max_age)


async def verify_access_log(bus: NatsConnection, folder: Folder, now: datetime) -> list[Fault]:
    """Return the faults of entries that a checkpoint covers and that are not older than the retention."""
    faults: list[Fault] = []
    first, before = await _first(bus), None
    for checkpoint in _in_order(folder):
        at, digest = (before.access_last, before.access) if before is not None else (0, "")
        end = checkpoint.access_last
        if end > at and (first is None or first > at + 1):
            if before is not None and end - at < MAX_EVENTS and now - before.time < retention():
                faults.append(
                    _fault(checkpoint, "entries that it covers are missing before the end of their retention")
                )
        elif await _digest(bus, at, end, digest) != checkpoint.access:
            faults.append(_fault(checkpoint, "entries that it covers were changed, deleted or inserted since"))
        before = checkpoint
    return faults


def _fault(checkpoint: Checkpoint, words: str) -> Fault:
    return Fault("", "", 0, f"the access log (ACCESS), checkpoint {checkpoint.number}: {words}")


def _in_order(folder: Folder) -> Iterator[Checkpoint]:
    for number in folder.numbers():
        with folder.open(number) as (signed, _):
            yield signed.checkpoint


async def _first(bus: NatsConnection) -> int | None:
    found = await bus.direct_get(STREAM, {"seq": 1, "next_by_subj": "access.>", "batch": 1})
    return min((raw_message_of(message).sequence for message in found), default=None)


async def _digest(bus: NatsConnection, at: int, end: int, digest: str) -> str:
    """Continue `digest` over the entries after `at`, up to `end`."""
    while at < end:
        query: dict[str, Any] = {"seq": at + 1, "next_by_subj": "access.>", "batch": PAGE}
        page = [raw_message_of(message) for message in await bus.direct_get(STREAM, query)]
        for item in page:
            if item.sequence <= end:
                digest = access_digest(digest, item.sequence, item.subject, item.data)
            at = item.sequence
        if len(page) < PAGE:
            break
    return digest
