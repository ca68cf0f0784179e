"""The sentence check: each claim of a sentence against the typed record of a stay. No model, no network."""

from shared.grounding.check import check
from shared.grounding.record import Record, structured
from shared.grounding.sentences import split
from shared.grounding.verdict import Finding, Verdict

__all__ = ["Finding", "Record", "Verdict", "check", "split", "structured"]
