"""What is answered of a canary and the live configuration side by side: each signal, and edits by part."""

from typing import Annotated

from pydantic import BaseModel, Field

from services.evaluator.canary import Comparison
from services.evaluator.decision_signals import SIGNALS

Mean = Annotated[
    float | None, Field(description="mean over the decisions that say something about it, 0 to 1; null: none does")
]
Decisions = Annotated[int, Field(description="decisions that the mean is of")]
EditedShare = Annotated[
    float | None,
    Field(description="of the signed drafts that were compared, with an edit in this part; null: none was"),
]
EditsPerDraft = Annotated[
    float | None, Field(description="mean number of edits in this part; null: no draft was compared")
]


class SignalComparison(BaseModel):
    """A signal of the decisions about the canary's drafts, beside the live configuration's of the same time."""

    name: str = Field(description="name of the figure")
    meaning: str = Field(description="what it counts")
    canary: Mean
    canary_decisions: Decisions
    live: Mean
    live_decisions: Decisions


class PartComparison(BaseModel):
    """What physicians edit in one part of the document."""

    part: str = Field(description="code of the part")
    canary: EditedShare
    canary_edits: EditsPerDraft
    live: EditedShare
    live_edits: EditsPerDraft


def signal_comparisons(found: Comparison) -> list[SignalComparison]:
    """Return the signals that a decision of either side says something about, in the order of `SIGNALS`."""
    return [
        SignalComparison(
            name=item.name,
            meaning=item.meaning,
            canary=canary.mean,
            canary_decisions=canary.count,
            live=live.mean,
            live_decisions=live.count,
        )
        for item in SIGNALS
        for canary, live in [(found.of_canary.signal(item.name), found.of_live.signal(item.name))]
        if canary.count or live.count
    ]


def part_comparisons(found: Comparison) -> list[PartComparison]:
    """Return the parts that were edited on either side, those of most of the canary's drafts first."""
    pairs = [
        (part, found.of_canary.part(part), found.of_live.part(part))
        for part in {*found.of_canary.parts, *found.of_live.parts}
    ]
    return [
        PartComparison(
            part=part,
            canary=_per_draft(canary.drafts, found.of_canary.compared),
            canary_edits=_per_draft(canary.edits, found.of_canary.compared),
            live=_per_draft(live.drafts, found.of_live.compared),
            live_edits=_per_draft(live.edits, found.of_live.compared),
        )
        for part, canary, live in sorted(pairs, key=lambda item: (-item[1].drafts, -item[2].drafts, item[0]))
    ]


def _per_draft(number: int, drafts: int) -> float | None:
    return number / drafts if drafts else None
