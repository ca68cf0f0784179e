"""Judge whether checkpoints of the event stream are signed as often as configured. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.runtime.checks.findings import Group

SUBJECT = "checkpoints"
MISSED_INTERVALS = 3  # a restart may skip an interval or two
TOLERANCE = timedelta(minutes=1)
RUNBOOK = "docs/how-to/verify-the-audit-trail.md"


@dataclass(frozen=True, slots=True)
class CheckpointTimer:
    """The timer of approval that fires when the next checkpoint is due."""

    due: datetime
    every: str


@dataclass(frozen=True, slots=True)
class LatestCheckpoint:
    """The last checkpoint in the folder; `covers` is the last sequence of the event stream that it covers."""

    number: int
    time: datetime
    covers: int


def assess_timer(group: Group, timer: CheckpointTimer | None, now: datetime) -> None:
    """Assess the timer of approval, when the folder of checkpoints is not known. Pure."""
    if timer is None:
        says = "approval makes none, and no folder is configured: a NATS administrator could rewrite the events"
        group.warning(SUBJECT, says, f"enable them, or set COUNTERSIGN_CHECKPOINT_DIR to their folder: {RUNBOOK}")
    elif now - timer.due > TOLERANCE:
        says = f"the next one was due at {timer.due:%Y-%m-%d %H:%M} UTC and was not made"
        group.warning(
            SUBJECT, says, "check that approval runs with its checkpoint settings; see the alerts `checkpoints-failing`"
        )
    else:
        group.ok(SUBJECT, f"approval makes one every {timer.every}; the next is due at {timer.due:%Y-%m-%d %H:%M} UTC")


def assess_folder(group: Group, newest: LatestCheckpoint | None, last: int, every: timedelta, now: datetime) -> None:
    """Assess the newest checkpoint; `last` is the stream's last sequence, `every` the configured interval. Pure."""
    do = f"see the alerts `checkpoints-failing`, or the log of the process that makes them: {RUNBOOK}"
    if newest is None:
        if last:
            group.warning(SUBJECT, "the folder is empty, but there are events", do)
        else:
            group.ok(SUBJECT, "none yet: there are no events")
    elif newest.covers > last:
        says = f"checkpoint {newest.number} covers events up to sequence {newest.covers}, but the last one is {last}"
        how = "after a restore of an older backup, start a new folder; otherwise run: countersign audit verify"
        group.fault(SUBJECT, says, how)
    elif newest.covers < last and now - newest.time > MISSED_INTERVALS * every:
        says = (
            f"the last one is of {newest.time:%Y-%m-%d %H:%M} UTC; {last - newest.covers} later events are not covered"
        )
        group.warning(SUBJECT, says, do)
    else:
        group.ok(SUBJECT, f"the last one is number {newest.number} of {newest.time:%Y-%m-%d %H:%M} UTC")
