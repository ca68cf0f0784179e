"""Decide what of a prepared draft is kept: narratives whose facts are the same, and sentences that still hold. Pure.

Facts of the document are rendered from the record each time. Only what a model wrote can differ without a reason.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from services.drafter.kinds import KindDefinition
from shared.contracts.draft import Draft, DrafterStamp, Narrative, PreparedFrom, Sentence
from shared.contracts.drafters import DrafterConfiguration, Policy
from shared.contracts.envelope import sha256_hex

NARRATIVES: tuple[Narrative, ...] = get_args(Narrative)


@dataclass(frozen=True, slots=True)
class PreparedDraft:
    """A draft that was prepared, and its digest."""

    digest: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class Reuse:
    """What of a prepared draft is kept. Without one, all is new."""

    asks_model: bool = True
    anew: tuple[Narrative, ...] = ()
    sentences: tuple[Sentence, ...] = ()  # of the prepared draft, by the model
    model: str = ""  # that wrote them
    policy: Policy | None = None  # by which they were chosen
    stamp: PreparedFrom | None = None

    def reusable(self, checked: Sequence[Sentence], policy: Policy) -> tuple[Sentence, ...]:
        """Return which of the prepared sentences may stand; `checked` are they, compared with the record as it is now.

        Where the facts have changed, a sentence may stand if the record still supports it word for word, which
        `strict` demands of each sentence. A narrative that a model wrote freely is drafted anew as a whole.
        Sentences that were chosen by another policy are not kept.
        """
        if policy != self.policy:
            return ()
        return tuple(item for item in checked if policy == "strict" or item.narrative not in self.anew)

    def new(self, own: Sequence[Sentence]) -> tuple[Sentence, ...]:
        """Return the model's new sentences without those of narratives that are kept."""
        if self.stamp is None:
            return tuple(own)
        return tuple(item for item in own if item.narrative in self.anew)


def written_from(
    rules: Sequence[Sentence], prompt: str, kind: KindDefinition, configuration: DrafterConfiguration
) -> dict[Narrative, str]:
    """Return a digest of what each narrative is written from: `rules` are the sentences composed from the record.

    By `strict` nothing else can be in it; a narrative that is `marked` depends on everything in the prompt.
    """
    basis: dict[Narrative, list[object]] = {
        name: [kind.digest, configuration.digest, prompt if configuration.policy == "marked" else ""]
        for name in NARRATIVES
        if kind.part_of(name) is not None
    }
    for item in rules:
        if item.narrative in basis:
            basis[item.narrative].append([item.text, item.origin, [[fact.source, fact.text] for fact in item.evidence]])
    return {name: sha256_hex(json.dumps(parts).encode()) for name, parts in basis.items()}


def compare(
    before: PreparedDraft | None, now: dict[Narrative, str], kind: KindDefinition, drafter: DrafterStamp
) -> Reuse:
    """Compare a prepared draft with what each narrative is written from now.

    Nothing that another configuration has written is kept: a draft is of one configuration.
    """
    if before is None:
        return Reuse()
    draft = before.draft
    # Without a model's answer there is nothing of it to keep: it is asked now.
    same = draft.drafter is not None and draft.drafter.configuration == drafter.configuration
    usable = same and draft.kind == kind.name and draft.model_silent is None
    known = (draft.written_from or {}) if usable else {}
    kept = tuple(name for name, digest in now.items() if known.get(name) == digest)
    anew = tuple(name for name in now if name not in kept)
    by_model = (item for item in draft.sentences if item.origin == "model" and item.narrative in now)
    return Reuse(
        asks_model=bool(anew),
        anew=anew,
        sentences=tuple(by_model) if known else (),
        model=draft.model,
        policy=draft.routing.policy if draft.routing else None,
        stamp=PreparedFrom(digest=before.digest, kept=kept, anew=anew),
    )
