"""REST API of trials: evaluations whose drafts are kept, for a person to read."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from services.evaluator.dependencies import UNKNOWN_DRAFTER, Drafters, TextReader
from services.evaluator.drafters import MAX_TRIAL_STAYS
from services.evaluator.drafters_api import ReasonedRequest
from services.evaluator.evaluations_api import EvaluationSummary
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import problem_responses

router = APIRouter(
    prefix="/v1/drafters/{digest}/trials",
    tags=["drafters"],
    route_class=ApiRoute,
    responses=problem_responses(UNKNOWN_DRAFTER),
)
CaseId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class NewTrial(ReasonedRequest):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"cases": ["7d0c4a3e-5a0b-5c55-9f8e-0d6a8f1f9a10"], "reason": "does it name the reason?"}]
        }
    )

    cases: list[CaseId] = Field(
        min_length=1, max_length=MAX_TRIAL_STAYS, description="cases whose stays were signed; each is drafted twice"
    )


@router.post("", status_code=202, summary="Draft signed stays by a candidate, for a person to read")
async def begin_trial(digest: str, body: NewTrial, who: TextReader, service: Drafters) -> EvaluationSummary:
    """Draft stays again by a candidate and by the live configuration, and keep both drafts with each case.

    Engineers of the departments of the cases read them at `/trials/{case}/{id}` of approval. The trial is an evaluation
    (`GET /v1/drafters/{digest}/evaluations/{id}`) that opens no gate.
    """
    return EvaluationSummary.of(await service.begin_trial(digest, body.cases, who, body.reason))
