"""Check a sentence: the claims of every kind, then the words that no claim covers."""

from shared.contracts.draft import Evidence
from shared.grounding import (
    abnormal,
    advice,
    allergies,
    causes,
    diagnoses,
    directives,
    dosage_forms,
    durations,
    event_dates,
    follow_up,
    medicine_status,
    medicines,
    outcome,
    pending_results,
    person,
    predicates,
    procedures,
    statements,
    susceptibility,
    trends,
    values,
    verbatim,
)
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.parsed_sentence import parse_sentence
from shared.grounding.verdict import CheckedClaim, Verdict, worst_label

CLAIM_MODULES = (
    values,
    trends,
    abnormal,
    medicines,
    dosage_forms,
    medicine_status,
    diagnoses,
    susceptibility,
    procedures,
    pending_results,
    person,
    outcome,
    directives,
    allergies,
    follow_up,
    event_dates,
    durations,
    causes,
    advice,
    predicates,
)
MAX_EVIDENCE = 4
# What a note in the same words does not excuse.
_PATIENT_CLAIM_KINDS = frozenset({"person", "age", "outcome", "disposition"})


def check(sentence: str, record: EvidenceIndex) -> Verdict:
    """Return the label of a sentence, its claims, and their evidence. Never raises; takes a millisecond or two.

    Structured entries come first: what they contradict stays contradicted, whatever a note says, and both are shown.
    """
    alone = _check(sentence, record.without_notes)
    if alone.label == "supported" or record.without_notes is record:
        return alone
    whole = _check(sentence, record)
    if alone.label == "contradicted":
        from_notes = tuple(item for item in whole.evidence if item.kind == "note" and whole.label == "supported")
        return Verdict(alone.label, alone.findings, (*alone.evidence, *from_notes)[: MAX_EVIDENCE + 1])
    return Verdict(whole.label, whole.findings, whole.evidence, by_note=whole.label == "supported")


def _check(sentence: str, record: EvidenceIndex) -> Verdict:
    parsed = parse_sentence(sentence, record)
    findings = [finding for kind in CLAIM_MODULES for finding in kind.claims(parsed, record)]
    line = verbatim.verbatim_entries(parsed, record)
    if line is not None:
        kept = [
            item
            for item in findings
            if item.label == "supported" or (item.kind in _PATIENT_CLAIM_KINDS and item.source)
        ]
        kept += [item for item in predicates.claims(parsed, record) if not predicates.is_repeated_in(item, line)]
        findings = [CheckedClaim("statement", sentence, "supported", line.source, f"record: {line.text}"), *kept]
    else:
        findings += statements.claims(parsed, record, findings)
    unique = tuple(dict.fromkeys(findings))
    return Verdict(worst_label(unique), unique, _evidence_of(unique, record))


def _evidence_of(findings: tuple[CheckedClaim, ...], record: EvidenceIndex) -> tuple[Evidence, ...]:
    """Return the entries that support or contradict a claim, each once."""
    sources = dict.fromkeys((finding.source, finding.detail) for finding in findings if finding.source)
    found = {source: record.evidence(source, detail.removeprefix("record: ")) for source, detail in reversed(sources)}
    notes_first = sorted(reversed(found.values()), key=lambda item: item.kind != "note")
    return tuple(notes_first)[:MAX_EVIDENCE]
