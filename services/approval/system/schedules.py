"""Recurring jobs by their timers in NATS: when each runs next, and why. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from services.approval.operations.outcomes import DOCS
from shared.contracts.subjects import (
    CENSUS_TIMER,
    PEAK_TIMER,
    POLL_TIMER,
    RECONCILE_TIMER,
    REFRESH_TIMER,
    RETRY_TIMER,
    fired_timer_filter,
    timer_filter,
)
from shared.messaging.recurring_timer import INTERVAL_HEADER
from shared.messaging.timers import DUE_AT

TOLERANCE = timedelta(minutes=1)
LATE = timedelta(minutes=10)  # jobs of one consumer run one after the other
SCHEDULE_HEADER = "countersign-schedule"  # a schedule of ingest, such as `at 02:00 Europe/Vienna`
OF_APPROVAL, OF_OTHERS = (RECONCILE_TIMER,), (REFRESH_TIMER, RETRY_TIMER, POLL_TIMER, CENSUS_TIMER, PEAK_TIMER)
HOW_TO = f"{DOCS}/how-to"

State = Literal["scheduled", "running", "due", "late", "off"]


@dataclass(frozen=True, slots=True)
class JobDescription:
    """A recurring job: what it does, how it is turned on, and the page about it."""

    title: str
    why: str
    setting: str
    runbook: str


JOBS = {
    "tasks": JobDescription(
        "Reconciliation with the EHR",
        "Finds decisions made in the EHR, and puts ended cases in order there.",
        "COUNTERSIGN_RECONCILE_EVERY",
        f"{HOW_TO}/ehr-inbox.md",
    ),
    "checkpoint": JobDescription(
        "Checkpoints",
        "Signs how far the audit trail goes.",
        "COUNTERSIGN_CHECKPOINT_DIR and COUNTERSIGN_CHECKPOINT_KEY_FILE",
        f"{HOW_TO}/verify-the-audit-trail.md",
    ),
    "retention": JobDescription(
        "Retention",
        "Orders the erasure of texts whose time has come.",
        "COUNTERSIGN_RETAIN_…",
        f"{HOW_TO}/erase-and-retain.md",
    ),
    "preparations": JobDescription(
        "Ends of preparations",
        "Ends drafts that no discharge has followed in time.",
        "COUNTERSIGN_END_PREPARATIONS_EVERY",
        f"{HOW_TO}/prepare-drafts.md",
    ),
}
KINDS = {
    "refresh": JobDescription(
        "Knowledge refresh", "Reads a source of the knowledge base again.", "", f"{HOW_TO}/knowledge-base.md"
    ),
    "again": JobDescription(
        "Further attempt of a refresh", "Tries a failed refresh again.", "", f"{HOW_TO}/knowledge-base.md"
    ),
    "poll": JobDescription("Poll of the EHR", "Asks the EHR for discharges.", "", f"{HOW_TO}/fhir-notifications.md"),
    "census": JobDescription(
        "Nightly census", "Asks for drafts of the stays of a department.", "", f"{HOW_TO}/prepare-drafts.md"
    ),
    "peak": JobDescription(
        "Peak hours", "Pauses the embedding when peak hours begin.", "", f"{HOW_TO}/knowledge-base.md"
    ),
}


@dataclass(frozen=True, slots=True)
class StoredTimer:
    """A message of a timer stream: `fired` where its time has come and no process has completed the job."""

    kind: str
    name: str
    fired: bool
    due: datetime | None
    set_at: datetime | None
    every: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recurring job. `name`: the source, department or job. `every`: its interval or schedule, as it was configured.

    `next_at` is None where no timer is set. `last_at`: when the timer was set: the job had run then, or its service
    had started. `fired`: its time has come. The next timer is set when the job begins, so `following` says that it has.
    """

    job: str
    name: str
    service: str
    title: str
    why: str
    every: str
    last_at: datetime | None
    next_at: datetime | None
    fired: bool
    following: bool
    setting: str
    runbook: str

    @property
    def interval(self) -> str:
        """Return an interval in words, `5 min`; empty where `every` is a schedule."""
        found = re.fullmatch(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)(?:\.\d+)?", self.every)
        if found is None:
            return ""
        values = zip(map(int, found.groups(default="0")), ("d", "h", "min", "s"), strict=True)
        return " ".join(f"{value} {unit}" for value, unit in values if value)

    def state(self, now: datetime) -> State:
        if self.next_at is None:
            return "off"
        if self.fired and self.following:
            return "running"
        if now - self.next_at > (LATE if self.fired else TOLERANCE):
            return "late"
        return "due" if self.fired else "scheduled"


def filters(kinds: Iterable[str]) -> list[str]:
    """Return the subjects of the timers of `kinds`, set and fired."""
    return [subject for kind in kinds for subject in (timer_filter(kind), fired_timer_filter(kind))]


def read_timer(headers: Mapping[str, str]) -> StoredTimer | None:
    """Return the timer of a stored message by its headers; None for a subject that is none."""
    tokens = headers["Nats-Subject"].split(".")
    fired = tokens[1:2] == ["due"]
    place = tokens[2:] if fired else tokens[1:]
    if len(place) != 2:
        return None
    due, stored = headers.get(DUE_AT), headers.get("Nats-Time-Stamp")
    return StoredTimer(
        kind=place[0],
        name=place[1],
        fired=fired,
        due=datetime.fromisoformat(due).astimezone(UTC) if due else None,
        set_at=datetime.fromisoformat(stored).astimezone(UTC) if stored and not fired else None,
        every=headers.get(SCHEDULE_HEADER) or headers.get(INTERVAL_HEADER) or "",
    )


def schedules(timers: Iterable[StoredTimer]) -> list[Schedule]:
    """Return the jobs of approval, also those without a timer, and those of others that have one."""
    found: dict[tuple[str, str], dict[bool, StoredTimer]] = {("reconcile", name): {} for name in JOBS}
    for timer in timers:
        found.setdefault((timer.kind, timer.name), {})[timer.fired] = timer
    order = ("reconcile", *KINDS)
    jobs = [(kind, name) for kind, name in found if kind in order and (kind != "reconcile" or name in JOBS)]
    return [
        _schedule(kind, name, found[kind, name]) for kind, name in sorted(jobs, key=lambda job: order.index(job[0]))
    ]


def _schedule(kind: str, name: str, timers: Mapping[bool, StoredTimer]) -> Schedule:
    words = JOBS[name] if kind == "reconcile" else KINDS[kind]
    pending, fired = timers.get(False), timers.get(True)
    shown = pending or fired
    return Schedule(
        job=name if kind == "reconcile" else kind,
        name="" if kind in ("reconcile", "poll", "peak") else name,
        service={"reconcile": "approval", "peak": "embedder"}.get(kind, "ingest"),
        title=words.title,
        why=words.why,
        every=(pending.every if pending else "") or (fired.every if fired else ""),
        last_at=pending.set_at if pending else None,
        next_at=shown.due if shown else None,
        fired=fired is not None,
        following=pending is not None,
        setting=words.setting,
        runbook=words.runbook,
    )
