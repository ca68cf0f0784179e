"""Whether what is decided in the EHR counts: not after a restore, until a person has said so.

A restored trail does not know what was decided after its backup, and the EHR does.
"""

from datetime import datetime

from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import Bus
from shared.messaging.requests import OfDecisions, Verb
from shared.messaging.steps import Clock

BUCKET, KEY = "reconciled", "ehr-decisions"


class Hold(Model):
    """Who said so, why and when."""

    held: bool
    by: str
    why: str
    at: datetime


async def read_hold(bus: Bus) -> Hold | None:
    """What was said last; None: nothing ever was, and decisions count."""
    entry = await Bucket(bus, BUCKET).get(KEY)
    return Hold.model_validate_json(entry.value) if entry is not None else None


async def say(bus: Bus, hold: Hold) -> None:
    await Bucket(bus, BUCKET).put(KEY, hold.model_dump_json().encode())


def on_request(bus: Bus, clock: Clock) -> Verb:
    """The operator says whether they count."""

    async def do(asked: OfDecisions) -> str:
        if not asked.why.strip():
            raise PermanentError("Say why.")
        await say(bus, Hold(held=asked.held, by=asked.by, why=asked.why, at=clock()))
        return "decisions in the EHR are held" if asked.held else "decisions in the EHR count"

    return Verb(OfDecisions, do)
