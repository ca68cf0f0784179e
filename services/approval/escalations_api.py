"""What will happen to a review that nobody decides: when, to whom, by which kinds of channels. Never an address."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from services.approval import clocks
from services.approval.api import readable
from services.approval.desk import Desk
from services.approval.directory import Directory
from services.approval.directory_file import Channel
from services.approval.notify.channels import kind_of
from shared.contracts.case import Case, CaseState, fold
from shared.contracts.errors import PermanentError
from shared.messaging.deadletter import Severity
from shared.runtime.authentication import Authenticator, Caller
from shared.runtime.problems import ProblemError

Standing = Literal["told", "ahead", "not-needed"]


class EscalationLine(BaseModel):
    """One level. `channels` are kinds such as `mailto` or `slack`, one for each message; `alert` is the operators'."""

    level: int
    due: datetime
    standing: Standing
    tells: list[str]
    takes_over: bool
    alert: Severity
    channels: list[str]


class EscalationsView(BaseModel):
    """The running clock of a review; of one that is decided, the last."""

    case_id: str
    department: str
    state: CaseState
    owner: str | None
    waiting_since: datetime | None
    items: list[EscalationLine]


def make_escalations_router(desk: Desk, directory: Directory, guard: Authenticator) -> APIRouter:
    router = APIRouter()
    watcher = Annotated[Caller, Depends(guard.require("physician", "supervisor", "operator"))]

    @router.get("/v1/reviews/{case_id}/escalations", tags=["reviews"], summary="What happens if nobody decides")
    async def show_escalations(case_id: str, who: watcher) -> EscalationsView:
        history, _ = await readable(desk, case_id, who)
        case, department = fold(history), history[-1].case.department
        if case.review is None:
            raise ProblemError(404, "There is no draft to review yet", f"The case is {case.state}.")
        return EscalationsView(
            case_id=case_id,
            department=department,
            state=case.state,
            owner=case.owner,
            waiting_since=clocks.waiting_since(history),
            items=await _lines(case, case.review.deadlines, department, directory),
        )

    return router


async def _lines(
    case: Case, deadlines: tuple[datetime, ...], department: str, directory: Directory
) -> list[EscalationLine]:
    supervisor = await directory.supervisor(department)
    deputies = directory.deputies(department)
    return [
        EscalationLine(
            level=level,
            due=due,
            standing=_standing(case, level),
            tells=[supervisor, *(deputies if level == clocks.WITH_DEPUTIES else ())],
            takes_over=level == len(deadlines),
            alert="critical" if level == len(deadlines) else "warning",
            channels=[_kind(channel) for channel in directory.channels(department, level)],
        )
        for level, due in enumerate(deadlines, start=1)
    ]


def _standing(case: Case, level: int) -> Standing:
    if level <= case.level:
        return "told"
    return "ahead" if case.open else "not-needed"


def _kind(channel: Channel) -> str:
    try:
        return kind_of(channel.address())
    except PermanentError:
        return "unknown"  # its secret is not where the file says; delivery will tell a person
