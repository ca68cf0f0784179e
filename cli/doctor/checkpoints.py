"""Check that checkpoints of the event stream are signed as often as configured."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nats import errors
from nats.js.errors import APIError
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.doctor.findings import Group
from services.approval.audit.checkpoints import JOB
from shared.contracts.errors import CountersignError
from shared.contracts.subjects import reconcile_subjects
from shared.messaging.checkpoints import Folder
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, raw_message_of
from shared.messaging.recurring_timer import INTERVAL_HEADER

SUBJECT = "checkpoints"
MISSED_INTERVALS = 3  # a restart may skip an interval or two
TOLERANCE = timedelta(minutes=1)
RUNBOOK = "docs/how-to/verify-the-audit-trail.md"


class CheckpointSettings(BaseSettings):
    """The checkpoint settings of the services."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True, env_ignore_empty=True)

    checkpoint_dir: Path | None = None
    checkpoint_every: timedelta = Field(default=timedelta(minutes=10))


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


async def check(bus: NatsConnection, group: Group, now: datetime) -> None:
    settings = CheckpointSettings()
    try:
        timer, last = await _timer(bus), (await bus.jetstream.stream_info(STREAM)).state.last_seq
    except (CountersignError, APIError, errors.Error) as error:
        group.fault(SUBJECT, f"NATS cannot be read ({type(error).__name__})", "see the findings about streams")
        return
    if settings.checkpoint_dir is None:
        assess_timer(group, timer, now)
        return
    try:
        signed = Folder(settings.checkpoint_dir).last()
    except CountersignError as failure:
        group.fault(SUBJECT, failure.reason, "check that COUNTERSIGN_CHECKPOINT_DIR exists and can be read here")
        return
    found = signed.checkpoint if signed is not None else None
    newest = LatestCheckpoint(found.number, found.time, found.last) if found is not None else None
    assess_folder(group, newest, last, settings.checkpoint_every, now)


async def _timer(bus: NatsConnection) -> CheckpointTimer | None:
    """Return the later of the scheduled and the fired timer."""
    found = []
    for subject in reconcile_subjects(JOB):
        for message in await bus.direct_get("TIMERS", {"last_by_subj": subject}):
            headers: dict[str, Any] = raw_message_of(message).headers
            if (due := headers.get("countersign-due")) is not None:
                found.append(CheckpointTimer(datetime.fromisoformat(due), str(headers.get(INTERVAL_HEADER, ""))))
    return max(found, key=lambda timer: timer.due, default=None)


def assess_timer(group: Group, timer: CheckpointTimer | None, now: datetime) -> None:
    """Assess the timer of approval, when the folder of checkpoints is not known. Pure."""
    if timer is None:
        message = "approval makes none, and no folder is configured: a NATS administrator could rewrite the events"
        group.warning(SUBJECT, message, f"enable them, or set COUNTERSIGN_CHECKPOINT_DIR to their folder: {RUNBOOK}")
    elif now - timer.due > TOLERANCE:
        message = f"the next one was due at {timer.due:%Y-%m-%d %H:%M} UTC and was not made"
        group.warning(
            SUBJECT,
            message,
            "check that approval runs with its checkpoint settings; see the alerts `checkpoints-failing`",
        )
    else:
        group.ok(SUBJECT, f"approval makes one every {timer.every}; the next is due at {timer.due:%Y-%m-%d %H:%M} UTC")


def assess_folder(group: Group, newest: LatestCheckpoint | None, last: int, every: timedelta, now: datetime) -> None:
    """Assess the newest checkpoint; `last` is the stream's last sequence, `every` the configured interval. Pure."""
    fix = f"see the alerts `checkpoints-failing`, or the log of the process that makes them: {RUNBOOK}"
    if newest is None:
        if last:
            group.warning(SUBJECT, "the folder is empty, but there are events", fix)
        else:
            group.ok(SUBJECT, "none yet: there are no events")
    elif newest.covers > last:
        message = f"checkpoint {newest.number} covers events up to sequence {newest.covers}, but the last one is {last}"
        how = "after a restore of an older backup, start a new folder; otherwise run: countersign audit verify"
        group.fault(SUBJECT, message, how)
    elif newest.covers < last and now - newest.time > MISSED_INTERVALS * every:
        message = (
            f"the last one is of {newest.time:%Y-%m-%d %H:%M} UTC; {last - newest.covers} later events are not covered"
        )
        group.warning(SUBJECT, message, fix)
    else:
        group.ok(SUBJECT, f"the last one is number {newest.number} of {newest.time:%Y-%m-%d %H:%M} UTC")
