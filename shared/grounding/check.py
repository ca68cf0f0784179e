"""Checks a sentence: every claim of every kind, then whatever is left of it."""

from shared.contracts.draft import Evidence
from shared.grounding import (
    abnormal,
    advice,
    allergies,
    causes,
    diagnoses,
    directives,
    events,
    follow_up,
    forms,
    medicines,
    outcome,
    person,
    predicates,
    procedures,
    results,
    statements,
    status,
    stay_times,
    susceptibility,
    trends,
    values,
    verbatim,
)
from shared.grounding.parsed import parse
from shared.grounding.record import Record
from shared.grounding.verdict import Finding, Verdict, label_of

KINDS = (
    values,
    trends,
    abnormal,
    medicines,
    forms,
    status,
    diagnoses,
    susceptibility,
    procedures,
    results,
    person,
    outcome,
    directives,
    allergies,
    follow_up,
    events,
    stay_times,
    causes,
    advice,
    predicates,
)
MOST_EVIDENCE = 4
# What a note in the same words does not excuse.
_OF_THE_PATIENT = frozenset({"person", "age", "outcome", "disposition"})


def check(sentence: str, record: Record) -> Verdict:
    """The label of a sentence, its claims, and what speaks for them. Never raises; takes a millisecond or two.

    The record's entries come first: what they contradict stays contradicted, whatever a note says, and both are shown.
    """
    alone = _checked(sentence, record.structured)
    if alone.label == "supported" or record.structured is record:
        return alone
    whole = _checked(sentence, record)
    if alone.label == "contradicted":
        said = tuple(item for item in whole.evidence if item.kind == "note" and whole.label == "supported")
        return Verdict(alone.label, alone.findings, (*alone.evidence, *said)[: MOST_EVIDENCE + 1])
    return Verdict(whole.label, whole.findings, whole.evidence, by_note=whole.label == "supported")


def _checked(sentence: str, record: Record) -> Verdict:
    parsed = parse(sentence, record)
    findings = [finding for kind in KINDS for finding in kind.claims(parsed, record)]
    line = verbatim.said_by(parsed, record)
    if line is not None:
        kept = [
            item for item in findings if item.label == "supported" or (item.kind in _OF_THE_PATIENT and item.source)
        ]
        kept += [item for item in predicates.claims(parsed, record) if not predicates.repeated(item, line)]
        findings = [Finding("statement", sentence, "supported", line.source, f"record: {line.text}"), *kept]
    else:
        findings += statements.claims(parsed, record, findings)
    unique = tuple(dict.fromkeys(findings))
    return Verdict(label_of(unique), unique, _evidence(unique, record))


def _evidence(findings: tuple[Finding, ...], record: Record) -> tuple[Evidence, ...]:
    """The entries that support or contradict a claim, each once."""
    sources = dict.fromkeys((finding.source, finding.detail) for finding in findings if finding.source)
    found = {source: record.evidence(source, detail.removeprefix("record: ")) for source, detail in reversed(sources)}
    notes_first = sorted(reversed(found.values()), key=lambda item: item.kind != "note")
    return tuple(notes_first)[:MOST_EVIDENCE]
