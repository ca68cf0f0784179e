"""The state of a refresh of the knowledge base: the fold of its events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.contracts.refresh import (
    AttemptFailed,
    BatchIndexed,
    BatchReady,
    Embedded,
    Evaluated,
    HeldBack,
    Indexed,
    Planned,
    Promoted,
    RecordedRefreshEvent,
    RefreshRef,
    RefreshStep,
    Requested,
    Resumed,
    Skipped,
    Started,
)

RefreshOutcome = Literal["promoted", "held-back", "skipped", "failed"]


@dataclass(slots=True)
class Refresh:
    """A refresh as far as its events tell."""

    ref: RefreshRef | None = None
    requested: Requested | None = None
    started: Started | None = None
    planned: Planned | None = None
    embedded: Embedded | None = None
    indexed: Indexed | None = None
    evaluated: Evaluated | None = None
    skipped: Skipped | None = None
    failure: AttemptFailed | None = None
    outcome: RefreshOutcome | None = None
    reason: str | None = None
    attempt: int = 1
    times: dict[str, datetime] = field(default_factory=dict)

    @property
    def awaits(self) -> RefreshStep | None:
        """Return the step that is next; None when the refresh has ended."""
        if self.outcome is not None or self.started is None:
            return None
        if self.indexed is not None:
            return "judge"
        if self.planned is None:
            return "prepare"  # also when every batch is indexed: their document entries may not be written yet
        return "settle" if self.embedded is not None else "embed"


def fold_refresh(history: Sequence[RecordedRefreshEvent]) -> Refresh:  # noqa: C901 - one arm per event
    """Return the refresh after `history`, which is in stream order."""
    found = Refresh()
    for record in history:
        found.ref = record.ref
        found.times[record.body.event] = record.time
        match record.body:
            case Requested() as requested:
                found.requested = requested
            case Started() as started:
                found.started = started
            case Planned() as planned:
                found.planned = planned
            case Embedded() as embedded:
                found.embedded = embedded
            case Indexed() as indexed:
                found.indexed = indexed
            case Evaluated() as evaluated:
                found.evaluated, found.reason = evaluated, evaluated.reason
            case Skipped() as skipped:
                found.skipped, found.outcome, found.reason = skipped, "skipped", skipped.reason
            case Promoted():
                found.outcome = "promoted"
            case HeldBack() as held:
                found.outcome, found.reason = "held-back", held.reason
            case AttemptFailed() as failed:
                found.failure, found.reason = failed, failed.reason
                found.outcome = "failed" if failed.again_at is None else None
            case Resumed() as resumed:
                found.attempt = resumed.attempt
            case BatchReady() | BatchIndexed():
                pass
    return found
