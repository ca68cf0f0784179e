"""Sentence check: compare each claim of a sentence with the typed record of a stay. No model, no network."""

from shared.grounding.check import check
from shared.grounding.evidence_index import EvidenceIndex, without_notes
from shared.grounding.sentences import split_sentences
from shared.grounding.verdict import CheckedClaim, Verdict

__all__ = ["CheckedClaim", "EvidenceIndex", "Verdict", "check", "split_sentences", "without_notes"]
