"""Hold decisions of the EHR after a restore, until an operator allows them.

A restored event stream lacks the decisions that were taken after its backup; the EHR still has them.
"""

from datetime import datetime

from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.requests import DecisionHoldRequest, Operation
from shared.messaging.steps import Clock

BUCKET, KEY = "reconciled", "ehr-decisions"


class DecisionHold(Model):
    """Whether decisions are held, by whom, why and since when."""

    held: bool
    by: str
    why: str
    at: datetime


async def read_hold(bus: NatsConnection) -> DecisionHold | None:
    """Return the last setting; None where there was none: decisions are applied."""
    entry = await Bucket(bus, BUCKET).get(KEY)
    return DecisionHold.model_validate_json(entry.value) if entry is not None else None


async def write_hold(bus: NatsConnection, hold: DecisionHold) -> None:
    await Bucket(bus, BUCKET).put(KEY, hold.model_dump_json().encode())


async def set_hold(bus: NatsConnection, asked: DecisionHoldRequest, clock: Clock) -> DecisionHold:
    """Hold or allow decisions, and return the setting. Repeating a request has no further effect.

    Raises PermanentError without a reason.
    """
    if not asked.why.strip():
        raise PermanentError("Say why.")
    before = await read_hold(bus)
    if before is not None and (before.held, before.by, before.why) == (asked.held, asked.by, asked.why):
        return before
    made = DecisionHold(held=asked.held, by=asked.by, why=asked.why, at=clock())
    await write_hold(bus, made)
    return made


def on_request(bus: NatsConnection, clock: Clock) -> Operation:
    """Return the request with which an operator holds or allows decisions."""

    async def do(asked: DecisionHoldRequest) -> str:
        await set_hold(bus, asked, clock)
        return "decisions in the EHR are held" if asked.held else "decisions in the EHR count"

    return Operation(DecisionHoldRequest, do)
