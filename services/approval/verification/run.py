"""A verification that somebody started, and what came of it. Pure."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.approval.proof.fault import Fault
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
    event: str | None
    sequence: int | None = Field(description="in the event stream")
    reason: str
    unanswered: bool


class Verification(BaseModel):
    """A verification of every case, or of one."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: State = Field(description=STATES)
    case_id: str | None = Field(description="the case that is verified alone; null: all of them")
    started_by: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    read: int = Field(default=0, description="messages of the event stream that were read so far")
    total: int | None = Field(default=None, description="messages to read; null: not known yet")
    verified: bool | None = Field(default=None, description="null: not known before it has finished")
    cases: int = 0
    events: int = 0
    checkpoints: int = Field(default=0, description="signed checkpoints that were compared")
    erased: int = Field(default=0, description="cases whose texts were erased; their events were verified")
    finding_count: int = 0
    findings: list[Finding] = Field(default=[], description=f"the first {MAX_FINDINGS}; `finding_count` counts all")
    unchecked: list[str] = Field(default=[], description="what was not checked, and why")
    error: str | None = None

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
