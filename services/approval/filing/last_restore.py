"""After a restore: what the event stream has lost, the chart may have already.

A restored event stream ends at its backup. What was signed and filed after that is in the chart and in no event. The
profile `fhir` finds it by its identifiers. Other profiles cannot, and hold a document until a person has checked.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.contracts.corrections import RetractionFiled
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Failed, Filed, Reimported, Retried, StayReferences
from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection

BUCKET, KEY = "reconciled", "restored"
# Of a reason why a document is held. Events contain it: it must not change.
MAY_BE_FILED = "was restored: what was signed after it may be in the chart already"


class RestoreRecord(Model):
    """The last restore. `last` is the sequence of the last DISCHARGE event when it was done."""

    backup: str
    backed_up: datetime
    at: datetime
    last: int


async def read_last_restore(bus: NatsConnection) -> RestoreRecord | None:
    """Return the last restore; None where there was none. Raises TransientError."""
    entry = await Bucket(bus, BUCKET).get(KEY)
    return RestoreRecord.read(entry.value) if entry is not None else None


async def write_last_restore(bus: NatsConnection, restored: RestoreRecord) -> None:
    await Bucket(bus, BUCKET).put(KEY, restored.model_dump_json().encode())


def doubt_after_restore(
    restored: RestoreRecord | None, history: Sequence[RecordedEvent], stay: StayReferences | None
) -> str:
    """Return why the chart may have a document of `stay` that no event names. Empty: it cannot. Pure.

    It may where the stay had ended before the restore, or its case is one of the backup, until a person has checked:
    they released a document that was held, confirmed one, or took one over from the chart.
    """
    if restored is None:
        return ""
    later = bool(history) and history[0].head.sequence > restored.last
    if later and stay is not None and stay.end > restored.at:
        return ""
    if _checked([event for event in history if event.head.sequence > restored.last]):
        return ""
    return f"a backup of {restored.backed_up:%Y-%m-%d %H:%M} UTC {MAY_BE_FILED}. Look there for a document of this stay"


def _checked(since: Sequence[RecordedEvent]) -> bool:
    """Return whether a person has acted who knew of the restore: what is held for another reason does not count."""
    held = False
    for event in since:
        match event.body:
            case Failed(step="file", reason=reason):
                held = held or MAY_BE_FILED in reason
            case Retried(step="file") if held:
                return True
            case Filed(by=by) | RetractionFiled(by=by) if by is not None:
                return True
            case Reimported():
                return True
    return False
