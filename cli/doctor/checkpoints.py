"""Is it signed where every case stands, and as often as it should be?"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nats import errors
from nats.js.errors import APIError
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.doctor.findings import Group
from services.approval.audit.checkpoints import DUE, EVERY, TIMER
from shared.contracts.errors import CountersignError
from shared.messaging.checkpoints import Folder
from shared.messaging.connection import Bus
from shared.messaging.journal import STREAM, as_stored

SUBJECT = "checkpoints"
MISSED_INTERVALS = 3  # intervals without one: a process that restarts is no reason to worry
SLACK = timedelta(minutes=1)
RUNBOOK = "docs/how-to/verify-the-audit-trail.md"


class CheckpointSettings(BaseSettings):
    """The services' own, as far as they are known here."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True, env_ignore_empty=True)

    checkpoint_dir: Path | None = None
    checkpoint_every: timedelta = Field(default=timedelta(minutes=10))


@dataclass(frozen=True, slots=True)
class CheckpointTimer:
    """Approval's, which fires when the next one is to be made."""

    due: datetime
    every: str


@dataclass(frozen=True, slots=True)
class LatestCheckpoint:
    """The last checkpoint of the folder; up to which event of the trail it covers."""

    number: int
    time: datetime
    covers: int


async def check(bus: Bus, group: Group, now: datetime) -> None:
    settings = CheckpointSettings()
    try:
        timer, last = await _timer(bus), (await bus.jetstream.stream_info(STREAM)).state.last_seq
    except (CountersignError, APIError, errors.Error) as error:
        group.fault(SUBJECT, f"the bus cannot be asked ({type(error).__name__})", "see the streams")
        return
    if settings.checkpoint_dir is None:
        assess_timer(group, timer, now)
        return
    try:
        signed = Folder(settings.checkpoint_dir).last()
    except CountersignError as failure:
        group.fault(SUBJECT, failure.reason, "is COUNTERSIGN_CHECKPOINT_DIR there, and may it be read here?")
        return
    found = signed.checkpoint if signed is not None else None
    newest = LatestCheckpoint(found.number, found.time, found.last) if found is not None else None
    assess_folder(group, newest, last, settings.checkpoint_every, now)


async def _timer(bus: Bus) -> CheckpointTimer | None:
    """The later of what is set and what has fired."""
    found = []
    for subject in (TIMER, DUE):
        for message in await bus.direct_get("TIMERS", {"last_by_subj": subject}):
            headers: dict[str, Any] = as_stored(message).headers
            if (due := headers.get("countersign-due")) is not None:
                found.append(CheckpointTimer(datetime.fromisoformat(due), str(headers.get(EVERY, ""))))
    return max(found, key=lambda timer: timer.due, default=None)


def assess_timer(group: Group, timer: CheckpointTimer | None, now: datetime) -> None:
    """Only whether approval makes them can be told. Pure."""
    if timer is None:
        says = (
            "approval makes none, and where others make them is not said: who rules over NATS could re-write the trail"
        )
        group.warning(SUBJECT, says, f"turn them on, or name the folder in COUNTERSIGN_CHECKPOINT_DIR: {RUNBOOK}")
    elif now - timer.due > SLACK:
        says = f"the next one was due at {timer.due:%Y-%m-%d %H:%M} UTC, and nobody has made it"
        group.warning(
            SUBJECT, says, "is approval running, with its checkpoint settings? See the alerts `checkpoints-failing`"
        )
    else:
        group.ok(SUBJECT, f"approval makes one every {timer.every}; the next is due at {timer.due:%Y-%m-%d %H:%M} UTC")


def assess_folder(group: Group, newest: LatestCheckpoint | None, last: int, every: timedelta, now: datetime) -> None:
    """`last` is the trail's last event, `every` how often one is to be made. Pure."""
    do = f"see the alerts `checkpoints-failing`, or the log of what makes them: {RUNBOOK}"
    if newest is None:
        if last:
            group.warning(SUBJECT, "there is none in the folder, and the trail has events", do)
        else:
            group.ok(SUBJECT, "none yet, and nothing has happened")
    elif newest.covers > last:
        says = f"checkpoint {newest.number} covers the trail up to {newest.covers}, and it ends at {last}"
        how = "after a restore of an older backup: keep the folder, begin another. Otherwise: countersign audit verify"
        group.fault(SUBJECT, says, how)
    elif newest.covers < last and now - newest.time > MISSED_INTERVALS * every:
        says = f"the last is of {newest.time:%Y-%m-%d %H:%M} UTC; {last - newest.covers} events since are not covered"
        group.warning(SUBJECT, says, do)
    else:
        group.ok(SUBJECT, f"the last is number {newest.number}, of {newest.time:%Y-%m-%d %H:%M} UTC")
