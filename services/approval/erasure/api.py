"""REST API of erasure and legal holds, for operators. Operators read no text."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.approval.dependencies import Api, Operator
from services.approval.erasure.service import ErasureCandidate
from services.approval.review.problems import CONFLICT, ERASED, UNKNOWN_CASE, DecisionRoute
from shared.contracts.case import CaseState
from shared.contracts.retention import ErasureGround, ErasureOrdered, HoldGround, HoldPlaced, HoldReleased, Reference
from shared.contracts.subjects import FHIR_ID
from shared.runtime.problems import ProblemError, problem_responses

ORDER = UNKNOWN_CASE | CONFLICT | ERASED

router = APIRouter(tags=["erasure"], route_class=DecisionRoute)


class Erase(BaseModel):
    """Erase every text of a case. Its events stay, and record the erasure."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"ground": "patient-request", "reference": "DSR-2026-041"}]}
    )

    ground: ErasureGround
    reference: Reference | None = Field(default=None, description="a number in your files; no patient data")


class PlaceHold(BaseModel):
    """Keep the texts of a case, regardless of retention and erasure requests."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"ground": "litigation", "reference": "LEGAL-17"}]}
    )

    ground: HoldGround
    reference: Reference | None = Field(default=None, description="a number in your files; no patient data")


class ReleaseHold(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reference": "LEGAL-17"}]})

    reference: Reference | None = None


class ErasureCandidateView(BaseModel):
    """What an erasure of a case would affect. `obstacle`: why it may not be erased now."""

    case_id: str
    department: str
    state: CaseState = Field(description="state of the case")
    texts: int = Field(description="texts that are stored")
    held: bool = Field(description="whether a legal hold keeps its texts")
    erased_at: datetime | None = Field(description="when they were erased; null: they were not")
    obstacle: str | None = Field(description="why they cannot be erased; null: they can")


class ErasurePlan(BaseModel):
    items: list[ErasureCandidateView]


class ErasureAccepted(BaseModel):
    """The event that was appended, and the state of the case after it."""

    case_id: str
    state: CaseState = Field(description="state of the case after it")
    event: str = Field(description="name of the event that was appended")
    by: str


@router.get(
    "/v1/erasures",
    summary="What an erasure would be about: changes nothing",
    responses=problem_responses(UNKNOWN_CASE),
)
async def plan(
    who: Operator,
    api: Api,
    case: Annotated[str | None, Query(description="case id")] = None,
    patient: Annotated[str | None, Query(pattern=FHIR_ID, description="id of the Patient in the EHR")] = None,
) -> ErasurePlan:
    if (case is None) == (patient is None):
        raise ProblemError(422, "The request is not valid", "Name a case or a patient.")
    if patient is not None:
        return ErasurePlan(items=[_line(item) for item in await api.erasures.of_patient(f"Patient/{patient}", who)])
    found = await api.erasures.of_case(case or "", who)
    if found is None:
        raise ProblemError(404, "There is no such case")
    return ErasurePlan(items=[_line(found)])


@router.post(
    "/v1/cases/{case_id}/erasure",
    status_code=202,
    summary="Erase every text of a case, for good",
    responses=problem_responses(ORDER),
)
async def erase(case_id: str, body: Erase, by: Operator, api: Api) -> ErasureAccepted:
    return _ordered(case_id, await api.erasures.order(case_id, body.ground, body.reference, by))


@router.post(
    "/v1/cases/{case_id}/hold",
    summary="Keep the texts of a case: a legal hold",
    responses=problem_responses(ORDER),
)
async def hold(case_id: str, body: PlaceHold, by: Operator, api: Api) -> ErasureAccepted:
    return _ordered(case_id, await api.erasures.hold(case_id, body.ground, body.reference, by))


@router.post(
    "/v1/cases/{case_id}/hold/release",
    summary="End a legal hold",
    responses=problem_responses(ORDER),
)
async def release(case_id: str, body: ReleaseHold, by: Operator, api: Api) -> ErasureAccepted:
    return _ordered(case_id, await api.erasures.release(case_id, body.reference, by))


def _ordered(case_id: str, event: ErasureOrdered | HoldPlaced | HoldReleased) -> ErasureAccepted:
    return ErasureAccepted(case_id=case_id, state=event.state, event=event.event, by=event.by.subject)


def _line(item: ErasureCandidate) -> ErasureCandidateView:
    return ErasureCandidateView(
        case_id=item.ref.id,
        department=item.ref.department,
        state=item.case.state,
        texts=item.texts,
        held=item.case.hold is not None,
        erased_at=item.case.erasure.time if item.case.erasure else None,
        obstacle=item.obstacle,
    )
