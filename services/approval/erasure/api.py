"""The API of erasure and of holds: an operator's, who reads no text."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from services.approval.api import Parts, problem_of
from services.approval.erasure.desk import ErasureDesk, Planned
from services.approval.refusal import Refused
from shared.contracts.case import CaseState
from shared.contracts.retention import ErasureGround, HoldGround, Reference
from shared.contracts.subjects import FHIR_ID
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError


class Erase(BaseModel):
    """Erase every text of a case; the trail stays, and says so."""

    model_config = ConfigDict(extra="forbid")

    ground: ErasureGround
    reference: Reference | None = Field(default=None, description="a number in your files; no patient data")


class PlaceHold(BaseModel):
    """Keep the texts of a case, whatever retention says, and whoever asks for their erasure."""

    model_config = ConfigDict(extra="forbid")

    ground: HoldGround
    reference: Reference | None = Field(default=None, description="a number in your files; no patient data")


class ReleaseHold(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reference: Reference | None = None


class ErasureLine(BaseModel):
    """A case, as an erasure would find it. `obstacle`: why it may not be erased now."""

    case_id: str
    department: str
    state: CaseState
    texts: int
    held: bool
    erased_at: datetime | None
    obstacle: str | None


class ErasurePlan(BaseModel):
    items: list[ErasureLine]


class Ordered(BaseModel):
    """What stands on the trail now."""

    case_id: str
    state: CaseState
    event: str
    by: str


def make_erasure_router(parts: Parts, desk: ErasureDesk) -> APIRouter:
    router = APIRouter(tags=["erasure"])
    _add_erasing(router, parts, desk)
    _add_holds(router, parts, desk)
    return router


def _add_erasing(router: APIRouter, parts: Parts, desk: ErasureDesk) -> None:
    operator = Annotated[Caller, Depends(parts.guard.require("operator"))]

    @router.get("/v1/erasures", summary="What an erasure would be about: changes nothing")
    async def plan(
        who: operator,
        case: Annotated[str | None, Query(description="case id")] = None,
        patient: Annotated[str | None, Query(pattern=FHIR_ID, description="id of the Patient in the EHR")] = None,
    ) -> ErasurePlan:
        if (case is None) == (patient is None):
            raise ProblemError(422, "The request is not valid", "Name a case or a patient.")
        if patient is not None:
            return ErasurePlan(items=[_line(item) for item in await desk.of_patient(f"Patient/{patient}", who)])
        found = await desk.of_case(case or "", who)
        if found is None:
            raise ProblemError(404, "There is no such case")
        return ErasurePlan(items=[_line(found)])

    @router.post("/v1/cases/{case_id}/erasure", status_code=202, summary="Erase every text of a case, for good")
    async def erase(case_id: str, body: Erase, by: operator) -> Ordered:
        try:
            event = await desk.order(case_id, body.ground, body.reference, by)
        except Refused as refused:
            raise problem_of(refused) from None
        return Ordered(case_id=case_id, state=event.state, event=event.event, by=event.by.subject)


def _add_holds(router: APIRouter, parts: Parts, desk: ErasureDesk) -> None:
    operator = Annotated[Caller, Depends(parts.guard.require("operator"))]

    @router.post("/v1/cases/{case_id}/hold", summary="Keep the texts of a case: a legal hold")
    async def hold(case_id: str, body: PlaceHold, by: operator) -> Ordered:
        try:
            event = await desk.hold(case_id, body.ground, body.reference, by)
        except Refused as refused:
            raise problem_of(refused) from None
        return Ordered(case_id=case_id, state=event.state, event=event.event, by=event.by.subject)

    @router.post("/v1/cases/{case_id}/hold/release", summary="End a legal hold")
    async def release(case_id: str, body: ReleaseHold, by: operator) -> Ordered:
        try:
            event = await desk.release(case_id, body.reference, by)
        except Refused as refused:
            raise problem_of(refused) from None
        return Ordered(case_id=case_id, state=event.state, event=event.event, by=event.by.subject)


def _line(item: Planned) -> ErasureLine:
    return ErasureLine(
        case_id=item.ref.id,
        department=item.ref.department,
        state=item.case.state,
        texts=item.texts,
        held=item.case.hold is not None,
        erased_at=item.case.erasure.time if item.case.erasure else None,
        obstacle=item.obstacle,
    )
