"""REST API of the evaluations of drafter configurations."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.evaluator.dependencies import UNKNOWN_DRAFTER, AnyRole, Drafters, Engineer
from services.evaluator.draft_metrics import DepartmentResult, MetricResult
from services.evaluator.drafters_api import ReasonedRequest
from services.evaluator.evaluation_sets import VERSIONED_NAME, StayChoice
from services.evaluator.evaluations import Evaluation
from shared.contracts.evaluations import MAX_ITEMS, DraftFigures
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

router = APIRouter(
    prefix="/v1/drafters/{digest}/evaluations",
    tags=["drafters"],
    route_class=ApiRoute,
    responses=problem_responses(UNKNOWN_DRAFTER),
)

EvaluationId = Annotated[
    str, Path(pattern=r"^[0-9a-f-]{36}$", description="id of the evaluation")
]  # it becomes a token of a subject
CaseIds = Annotated[list[str], Field(max_length=MAX_ITEMS)]


class SelectedStays(BaseModel):
    """The signed stays of some cases, else those that were signed last; or synthetic stays."""

    limit: int = Field(default=50, ge=1, le=MAX_ITEMS, description="stays, those that were signed last")
    department: str | None = Field(default=None, max_length=64, description="only its stays")
    cases: CaseIds = Field(default=[], description="ids of the cases; without them the last stays")
    without: CaseIds = Field(default=[], description="ids of cases that are left out")
    synthetic: bool = Field(
        default=False, description="stays that ship with Countersign; `cases` and `without` are their names"
    )

    @property
    def choice(self) -> StayChoice:
        return StayChoice(self.limit, tuple(self.cases), tuple(self.without), self.department, self.synthetic)

    @model_validator(mode="after")
    def _check_department(self) -> "SelectedStays":
        if self.synthetic and self.department is not None:
            raise ValueError("synthetic stays are of no department")
        return self


class NewEvaluation(ReasonedRequest, SelectedStays):
    model_config = ConfigDict(json_schema_extra={"examples": [{"set": "icu@2", "reason": "before the canary"}]})

    set: str | None = Field(
        default=None, pattern=VERSIONED_NAME.pattern, description="evaluation set instead, such as `icu` or `icu@2`"
    )

    @model_validator(mode="after")
    def _check_set_alone(self) -> "NewEvaluation":
        if self.set is not None and self.model_fields_set & SelectedStays.model_fields.keys():
            raise ValueError("give a set, or limit, department, cases, without and synthetic")
        return self


class MetricSummary(BaseModel):
    """Means over the stays, and their mean difference with a 95 % interval by bootstrap."""

    name: str = Field(description="name of the figure")
    stays: int = Field(description="number of stays for which it was measured for both configurations")
    candidate: float | None = Field(description="mean for the candidate; null if it was not measured")
    live: float | None = Field(description="mean for the live configuration; null if it was not measured")
    difference: float | None = Field(description="candidate minus live; null without a stay with both")
    low: float | None = Field(description="lower end of the 95 % interval of the difference")
    high: float | None = Field(description="upper end of the 95 % interval of the difference")
    limit: float | None = Field(description="of the candidate's mean, whatever live has; null: none")
    margin: float | None = Field(description="by which the candidate's mean may be worse than live's; null: none")
    failed: list[Literal["limit", "margin"]] = Field(description="which of them hold the candidate back")
    passed: bool | None = Field(description="whether the metric passes the gate; null if the gate ignores it")

    @classmethod
    def of(cls, found: MetricResult) -> "MetricSummary":
        return cls(**asdict(found), passed=found.passed)


class DepartmentSummary(BaseModel):
    """Metrics of the stays of one department. The gate looks at all stays together."""

    department: str
    judged: int = Field(description="stays with figures")
    metrics: list[MetricSummary] = Field(description="candidate and live configuration side by side")

    @classmethod
    def of(cls, found: DepartmentResult) -> "DepartmentSummary":
        metrics = [MetricSummary.of(item) for item in found.metrics]
        return cls(department=found.department, judged=found.judged, metrics=metrics)


class PartSummary(BaseModel):
    """Mean similarity of one part of the document to what was signed for it."""

    part: str = Field(description="code of the part; document-header: what stands above the first one")
    stays: int = Field(description="whose drafts of both configurations have the part")
    candidate: float = Field(description="1 - edit distance / length of the longer text")
    live: float = Field(description="the same of the live configuration")


class EvaluationSummary(BaseModel):
    """A candidate against the configuration that was live when it began."""

    id: str = Field(description="id of the evaluation")
    document: str = Field(description="kind of document")
    candidate: str = Field(description="SHA-256 of the configuration that is evaluated")
    live: str = Field(description="SHA-256 of the configuration that it is compared with")
    set: str | None = Field(description="name and version of the evaluation set that the stays are from")
    synthetic: bool = Field(description="whether the stays are synthetic: nothing was signed for them")
    by: str
    reason: str
    stays: int = Field(description="signed stays to draft")
    judged: int = Field(description="stays with figures so far")
    left_out: int = Field(description="stays whose texts were erased or cannot be read")
    passed: bool
    reasons: list[str] = Field(description="why it is held back")
    absent: list[str] = Field(description="metrics that compare with what was signed, where nothing was")
    metrics: list[MetricSummary] = Field(description="candidate and live configuration side by side")
    parts: list[PartSummary] = Field(description="those in which the candidate is worst against live first")
    departments: list[DepartmentSummary]
    worst: list[str] = Field(description="cases in which the candidate's draft is worst against the live one's")

    @classmethod
    def of(cls, found: Evaluation) -> "EvaluationSummary":
        requested, result = found.requested, found.result
        return cls(
            id=found.id,
            document=requested.document,
            candidate=requested.candidate,
            live=requested.live,
            set=requested.set,
            synthetic=requested.synthetic,
            by=requested.by.subject,
            reason=requested.reason,
            stays=len(requested.items) or result.judged + result.left_out,
            judged=result.judged,
            left_out=result.left_out,
            passed=result.passed,
            reasons=list(result.reasons),
            metrics=[MetricSummary.of(item) for item in result.metrics],
            absent=list(result.absent),
            parts=[PartSummary(**asdict(item)) for item in result.parts],
            departments=[DepartmentSummary.of(item) for item in result.departments],
            worst=list(result.worst),
        )


class EvaluationList(BaseModel):
    items: list[EvaluationSummary]


class StayFigures(BaseModel):
    """The drafts of one stay, side by side. `candidate` and `live` are null where the stay was left out."""

    number: int = Field(description="number of the stay in the evaluation, from 1")
    case: str
    department: str
    candidate: DraftFigures | None = Field(description="figures of the candidate's draft; null: there is none")
    live: DraftFigures | None = Field(description="figures of the live configuration's draft; null: there is none")
    left_out: str = Field(description="why there are no figures")


class StayList(BaseModel):
    items: list[StayFigures]


@router.get("", summary="Evaluations of a configuration, oldest first")
async def evaluations(_: AnyRole, service: Drafters, digest: str) -> EvaluationList:
    return EvaluationList(items=[EvaluationSummary.of(item) for item in await service.evaluations(digest)])


@router.post("", status_code=202, summary="Evaluate a candidate on signed stays")
async def evaluate(digest: str, body: NewEvaluation, who: Engineer, service: Drafters) -> EvaluationSummary:
    stays = body.set if body.set is not None else body.choice
    return EvaluationSummary.of(await service.evaluate(digest, stays, who.actor, body.reason))


@router.get("/{evaluation}", summary="One evaluation: progress, metrics, whether it passes")
async def evaluation(_: AnyRole, service: Drafters, digest: str, evaluation: EvaluationId) -> EvaluationSummary:
    found = await service.evaluation(evaluation)
    if not found.requested.candidate.startswith(digest):
        raise ProblemError(404, "There is no such evaluation")
    return EvaluationSummary.of(found)


@router.get("/{evaluation}/stays", summary="Each stay of an evaluation: candidate and live side by side")
async def stays(_: AnyRole, service: Drafters, digest: str, evaluation: EvaluationId) -> StayList:
    found = await service.stays(digest, evaluation)
    fields = ("number", "case", "department", "candidate", "live", "left_out")
    return StayList(items=[StayFigures(**{name: getattr(item, name) for name in fields}) for item in found])
