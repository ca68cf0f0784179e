"""REST API of drafter configurations: list, show, add; canary, promote, roll back, retire."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.evaluator.canary import Comparison, OutcomeCounts
from services.evaluator.comparison_report import (
    PartComparison,
    SignalComparison,
    part_comparisons,
    signal_comparisons,
)
from services.evaluator.dependencies import UNKNOWN_DRAFTER, AnyRole, Drafters, Engineer
from services.evaluator.drafters import DrafterRecord
from services.evaluator.feedback import RatingComparison, RatingCounts
from shared.contracts.draft import Prompt
from shared.contracts.drafter_states import DrafterState
from shared.contracts.drafters import DrafterSampling, Policy, PromptText, Reason, RecordedDrafterEvent
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import problem_responses

router = APIRouter(
    prefix="/v1/drafters", tags=["drafters"], route_class=ApiRoute, responses=problem_responses(UNKNOWN_DRAFTER)
)


class DrafterSummary(BaseModel):
    """A configuration, what it consists of, and who brought it into its state."""

    digest: str = Field(description="SHA-256 of the configuration; it identifies it")
    document: str = Field(description="name of the kind of document that it drafts")
    state: DrafterState = Field(description="state of its rollout")
    share: float | None = Field(description="share of the cases that it drafts as a canary; null: it is none")
    since: datetime = Field(description="since when it is in this state")
    by: str
    reason: str
    model: str = Field(description="name of an endpoint, or of a model of the Triton server")
    served: str = Field(description="kind, model and revision of the endpoint, as they are declared")
    prompt: Prompt = Field(description="the prompt")
    sampling: DrafterSampling = Field(description="sampling parameters of the model")
    policy: Policy = Field(description="what becomes of sentences that the record does not support")

    @classmethod
    def of(cls, found: DrafterRecord) -> "DrafterSummary":
        entry, configuration = found.entry, found.configuration
        return cls(
            digest=entry.configuration,
            document=found.document,
            state=entry.state,
            share=entry.share,
            since=entry.since,
            by=entry.by,
            reason=entry.reason,
            model=configuration.model,
            served=configuration.served,
            prompt=configuration.prompt.stamp,
            sampling=configuration.sampling,
            policy=configuration.policy,
        )


class DrafterList(BaseModel):
    items: list[DrafterSummary]


class DrafterMove(BaseModel):
    """An event of the kind of document."""

    event: str = Field(description="what was done")
    configuration: str
    time: datetime
    by: str
    reason: str
    share: float | None = Field(
        default=None, description="share of the cases that it drafts as a canary, 0 to 1; null: it is none"
    )
    live: str | None = Field(default=None, description="the configuration that a rollback has made live")

    @classmethod
    def of(cls, record: RecordedDrafterEvent) -> "DrafterMove":
        body = record.body
        return cls(
            event=body.event,
            configuration=body.configuration,
            time=record.time,
            by=record.actor,
            reason=record.reason,
            share=getattr(body, "share", None),
            live=getattr(body, "live", None),
        )


class DrafterDetails(DrafterSummary):
    text: str = Field(description="of the prompt, with its placeholders")
    stop: list[str] = Field(description="strings that end an answer")
    max_tokens: int = Field(description="of an answer")
    drifted: str | None = Field(description="signal of the live configuration that has drifted; null: none")
    comparison: "CanaryComparison | None" = Field(
        description="beside the live configuration, as the canary that it is or was last; null: nothing was decided"
    )
    history: list[DrafterMove] = Field(description="every event of its kind of document that names it, oldest first")


class DecisionFigures(BaseModel):
    """What physicians decided about the drafts of one side."""

    decisions: int = Field(description="decisions about such drafts")
    rejected: int = Field(description="of those, rejections")
    edited: int = Field(description="signed drafts whose text was changed")
    replaced: float = Field(description="mean share of the sentences that the signed text does not have")
    distance: float = Field(description="mean number of changed characters")

    @classmethod
    def of(cls, figures: OutcomeCounts) -> "DecisionFigures":
        number = max(figures.decisions - figures.rejected, 1)
        counts = figures.model_dump(include={"decisions", "rejected", "edited"})
        return cls(**counts, replaced=figures.replaced / number, distance=figures.distance / number)


class RatedFigures(DecisionFigures):
    ratings: RatingCounts = Field(description="signed drafts by the rating of who signed them")
    compared: int = Field(description="signed drafts whose edits were counted by part")

    @classmethod
    def rated(cls, figures: OutcomeCounts, ratings: RatingCounts) -> "RatedFigures":
        return cls(**DecisionFigures.of(figures).model_dump(), ratings=ratings, compared=figures.compared)


class CanaryComparison(BaseModel):
    """Decisions about the canary's drafts beside those about the live configuration's of the same time, in pairs."""

    configuration: str
    worse: int = Field(description="pairs in which the canary's draft was changed more, or was rejected")
    better: int = Field(description="pairs in which the canary did better")
    same: int = Field(description="pairs in which both did the same")
    evidence: float = Field(description="e-value against the canary; at the threshold it is rolled back")
    canary: RatedFigures = Field(description="what became of the canary's drafts")
    live: RatedFigures = Field(description="what became of those of the live configuration")
    signals: list[SignalComparison] = Field(
        description="means of what is measured of each decision; the test takes rejections and changes only"
    )
    parts: list[PartComparison] = Field(description="edits by part of the document, of most drafts first")

    @classmethod
    def of(cls, found: Comparison, ratings: RatingComparison) -> "CanaryComparison":
        return cls(
            configuration=found.canary,
            worse=found.worse,
            better=found.better,
            same=found.same,
            evidence=found.evidence,
            canary=RatedFigures.rated(found.of_canary, ratings.of_canary),
            live=RatedFigures.rated(found.of_live, ratings.of_live),
            signals=signal_comparisons(found),
            parts=part_comparisons(found),
        )


class ReasonedRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "reviewed with the physicians on Monday"}]}
    )

    reason: Reason


class PromotionRequest(ReasonedRequest):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "better in the evaluation", "unevaluated": False}]}
    )

    unevaluated: bool = Field(default=False, description="promote although there is no evaluation or it failed")


class CanaryRequest(PromotionRequest):
    model_config = ConfigDict(json_schema_extra={"examples": [{"share": 0.1, "reason": "passed its evaluation"}]})

    share: float = Field(gt=0, lt=1, description="of the cases that it drafts")


class NewDrafter(ReasonedRequest):
    """A configuration, as the differences from another one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"document": "discharge-summary", "model": "clinic-llm", "reason": "the larger model"}]
        }
    )

    document: str = Field(max_length=64, description="kind of document")
    base: str | None = Field(
        default=None, description="digest of the configuration to start from; default: the live one of the document"
    )
    model: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$", description="another model; null: the same"
    )
    prompt: PromptText | None = Field(default=None, description="another prompt; null: the same")
    sampling: DrafterSampling | None = Field(default=None, description="another sampling; null: the same")
    policy: Policy | None = Field(default=None, description="another policy; null: the same")

    @model_validator(mode="after")
    def _check_differs(self) -> "NewDrafter":
        if all(getattr(self, name) is None for name in ("model", "prompt", "sampling", "policy")):
            raise ValueError("give what differs: model, prompt, sampling or policy")
        return self


@router.get("", summary="Drafter configurations by kind of document: candidates, canaries, live and retired ones")
async def drafters(
    _: AnyRole,
    service: Drafters,
    document: Annotated[str | None, Query(description="name of the kind of document; default: all")] = None,
) -> DrafterList:
    return DrafterList(items=[DrafterSummary.of(item) for item in await service.all(document)])


@router.get("/{digest}", summary="One configuration: its prompt's text, and how it came into its state")
async def drafter(_: AnyRole, service: Drafters, digest: str) -> DrafterDetails:
    found = await service.one(digest)
    prompt = found.configuration.prompt
    moves = [DrafterMove.of(item) for item in await service.history(found.document)]
    drift = await service.drift_of(found)
    compared = await service.comparison_of(found)
    named = [item for item in moves if found.entry.configuration in (item.configuration, item.live)]
    return DrafterDetails(
        **DrafterSummary.of(found).model_dump(),
        text=prompt.text,
        stop=list(prompt.stop),
        max_tokens=prompt.max_tokens,
        drifted=drift.drifted.signal if drift is not None and drift.drifted is not None else None,
        comparison=CanaryComparison.of(compared, await service.ratings(compared)) if compared is not None else None,
        history=named,
    )


@router.get("/{digest}/comparison", summary="What became of a canary's drafts, beside those of the live configuration")
async def comparison(_: AnyRole, service: Drafters, digest: str) -> CanaryComparison:
    found = await service.comparison(digest)
    return CanaryComparison.of(found, await service.ratings(found))


@router.post("", status_code=201, summary="Add a candidate: the live configuration, or another one, with changes")
async def add(body: NewDrafter, who: Engineer, service: Drafters) -> DrafterSummary:
    changes = body.model_dump(include={"model", "prompt", "sampling", "policy"}, exclude_none=True)
    return DrafterSummary.of(await service.add(body.document, body.base, changes, who.actor, body.reason))


@router.post("/{digest}/canary", summary="Let a candidate draft a share of the cases")
async def start_canary(digest: str, body: CanaryRequest, who: Engineer, service: Drafters) -> DrafterSummary:
    found = await service.start_canary(digest, body.share, who.actor, body.reason, unevaluated=body.unevaluated)
    return DrafterSummary.of(found)


@router.post("/{digest}/promote", summary="Let a configuration draft every case")
async def promote(digest: str, body: PromotionRequest, who: Engineer, service: Drafters) -> DrafterSummary:
    found = await service.promote(digest, who.actor, body.reason, unevaluated=body.unevaluated)
    return DrafterSummary.of(found)


@router.post("/{digest}/{move}", summary="Shadow, roll back or retire; a rollback answers with what is live then")
async def move(
    digest: str,
    move: Annotated[Literal["shadow", "rollback", "retire"], Path(description="what is done")],
    body: ReasonedRequest,
    who: Engineer,
    service: Drafters,
) -> DrafterSummary:
    moves = {"shadow": service.start_shadow, "rollback": service.roll_back, "retire": service.retire}
    return DrafterSummary.of(await moves[move](digest, who.actor, body.reason))
