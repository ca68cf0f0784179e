"""REST API of evaluation sets: signed or synthetic stays under a name, in versions."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from services.evaluator.dependencies import AnyRole, Drafters, Engineer
from services.evaluator.drafters_api import ReasonedRequest
from services.evaluator.evaluation_sets import VERSIONED_NAME
from services.evaluator.evaluations_api import SelectedStays
from shared.contracts.evaluations import EvaluationSetMade, SetName
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import problem_responses

router = APIRouter(prefix="/v1/evaluation-sets", tags=["drafters"], route_class=ApiRoute)

VersionedName = Annotated[
    str, Path(pattern=VERSIONED_NAME.pattern, description="name, or name and version such as `icu@2`")
]


class NewEvaluationSet(ReasonedRequest, SelectedStays):
    """A set, or the next version of one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "icu",
                    "document": "discharge-summary",
                    "department": "intensive-care",
                    "limit": 40,
                    "reason": "stays of November",
                }
            ]
        }
    )

    name: SetName = Field(description="name of the set")
    document: str = Field(max_length=64, description="kind of document")


class SetSummary(BaseModel):
    """A version of an evaluation set."""

    name: str = Field(description="name of the set")
    version: int = Field(description="number of its version, from 1")
    document: str = Field(description="kind of document")
    stays: int = Field(description="number of stays in it")
    synthetic: int = Field(description="number of stays that are synthetic: nothing was signed for them")
    departments: dict[str, int] = Field(description="number of stays by department")
    by: str
    reason: str

    @classmethod
    def of(cls, made: EvaluationSetMade) -> "SetSummary":
        names = sorted({item.department for item in made.items})
        return cls(
            name=made.name,
            version=made.number,
            document=made.document,
            stays=len(made.items),
            synthetic=sum(item.synthetic for item in made.items),
            departments={name: sum(item.department == name for item in made.items) for name in names},
            by=made.by.subject,
            reason=made.reason,
        )


class SetDetails(SetSummary):
    cases: list[str] = Field(description="ids of the cases of its stays")


class SetList(BaseModel):
    items: list[SetSummary]


def _details(made: EvaluationSetMade) -> SetDetails:
    return SetDetails(**SetSummary.of(made).model_dump(), cases=[item.case for item in made.items])


@router.get("", summary="Evaluation sets, each version")
async def evaluation_sets(_: AnyRole, service: Drafters) -> SetList:
    return SetList(items=[SetSummary.of(item) for item in await service.sets.all()])


@router.post(
    "",
    status_code=201,
    summary="Make an evaluation set of signed or synthetic stays, or its next version",
    responses=problem_responses(
        {409: "no stay or not every case can be used, or the set is of another kind of document"}
    ),
)
async def make(body: NewEvaluationSet, who: Engineer, service: Drafters) -> SetDetails:
    return _details(await service.sets.make(body.name, body.document, body.choice, who.actor, body.reason))


@router.get(
    "/{stamp}",
    summary="One version of an evaluation set, with its cases",
    responses=problem_responses({404: "there is no such evaluation set"}),
)
async def evaluation_set(_: AnyRole, service: Drafters, stamp: VersionedName) -> SetDetails:
    return _details(await service.sets.find(stamp))
