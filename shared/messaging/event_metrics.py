"""Metrics of appended events, recorded by the process that appended them, so once for each event."""

from datetime import datetime

from shared.contracts.events import Approved, CaseEvent, Drafted, Escalated, ReadingFigures, Rejected, StayReferences
from shared.contracts.ratings import Rated
from shared.contracts.refresh import AttemptFailed, HeldBack, Planned, Promoted, RefreshEvent, RefreshRef, Skipped
from shared.contracts.subjects import CaseRef
from shared.telemetry.instruments import increment, metrics_enabled, observe
from shared.telemetry.metric_definitions import (
    CHANNEL,
    CONFIGURATION,
    DEPARTMENT,
    DOCUMENT,
    EVENT,
    LEVEL,
    OUTCOME,
    SOURCE,
)

SHOWN = 12  # characters of a configuration's digest, as the commands show it


def measure(case: CaseRef, event: CaseEvent, time: datetime) -> None:
    """Count `event` of `case`, which was appended at `time`."""
    if not metrics_enabled():
        return
    where = {DEPARTMENT: case.department}
    increment("countersign.case.events", 1, where | {EVENT: event.event})
    match event:
        case Drafted():
            _since_discharge("countersign.case.time_to_draft", event.stay, time, where)
            observe("countersign.draft.unsupported", event.unsupported, where)
            increment("countersign.draft.sentences", event.unsupported, {OUTCOME: "unsupported"})
            increment("countersign.draft.sentences", event.sentences - event.unsupported, {OUTCOME: "supported"})
        case Approved():
            _since_discharge("countersign.case.time_to_signature", event.stay, time, where)
            increment("countersign.drafts", 1, where | {OUTCOME: _signed(event), CHANNEL: event.channel or "unknown"})
            if event.narrative != "physician":  # a text that was written anew says little of the draft
                observe("countersign.draft.edit_distance", event.edits.distance if event.edits else 0, where)
            increment("countersign.draft.reading", 1, where | {OUTCOME: _reading_outcome(event.reading)})
        case Rejected():
            increment("countersign.drafts", 1, where | {OUTCOME: event.action, CHANNEL: event.channel or "unknown"})
        case Rated():
            stamp = event.draft.drafter
            drafter = stamp.configuration[:SHOWN] if stamp is not None else "unknown"
            what = {DOCUMENT: event.draft.kind, CONFIGURATION: drafter, OUTCOME: event.rating}
            increment("countersign.draft.ratings", 1, what)
        case Escalated():
            increment("countersign.escalations", 1, where | {LEVEL: event.level})
        case _:
            pass


def _signed(event: Approved) -> str:
    if event.narrative == "physician":
        return "signed-by-hand"
    return "signed-edited" if event.edited else "signed-as-it-is"


def _reading_outcome(reading: ReadingFigures | None) -> str:
    """Return how much of the draft its signer had in view, and whether there was time to read it."""
    if reading is None:
        return "unknown"
    if not reading.looked_at:
        return "no-look"
    return "every-part" if reading.parts_viewed >= reading.parts else "some-parts"


def _since_discharge(name: str, stay: StayReferences, time: datetime, where: dict[str, str]) -> None:
    """Observe the seconds since the discharge was reported; older stays without that time are left out."""
    if stay.reported_at is not None:  # clocks of two services may differ
        observe(name, max(0.0, (time - stay.reported_at).total_seconds()), where)


def initialize_refresh_counters() -> None:
    """Set the counters to 0, so that the first of each outcome is seen as an increase."""
    for outcome in ("promoted", "held-back", "skipped", "failed", "failed-once"):
        increment("countersign.knowledge.refreshes", 0, {OUTCOME: outcome})


def measure_refresh(ref: RefreshRef, event: RefreshEvent) -> None:
    """Count `event` of a refresh, which this process appended."""
    where = {SOURCE: ref.source}
    match event:
        case Planned():
            increment("countersign.knowledge.chunks", event.chunks_kept, where | {OUTCOME: "kept"})
        case Promoted() | HeldBack() | Skipped():
            increment("countersign.knowledge.refreshes", 1, {OUTCOME: event.event})
        case AttemptFailed():
            outcome = "failed" if event.again_at is None else "failed-once"
            increment("countersign.knowledge.refreshes", 1, {OUTCOME: outcome})
        case _:
            pass
