"""Facts of the record that a signed narrative states and a draft's narrative leaves out. Pure.

A fact is an entry of the record that supports a sentence: a resource, by its FHIR reference.
"""

from collections.abc import Iterable

from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft, Evidence
from shared.grounding import EvidenceIndex, check, split_sentences


def facts_of_text(narrative: str, context: EncounterContext) -> frozenset[str]:
    """Return the facts that the sentences of a text state. Takes a millisecond or two for each sentence."""
    record = EvidenceIndex(context).without_notes
    verdicts = (check(sentence, record) for sentence in split_sentences(narrative))
    return frozenset(source for found in verdicts if found.label == "supported" for source in _sources(found.evidence))


def facts_of_draft(draft: Draft) -> frozenset[str]:
    """Return the facts that the sentences of a draft's narrative state, whoever wrote them."""
    return frozenset(source for item in draft.sentences if item.supported for source in _sources(item.evidence))


def _sources(evidence: Iterable[Evidence]) -> Iterable[str]:
    return (item.source for item in evidence if item.kind == "record")
