"""The sentence check, as the set tries it."""

from shared.contracts.context import EncounterContext
from shared.grounding import EvidenceIndex, check
from tests.claims.model import Checker, Finding, Result


def checker(context: EncounterContext) -> Checker:
    """Holds each claim of a sentence against the typed record."""
    record = EvidenceIndex(context)

    def checked(text: str) -> Result:
        verdict = check(text, record)
        findings = (Finding(item.kind, item.text, item.label, item.source) for item in verdict.findings)
        return Result(verdict.label, tuple(findings))

    return checked
