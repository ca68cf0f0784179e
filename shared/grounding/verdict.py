"""Result of the sentence check."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.contracts.draft import ClaimKind, Evidence, Label

Span = tuple[int, int]  # first character, character after the last


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """One claim of a sentence. `spans` are the characters of the sentence that it covers."""

    kind: ClaimKind
    text: str  # as the sentence words it, with shorthand expanded
    label: Label
    source: str = ""  # FHIR reference of the resource that supports or contradicts it
    detail: str = ""  # what the record says instead
    spans: tuple[Span, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The label of a sentence, its claims, and the entries of the record that support it."""

    label: Label
    findings: tuple[CheckedClaim, ...]
    evidence: tuple[Evidence, ...]
    by_note: bool = False  # supported, and not by the record's entries alone


def worst_label(findings: Iterable[CheckedClaim]) -> Label:
    """Return the worst label of the claims; without a claim nothing is supported."""
    labels = {finding.label for finding in findings}
    worst: tuple[Label, ...] = ("contradicted", "not-in-record", "supported")
    return next((label for label in worst if label in labels), "not-in-record")


def label_for(right: object, known: object = True) -> Label:
    """Return `supported` where it is right, else `contradicted` where the record states otherwise."""
    return "supported" if right else "contradicted" if known else "not-in-record"
