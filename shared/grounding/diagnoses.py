"""Claims of diagnoses: whether the record has them, with which polarity and certainty, and about whom."""

import re
from collections.abc import Iterator

from shared.contracts.draft import ClaimKind, Label
from shared.grounding import abnormal, synonyms
from shared.grounding.assertion import AssertionProperty, assertion_properties
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry, named_words
from shared.grounding.medicine_cues import ALLERGY
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim, Span, label_for
from shared.grounding.vocabulary import Mention
from shared.grounding.words import find_words, is_neutral, stem

_DISEASE_PARTS = frozenset(
    {
        "diagnoses",
        "reasons",
        "family_history",
        "outcome",
        "reports",
        "microbiology",
        "procedures",
        "notes",
        "contradictions",
        "observed",
        "function",
        "devices",
        "directives",
        "services",
        "diet",
        "immunizations",
        "allergies",
        "hospital_medicines",
        "home_medicines",
        "discharge_medicines",
        "other_medicines",
        "given_medicines",
    }
)
_DEFINITE_PARTS = ("diagnoses", "reasons", "outcome")
_SKIPPED = frozenset({"drug allergies", "drug hypersensitivity", "hypersensitivity", "allergy", "allergies"})


_CLINIC = re.compile(r"[\w ,]{0,30}\b(?:clinic|service|nurse|team|programme?|group)\b")


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each diagnosis that the sentence names; names of abnormal values are in `abnormal`."""
    values = [match.span() for match in abnormal.PATTERN.finditer(parsed.text)]
    for mention in parsed.named.illnesses:
        span = (mention.start, mention.end)
        properties = parsed.properties(span)
        is_value = any(start < span[1] and span[0] < end for start, end in values)
        if (is_value and not properties & {"family", "uncertain"}) or mention.canonical in _SKIPPED:
            continue
        clinic = _clinic_appointment(mention, parsed, record)
        if clinic is not None:
            yield _finding("follow-up", mention.text, "supported", [clinic], span)
        elif ALLERGY.search(mention.text) is None:
            yield judge_diagnosis(mention.text, span, properties, lines_of(mention, record), parsed)


def _clinic_appointment(mention: Mention, parsed: ParsedSentence, record: EvidenceIndex) -> IndexedEntry | None:
    """Return the appointment whose clinic an illness names: `epilepsy clinic` states nothing about the patient."""
    if _CLINIC.match(parsed.lower_text, mention.end) is None:
        return None
    visits = record.entries_of("follow_up", "services")
    return next(
        (line for line in visits if any(one.canonical == mention.canonical for one in line.named.illnesses)), None
    )


def lines_of(mention: Mention, record: EvidenceIndex) -> list[tuple[IndexedEntry, Span | None]]:
    """Return the entries that name it, by its canonical name or by the same words, with the name's place."""
    forms = [
        _name_key(mention.text),
        _name_key(synonyms.by_synonym("diagnosis").get(mention.text.lower(), mention.canonical)),
    ]
    found: list[tuple[IndexedEntry, Span | None]] = []
    for line in record.lines:
        if line.part not in _DISEASE_PARTS:
            continue
        alike = (item for item in line.named.illnesses if item.canonical == mention.canonical)
        same = next((item for item in alike if line.text[item.end : item.end + 1] != ":"), None)  # no heading
        if same is not None:
            found.append((line, (same.start, same.end)))
            continue
        for keys, numbers in forms:
            if (
                keys
                and all(line.has_stem(key) for key in keys)
                and all(f" {number} " in line.plain for number in numbers)
            ):
                found.append((line, _name_span(line, keys)))
                break
    return found


def _name_key(name: str) -> tuple[list[str], list[str]]:
    """Return the stems of a name, and its numbers with the word before each (`type 2`)."""
    parts = [word for word, _, _ in find_words(name)]
    numbers = [" ".join(parts[max(0, at - 1) : at + 1]) for at, word in enumerate(parts) if word[0].isdigit()]
    keys = [stem(word) for word in parts if not word[0].isdigit() and (len(parts) == 1 or not is_neutral(word))]
    return keys, numbers


def _name_span(line: IndexedEntry, keys: list[str]) -> Span | None:
    return next(((start, end) for word, start, end in named_words(line.text) if stem(word) in keys), None)


def properties_in(line: IndexedEntry, place: Span | None) -> frozenset[AssertionProperty]:
    """Return the assertion properties of a name in an entry."""
    properties = assertion_properties(line.text, place) if place else frozenset()
    if line.part == "family_history":
        properties |= {"family"}
    if line.certainty == "ruled-out":
        properties |= {"denied"}
    if line.certainty == "suspected":
        properties |= {"uncertain"}
    return properties


EntryProperties = list[
    tuple[IndexedEntry, frozenset[AssertionProperty]]
]  # the entries that name a thing, and what each says of it


def judge_diagnosis(
    text: str,
    span: Span,
    properties: frozenset[AssertionProperty],
    entries: list[tuple[IndexedEntry, Span | None]],
    parsed: ParsedSentence,
) -> CheckedClaim:
    """Compare the claim with the entries that name the same thing."""
    known = [(line, properties_in(line, place)) for line, place in entries]
    own = [(line, what) for line, what in known if "family" not in what]
    if "family" in properties:
        kin = [
            line for line, place in entries if "family" in properties_in(line, place) and _same_kin(line, place, parsed)
        ]
        return _finding("family", f"family: {text}", label_for(kin, False), kin or [line for line, _ in own], span)
    if "denied" in properties:
        return _denied_claim(text, span, own, parsed)
    if "uncertain" in properties:
        return _uncertain_claim(text, span, own)
    return _affirmed_claim(text, span, own, [line for line, what in known if "family" in what])


def _by_assertion(own: EntryProperties) -> tuple[list[IndexedEntry], list[IndexedEntry], list[IndexedEntry]]:
    """Return the entries that affirm, deny and suspect it, diagnoses first."""
    affirmed = [line for line, what in own if not what & {"denied", "uncertain"}]
    denied = [line for line, what in own if "denied" in what]
    unsure = [line for line, what in own if "uncertain" in what and "denied" not in what]
    return sorted(affirmed, key=lambda line: line.part not in _DEFINITE_PARTS), denied, unsure


def _denied_claim(text: str, span: Span, own: EntryProperties, parsed: ParsedSentence) -> CheckedClaim:
    affirmed, denied, _ = _by_assertion(own)
    strong = [line for line in affirmed if line.part in _DEFINITE_PARTS]
    if any(_is_report_on(line, parsed) for line in denied):
        return _finding("polarity", f"no {text}", "supported", denied, span)
    if strong or (affirmed and not denied):
        return _finding("polarity", f"no {text}", "contradicted", strong or affirmed, span)
    return _finding("polarity", f"no {text}", label_for(denied, False), denied, span)


def _uncertain_claim(text: str, span: Span, own: EntryProperties) -> CheckedClaim:
    affirmed, denied, unsure = _by_assertion(own)
    sure = [line for line in affirmed if line.part in _DEFINITE_PARTS]
    if sure and not any(line.part in _DEFINITE_PARTS for line in unsure):
        return _finding("certainty", f"possible {text}", "contradicted", sure, span)
    found = unsure or affirmed or denied
    return _finding("certainty", f"possible {text}", label_for(unsure, found), found, span)


def _affirmed_claim(text: str, span: Span, own: EntryProperties, kin: list[IndexedEntry]) -> CheckedClaim:
    affirmed, denied, unsure = _by_assertion(own)
    by_diagnosis = any(line.part == "diagnoses" for line in denied + unsure)
    if affirmed and (affirmed[0].part == "diagnoses" or not by_diagnosis):
        return _finding("diagnosis", text, "supported", affirmed, span)
    if denied or unsure:
        return _finding("polarity" if denied else "certainty", text, "contradicted", denied or unsure, span)
    return _finding("family" if kin else "diagnosis", text, label_for(False, kin), kin, span)


def _is_report_on(line: IndexedEntry, parsed: ParsedSentence) -> bool:
    """Return whether the sentence reports on an entry: `chest X-ray showed no signs of heart failure`."""
    shared = {item.canonical for item in line.named.procedures} & {item.canonical for item in parsed.named.procedures}
    return line.part in ("reports", "procedures", "microbiology") and bool(shared)


_KIN = re.compile(
    r"\b(mother|father|brother|sister|siblings?|grandmother|grandfather|aunt|uncle|son|daughter|mutter|vater)(?:'s)?\b",
    re.IGNORECASE,
)


def _same_kin(line: IndexedEntry, place: Span | None, parsed: ParsedSentence) -> bool:
    """Return whether an entry is about the named relative; of several, the last one before the place counts."""
    relatives = {match[1].lower().rstrip("s") for match in _KIN.finditer(parsed.text)}
    end = place[0] if place else len(line.text)
    has = [match[1].lower().rstrip("s") for match in _KIN.finditer(line.text, 0, end)][-1:]
    if {"brother", "sister"} & relatives and "sibling" in has:
        return True
    return not relatives or not has or has[0] in relatives


def _finding(kind: ClaimKind, text: str, label: Label, found: list[IndexedEntry], span: Span) -> CheckedClaim:
    source = found[0].source if found else ""
    detail = f"record: {found[0].text[:160]}" if found else ""
    return CheckedClaim(kind, text, label, source, detail, (span,))
