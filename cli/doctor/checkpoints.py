"""Check that checkpoints of the event stream are signed as often as configured."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nats import errors
from nats.js.errors import APIError
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.approval.audit.checkpoints import JOB
from services.approval.health.checkpoints import SUBJECT, CheckpointTimer, LatestCheckpoint, assess_folder, assess_timer
from shared.contracts.errors import CountersignError
from shared.contracts.subjects import reconcile_subjects
from shared.messaging.checkpoints import Folder
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, raw_message_of
from shared.messaging.recurring_timer import INTERVAL_HEADER
from shared.runtime.checks.findings import Group


class CheckpointSettings(BaseSettings):
    """The checkpoint settings of the services."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True, env_ignore_empty=True)

    checkpoint_dir: Path | None = None
    checkpoint_every: timedelta = Field(default=timedelta(minutes=10))


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
