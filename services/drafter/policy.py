"""Choose the sentences of a draft: composed ones or the model's. Pure."""

import re
from dataclasses import dataclass

from shared.contracts.draft import Sentence
from shared.contracts.drafters import Policy

_TOKENS = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]{4,}")


@dataclass(frozen=True, slots=True)
class ChosenNarrative:
    """The narrative of a draft. `replaced` is the number of model sentences that were dropped."""

    sentences: tuple[Sentence, ...]
    replaced: int = 0

    @property
    def composed(self) -> int:
        """Return the number of sentences that no model wrote."""
        return sum(item.origin != "model" for item in self.sentences)


def choose_narrative(composed: tuple[Sentence, ...], model: tuple[Sentence, ...], policy: Policy) -> ChosenNarrative:
    """Choose by policy.

    `strict`: the composed text, in which a model's sentence may replace a composed one that says the same. `marked`:
    the model's text, with composed sentences for a narrative that the model did not write. Quotations from notes are in
    both, as nothing else in the document has them.
    """
    if policy == "marked" and model:
        written = {item.narrative for item in model}
        kept = (item for item in composed if item.narrative not in written or item.origin == "note")
        return ChosenNarrative((*model, *kept))
    left = list(model)
    sentences = []
    for item in composed:
        same = next((other for other in left if _says_the_same(other, item)), None)
        if same is not None:
            left.remove(same)
        sentences.append(same or item)
    return ChosenNarrative(tuple(sentences), replaced=len(left))


def _says_the_same(model: Sentence, composed: Sentence) -> bool:
    """Return whether a model sentence is supported by the same sources and keeps every number and word.

    Sources alone would let a shorter sentence drop "suspected" or a value.
    """
    sources = {item.source for item in model.evidence}
    return (
        model.supported
        and composed.origin == "rules"  # a quotation stays one
        and model.narrative == composed.narrative
        and bool(sources)
        and sources == {item.source for item in composed.evidence}
        and _tokens(composed.text) <= _tokens(model.text)
    )


def _tokens(text: str) -> frozenset[str]:
    return frozenset(_TOKENS.findall(text.lower()))
