"""Name the cases of which the chart may have more than the event stream, where the chart cannot be read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.approval.filing.last_restore import RestoreRecord, doubt_after_restore
from shared.contracts.case import END_STATES, fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError
from shared.messaging.checkpoints import Folder, public_key

UNKNOWN = "not in the event stream"


@dataclass(frozen=True, slots=True)
class LostHead:
    """The end of a case's chain that a signed checkpoint proves, and the time of the checkpoint."""

    digest: str
    at: datetime


@dataclass(frozen=True, slots=True)
class UnreadableCase:
    """A case that a person has to look for in the chart. `proven`: events of it are lost, by a signed checkpoint."""

    case: str
    state: str
    proven: datetime | None = None

    @property
    def words(self) -> str:
        """Return what is known, and what to do."""
        lost = f"it had more events by {self.proven:%Y-%m-%d %H:%M} UTC (signed checkpoint); " if self.proven else ""
        if self.state == UNKNOWN:
            return f"{lost}have its discharge reported again, and look for its document in the chart"
        return f"{lost}look for its document in the chart; what is signed of it now is held until somebody has"


def lost_heads(folder: Path, key: Path, since: datetime) -> dict[str, LostHead]:
    """Return the last head of each case in the signed checkpoints that were made after `since`.

    Raises PermanentError for a checkpoint that cannot be read, or that another key has signed.
    """
    found: dict[str, LostHead] = {}
    checkpoints, public = Folder(folder), public_key(key)
    for number in checkpoints.numbers():
        with checkpoints.open(number) as (signed, heads):
            if not signed.is_signed_by(public):
                raise PermanentError(f"checkpoint {number} is not signed by this key")
            if signed.checkpoint.time > since:
                found |= {head.case: LostHead(head.digest, signed.checkpoint.time) for head in heads}
    return found


def unreadable(
    case_id: str, history: Sequence[RecordedEvent], restored: RestoreRecord | None, proven: LostHead | None
) -> UnreadableCase | None:
    """Return the case if the chart may have more of it than the events, and nobody has looked since the restore. Pure.

    An ended case is one of them where a checkpoint proves that it had more events.
    """
    if proven is not None and any(event.head.digest == proven.digest for event in history):
        proven = None
    at = proven.at if proven is not None else None
    if not history:
        return UnreadableCase(case_id, UNKNOWN, at) if at is not None else None
    state = fold(history).state
    bodies = (event.body for event in reversed(history))
    stay = next((stay for body in bodies if (stay := getattr(body, "stay", None)) is not None), None)
    if (state in END_STATES and at is None) or not doubt_after_restore(restored, history, stay):
        return None
    return UnreadableCase(case_id, state, at)
