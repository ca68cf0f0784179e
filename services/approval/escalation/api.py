"""REST API of escalations: when an open review escalates, to whom and by which kinds of channels; never an address."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.approval.dependencies import Api, ApiDependencies, Watcher
from services.approval.escalation import rules as escalation_rules
from services.approval.escalation.directory import Directory
from services.approval.escalation.directory_file import NotificationChannel
from services.approval.notifications.channels import kind_of
from services.approval.review.api import readable
from shared.contracts.case import Case, CaseState, fold
from shared.contracts.errors import PermanentError
from shared.messaging.dead_letter_queue import Severity
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

router = APIRouter(route_class=ApiRoute)

Standing = Literal["told", "ahead", "not-needed"]


class EscalationLevel(BaseModel):
    """One level. `channels` are kinds such as `mailto` or `slack`, one for each message; `alert` is the operators'."""

    level: int
    due: datetime = Field(description="when it is reached")
    standing: Standing = Field(description="reached, upcoming, or no longer needed")
    tells: list[str] = Field(description="who is notified")
    takes_over: bool = Field(description="whether the supervisor becomes the owner")
    alert: Severity = Field(description="severity of the alert to operators")
    channels: list[str]


class CurrentAbsence(BaseModel):
    """The attending physician or the owner is away, and somebody else gets new reviews in the meantime."""

    absent: str
    cover: str
    until: datetime = Field(description="end of the absence")


class EscalationsView(BaseModel):
    """Escalation deadlines of the open review, or of the last one."""

    case_id: str
    department: str
    state: CaseState = Field(description="state of the case")
    owner: str | None
    waiting_since: datetime | None = Field(description="when the review was requested; null: none is open")
    away: list[CurrentAbsence] = Field(description="current absences of the attending physician and the owner")
    items: list[EscalationLevel]


@router.get(
    "/v1/reviews/{case_id}/escalations",
    tags=["reviews"],
    summary="What happens if nobody decides",
    responses=problem_responses({404: "there is no such case, or no review yet"}),
)
async def show_escalations(case_id: str, who: Watcher, api: Api) -> EscalationsView:
    history, _ = await readable(api.cases, case_id, who)
    case, department = fold(history), history[-1].case.department
    if case.review is None:
        raise ProblemError(404, "There is no draft to review yet", f"The case is {case.state}.")
    return EscalationsView(
        case_id=case_id,
        department=department,
        state=case.state,
        owner=case.owner,
        waiting_since=escalation_rules.waiting_since(history),
        away=await _away(api, department, (case.review.stay.attending, case.owner)),
        items=await _lines(case, case.review.deadlines, department, api.directory),
    )


async def _away(api: ApiDependencies, department: str, people: tuple[str | None, ...]) -> list[CurrentAbsence]:
    absences = await api.department.absences.now(department)
    found = [absences[person] for person in dict.fromkeys(people) if person in absences]
    return [CurrentAbsence(absent=item.absent, cover=item.cover, until=item.ends_at) for item in found]


async def _lines(
    case: Case, deadlines: tuple[datetime, ...], department: str, directory: Directory
) -> list[EscalationLevel]:
    supervisor = await directory.supervisor(department)
    deputies = directory.deputies(department)
    return [
        EscalationLevel(
            level=level,
            due=due,
            standing=_standing(case, level),
            tells=[supervisor, *(deputies if level == escalation_rules.WITH_DEPUTIES else ())],
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


def _kind(channel: NotificationChannel) -> str:
    try:
        return kind_of(channel.address())
    except PermanentError:
        return "unknown"  # its secret is missing; the delivery raises an alert
