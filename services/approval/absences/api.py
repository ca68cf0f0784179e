"""REST API of absences, for supervisors and operators."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.approval.absences.errors import AbsenceRefusedError, UnknownAbsenceError
from services.approval.absences.rules import Absence, State
from services.approval.dependencies import AbsenceManager, Api
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.problems import problem_of
from shared.contracts.ehr import Department, PractitionerReference
from shared.contracts.subjects import CASE_ID
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has neither the role supervisor nor operator",
    422: "the request is not valid, or the EHR knows no such practitioner",
    503: "NATS does not answer: repeat the request",
}
UNKNOWN = {404: "there is no such absence or department, or it is not the caller's"}


class AbsenceRoute(ApiRoute):
    """Answers a refusal with its problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_refuse(request: Request) -> Response:
            try:
                return await handle(request)
            except UnknownAbsenceError:
                raise ProblemError(404, "There is no such absence or department") from None
            except AbsenceRefusedError as refused:
                raise refused_absence(refused) from None
            except DecisionRefusedError as refused:
                raise problem_of(refused) from None

        return handle_or_refuse


def refused_absence(refused: AbsenceRefusedError) -> ProblemError:
    status = 409 if refused.code in ("overlaps", "too-many") else 422
    return ProblemError(status, "This absence cannot be set", refused.detail)


router = APIRouter(
    prefix="/v1/absences", tags=["absences"], route_class=AbsenceRoute, responses=problem_responses(COMMON | UNKNOWN)
)
AbsenceId = Annotated[str, Path(pattern=rf"^{CASE_ID}$", description="id of the absence")]


class SetAbsence(BaseModel):
    """Somebody is away, and somebody else gets the reviews that are requested of them until the end."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "department": "cardiology",
                    "absent": "Practitioner/dr-7",
                    "cover": "Practitioner/dr-8",
                    "starts_at": "2026-12-01T00:00:00+01:00",
                    "ends_at": "2026-12-15T00:00:00+01:00",
                }
            ]
        },
    )

    department: Department = Field(description="in which the cover gets the reviews")
    absent: PractitionerReference = Field(description="FHIR reference of the attending physician who is away")
    cover: PractitionerReference = Field(description="FHIR reference of who gets the reviews")
    starts_at: AwareDatetime = Field(description="RFC 3339 with an offset; may be past")
    ends_at: AwareDatetime = Field(description="RFC 3339 with an offset; from then on reviews go to the attending")


class AbsenceView(BaseModel):
    """An absence. `removed_at` null: nobody ended it early."""

    id: str = Field(description="id of the absence")
    department: str
    absent: str
    cover: str
    starts_at: AwareDatetime = Field(description="first moment of the absence")
    ends_at: AwareDatetime = Field(description="from then on reviews go to the attending")
    state: State = Field(description="only a `current` one counts")
    created_at: AwareDatetime
    created_by: str
    removed_at: AwareDatetime | None = Field(description="when it was ended early; null: it was not")
    removed_by: str | None = Field(description="who ended it early")


class AbsenceList(BaseModel):
    """Absences, the one that starts first at the beginning; those that ended are kept for 90 days."""

    items: list[AbsenceView]


@router.get("", summary="Absences of your departments")
async def list_absences(who: AbsenceManager, api: Api, department: Department | None = None) -> AbsenceList:
    found = await api.department.absences.visible(who, department)
    return AbsenceList(items=[_view(api, item) for item in found])


@router.post(
    "",
    status_code=201,
    summary="Set an absence and its cover",
    description="Reviews that are open already stay with their owner: reassign them. The same absence sent twice is "
    "stored once.",
    responses=problem_responses({409: "another absence of this person overlaps, or the department has too many"}),
)
async def set_absence(body: SetAbsence, by: AbsenceManager, api: Api) -> AbsenceView:
    stored = await api.department.absences.add(
        by, body.department, body.absent, body.cover, body.starts_at, body.ends_at
    )
    return _view(api, stored)


@router.delete(
    "/{id}",
    summary="End an absence now",
    description="Reviews that the cover has got stay with the cover. One that has ended stays as it was.",
)
async def remove_absence(id: AbsenceId, by: AbsenceManager, api: Api) -> AbsenceView:
    return _view(api, await api.department.absences.remove(by, id))


def _view(api: Api, absence: Absence) -> AbsenceView:
    fields = absence.model_dump(exclude={"created_by_name"})
    return AbsenceView(**fields, state=absence.state(api.clock()))
