"""REST API of the watch of live configurations: what becomes of their drafts now and at first."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.evaluator.decision_signals import SIGNALS
from services.evaluator.dependencies import UNKNOWN_DRAFTER, AnyRole, Drafters, Engineer
from services.evaluator.drafters_api import DecisionFigures, DrafterSummary, ReasonedRequest
from services.evaluator.drift import BASELINE_DECISIONS, Drift, KnowledgeFigures
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import problem_responses

router = APIRouter(
    prefix="/v1/drafters", tags=["drafters"], route_class=ApiRoute, responses=problem_responses(UNKNOWN_DRAFTER)
)
Share = Annotated[float, Field(description="mean, from 0 to 1; higher is worse")]


class SignalReport(BaseModel):
    """A signal of the decisions: its mean at first and of late."""

    name: str = Field(description="name of the figure")
    meaning: str = Field(description="what it counts")
    tested: bool = Field(description="false: it is shown only")
    decisions: int = Field(description="decisions that it is computed from")
    baseline: Share
    tolerated: float | None = Field(
        description="highest mean that the baseline cannot rule out; null until it is complete"
    )
    recent: Share
    share: float | None = Field(
        description="statistic of the test as a share of its threshold; from 1 on it has drifted"
    )


class DriftFound(BaseModel):
    """The first signal that has drifted."""

    signal: str = Field(description="name of the figure that has drifted")
    time: datetime = Field(description="time of the decision at which the drift was found")
    decisions: int = Field(description="decisions after which it was found")
    baseline: Share
    recent: Share


class KnowledgeReport(DecisionFigures):
    """Decisions about drafts that one version of the knowledge base was queried for."""

    version: int | None = Field(description="null: none was")
    contradicted: float | None = Field(
        description="mean share of the model's sentences that the record contradicts; null: the model was not asked"
    )
    redraft: float | None = Field(description="share that was rejected to have it written again; null: not measured")
    unread: float | None = Field(
        description="share of those signed on our page that cannot have been read before; null: none was signed there"
    )

    @classmethod
    def of_version(cls, item: KnowledgeFigures) -> "KnowledgeReport":
        means = {name: item.figures.signal(name).mean for name in ("contradicted", "redraft", "unread")}
        return cls(version=item.version, **DecisionFigures.of(item.figures).model_dump(), **means)


class DriftReport(BaseModel):
    configuration: str
    decisions: int = Field(description="about drafts of the live configuration, since it is watched")
    baseline: int = Field(description="decisions that a baseline takes")
    drifted: DriftFound | None = Field(description="what was found; null: no drift")
    signals: list[SignalReport] = Field(description="figures of the last decisions beside the first")
    knowledge: list[KnowledgeReport] = Field(description="by version of the knowledge base, the last one last")

    @classmethod
    def of(cls, found: Drift, threshold: float) -> "DriftReport":
        return cls(
            configuration=found.configuration,
            decisions=found.decisions,
            baseline=BASELINE_DECISIONS,
            drifted=DriftFound(**found.drifted.model_dump(exclude={"sequence"})) if found.drifted else None,
            signals=_signals(found, threshold),
            knowledge=[KnowledgeReport.of_version(item) for item in found.knowledge],
        )


def _signals(found: Drift, threshold: float) -> list[SignalReport]:
    return [
        SignalReport(
            name=item.name,
            meaning=item.meaning,
            tested=item.tested,
            decisions=state.count,
            baseline=state.baseline,
            tolerated=state.tolerated if state.complete else None,
            recent=state.recent,
            share=found.share(item.name, threshold) if item.tested else None,
        )
        for item in SIGNALS
        if (state := found.signals.get(item.name)) is not None
    ]


@router.get("/{digest}/drift", summary="What becomes of the live configuration's drafts, beside its first decisions")
async def drift(_: AnyRole, service: Drafters, digest: str) -> DriftReport:
    found = await service.drift(digest)
    return DriftReport.of(found, service.drift_threshold)


@router.post(
    "/{digest}/baseline", summary="After a drift: watch the live configuration anew, from its next decisions on"
)
async def reset_baseline(digest: str, body: ReasonedRequest, who: Engineer, service: Drafters) -> DrafterSummary:
    return DrafterSummary.of(await service.reset_baseline(digest, who.actor, body.reason))
