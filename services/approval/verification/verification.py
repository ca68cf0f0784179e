"""A verification that somebody started, and what came of it. Pure."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.approval.case_verification.fault import Fault
from services.approval.verification.report import VerificationReport

MAX_FINDINGS = 500  # of one run; more are counted
LOST_AFTER = timedelta(minutes=2)  # without a sign of life

State = Literal["running", "finished", "failed", "interrupted"]
STATES = (
    "running; finished: everything was read, `verified` says whether it holds; failed: it could not be read to its "
    "end, `error` says why; interrupted: its process stopped, start another"
)


class Finding(BaseModel):
    """What does not hold. `unanswered`: it may hold, but the EHR did not answer, or a newer version knows the event."""

    model_config = ConfigDict(frozen=True)

    case_id: str | None = Field(description="null: it is about an event stream, not about one case")
    event: str | None = Field(description="name of the event; null: of none alone")
    sequence: int | None = Field(description="in the event stream")
    reason: str
    unanswered: bool = Field(description="whether it may hold: something did not answer, or is of a newer version")


class Verification(BaseModel):
    """A verification of every case, or of one."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="id of the verification")
    state: State = Field(description=STATES)
    case_id: str | None = Field(description="the case that is verified alone; null: all of them")
    started_by: str = Field(description="who started it")
    started_at: datetime = Field(description="when it was started")
    updated_at: datetime = Field(description="its last sign of life")
    ended_at: datetime | None = Field(default=None, description="when it ended; null: it runs")
    read: int = Field(default=0, description="messages of the event stream that were read so far")
    total: int | None = Field(default=None, description="messages to read; null: not known yet")
    verified: bool | None = Field(default=None, description="null: not known before it has finished")
    cases: int = Field(default=0, description="cases that were verified")
    events: int = Field(default=0, description="events that were verified")
    checkpoints: int = Field(default=0, description="signed checkpoints that were compared")
    erased: int = Field(default=0, description="cases whose texts were erased; their events were verified")
    finding_count: int = Field(default=0, description="what does not hold")
    findings: list[Finding] = Field(default=[], description=f"the first {MAX_FINDINGS}; `finding_count` counts all")
    unchecked: list[str] = Field(default=[], description="what was not checked, and why")
    error: str | None = Field(default=None, description="why it could not be read to its end")

    def seen_at(self, now: datetime) -> "Verification":
        """Return the run as it is at `now`: one without a sign of life was interrupted."""
        if self.state != "running" or now - self.updated_at <= LOST_AFTER:
            return self
        return self.model_copy(update={"state": "interrupted"})


def finished(run: Verification, report: VerificationReport, unchecked: list[str], now: datetime) -> Verification:
    """Return the run with its result."""
    found = {
        "state": "finished",
        "verified": report.verified,
        "cases": report.cases,
        "events": report.events,
        "read": report.events,
        "total": report.events,
        "checkpoints": report.checkpoints,
        "erased": report.erased,
        "finding_count": len(report.faults),
        "findings": [finding(fault) for fault in report.faults[:MAX_FINDINGS]],
        "unchecked": [*report.unchecked, *unchecked],
        "updated_at": now,
        "ended_at": now,
    }
    return run.model_copy(update=found)


def ended(run: Verification, state: State, error: str, now: datetime) -> Verification:
    """Return the run, which has no result."""
    return run.model_copy(update={"state": state, "error": error, "updated_at": now, "ended_at": now})


def finding(fault: Fault) -> Finding:
    return Finding(
        case_id=fault.case or None,
        event=fault.event or None,
        sequence=fault.sequence or None,
        reason=fault.reason,
        unanswered=fault.unanswered,
    )


def latest_first(run: Verification) -> tuple[float, str]:
    """Return the position of a run in its list."""
    return -run.started_at.timestamp(), run.id
