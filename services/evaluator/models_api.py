"""REST API of the models in use: what drafts each kind of document, and what embeds the knowledge base."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.evaluator.dependencies import AnyRole, Drafters, Knowledge
from services.evaluator.drafters import DrafterRecord
from shared.knowledge.live import LivePointer, VersionRecord
from shared.runtime.api_route import ApiRoute

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=ApiRoute)
IN_USE = ("live", "canary", "shadow")


class ModelInUse(BaseModel):
    """A model, what it is used for, since when, by whose decision and why."""

    task: Literal["draft", "embed"] = Field(description="what the model does")
    document: str | None = Field(description="name of the kind of document that it drafts")
    model: str = Field(description="name of an endpoint, or of a model of the Triton server")
    served: str = Field(description="kind, model and revision of the endpoint, as they are declared")
    state: Literal["live", "canary", "shadow"] = Field(description="whether it is live")
    share: float | None = Field(description="share of the cases that it drafts as a canary; null: it is none")
    version: str = Field(description="digest of the drafter configuration, or number of the knowledge base's version")
    since: datetime = Field(description="since when")
    by: str
    reason: str

    @classmethod
    def of_drafter(cls, found: DrafterRecord) -> "ModelInUse":
        entry, configuration = found.entry, found.configuration
        return cls.model_validate(
            {
                "task": "draft",
                "document": found.document,
                "model": configuration.model,
                "served": configuration.served,
                "state": entry.state,
                "share": entry.share,
                "version": entry.configuration,
                "since": entry.since,
                "by": entry.by,
                "reason": entry.reason,
            }
        )

    @classmethod
    def of_embedder(cls, live: LivePointer, record: VersionRecord | None) -> "ModelInUse":
        return cls(
            task="embed",
            document=None,
            model=live.embedder,
            served="",
            state="live",
            share=None,
            version=str(live.version),
            since=live.since,
            by=live.by,
            reason=record.reason if record is not None else "",
        )


class ModelsInUse(BaseModel):
    items: list[ModelInUse]


@router.get("", summary="Every model in use: what it drafts or embeds, since when, by whom and why")
async def models(_: AnyRole, drafters: Drafters, knowledge: Knowledge) -> ModelsInUse:
    items = [ModelInUse.of_drafter(item) for item in await drafters.all(None) if item.entry.state in IN_USE]
    live, record = await knowledge.live()
    if live is not None:
        items.append(ModelInUse.of_embedder(live, record))
    return ModelsInUse(items=items)
