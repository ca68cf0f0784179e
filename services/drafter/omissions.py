"""Facts of the record that a signed narrative states and a draft's narrative leaves out. Pure.

A fact is an entry of the record that supports a statement: a resource, by its FHIR reference.
"""

from collections.abc import Sequence

from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.grounding import EvidenceIndex, check, split_sentences


class StatedFacts:
    """The facts that narratives about one stay state.

    Sentences of `drafts` state what they were composed from, or what the check found; the words of a rule are not those
    that the check expects. Of all other sentences the supported claims count, whatever else the sentence says.
    """

    def __init__(self, context: EncounterContext, drafts: Sequence[Draft]) -> None:
        self._record = EvidenceIndex(context).without_notes
        self._known = {
            " ".join(item.text.split()): {found.source for found in item.evidence if found.kind == "record"}
            for draft in drafts
            for item in draft.sentences
            if item.supported
        }

    def of(self, narrative: str) -> frozenset[str]:
        """Return the facts that a narrative states. Takes a millisecond or two for each sentence."""
        text = " ".join(narrative.split())
        known = (sources for sentence, sources in self._known.items() if sentence in text)
        findings = (found for item in split_sentences(narrative) for found in check(item, self._record).findings)
        claimed = {found.source for found in findings if found.label == "supported" and found.source}
        return frozenset(claimed.union(*known))
