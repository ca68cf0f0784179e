"""What the check says of a sentence."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.contracts.draft import ClaimKind, Evidence, Label

Span = tuple[int, int]  # first character, character after the last


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim of a sentence. `spans`: which characters of the sentence it speaks for."""

    kind: ClaimKind
    text: str  # as the sentence words it, with its shorthand written out
    label: Label
    source: str = ""  # FHIR reference of the resource that supports or contradicts it
    detail: str = ""  # what the record says instead
    spans: tuple[Span, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The sentence's label, its claims and the entries of the record that speak for it."""

    label: Label
    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...]
    by_note: bool = False  # supported, and not by the record's entries alone


def label_of(findings: Iterable[Finding]) -> Label:
    """The worst label of the claims; without a claim nothing is supported."""
    labels = {finding.label for finding in findings}
    worst: tuple[Label, ...] = ("contradicted", "not-in-record", "supported")
    return next((label for label in worst if label in labels), "not-in-record")


def judge(right: object, known: object = True) -> Label:
    """Supported where it is right; else contradicted where the record knows better."""
    return "supported" if right else "contradicted" if known else "not-in-record"
