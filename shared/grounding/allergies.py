"""Claims of allergies, and that there are none."""

import re
from collections.abc import Iterator

from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim, Span
from shared.grounding.words import stem

_NONE = re.compile(
    r"\bn\.?k\.?d?\.?a\b\.?|\bno (?:known |documented |recorded |reported )*(?:drug |medication |food |"
    r"medicine )?(?:or food )*(?:allerg\w+|intolerances?|adverse (?:drug )?reactions?)|\bnot (?:known to "
    r"be )?allergic\b|\ballergies\s*[:–-]?\s*(?:none|nil|no)\b|\bdenie[sd] (?:any )?(?:known |drug "
    r")*allergies|\bwithout (?:known |any )*(?:drug )?allergies|\ballergic to (?:no|nothing)\b[^.;,]*|"
    r"\bnone known\b|\bhas no allerg\w+",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"\ballerg(?:y|ies|ic)\b|(?<!activity )(?<!exercise )(?<!heat )(?<!cold )(?<!glucose )"
    r"\bintoleran(?:t|ces?)\b|\bhypersensitiv\w+|\banaphyla\w+ to\b|\badverse "
    r"reaction to\b|\b(?:not|unable to|cannot) tolerate\b",
    re.IGNORECASE,
)
_SAYS_NONE = re.compile(r"^(?:no known|no allerg|geen bekende|keine bekannte|nkda|sin alerg|none)", re.IGNORECASE)
_NOT_AN_ALLERGEN = frozenset(
    stem(word)
    for word in [
        "allergy",
        "allergies",
        "allergic",
        "intolerance",
        "intolerant",
        "hypersensitivity",
        "hypersensitive",
        "anaphylaxis",
        "anaphylactic",
        "reaction",
        "reactions",
        "reported",
        "band",
        "against",
        "anything",
        "list",
        "unable",
        "history",
        "sensitivities",
        "documented",
        "known",
        "severe",
        "mild",
        "moderate",
        "rash",
        "hives",
        "drug",
        "food",
        "adverse",
        "antibiotics",
        "medication",
        "developed",
        "causes",
        "caused",
        "cause",
        "causing",
        "listed",
        "critical",
        "high",
        "criticality",
        "confirmed",
        "unconfirmed",
        "urticaria",
        "avoid",
        "avoided",
        "sensitivity",
    ]
)


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each claim of an allergy, or of none."""
    allergies = [line for line in record.entries_of("allergies") if not _SAYS_NONE.match(line.text)]
    none = next((line for line in record.entries_of("allergies") if _SAYS_NONE.match(line.text)), None)
    denial = _NONE.search(parsed.text)
    about = _ABOUT.search(parsed.text)
    if denial is not None:
        yield _no_allergy(denial, allergies, none)
    elif about is not None:
        yield from _allergen_claims(about, parsed, allergies, none)


def _no_allergy(denial: re.Match[str], allergies: list[IndexedEntry], none: IndexedEntry | None) -> CheckedClaim:
    only_drugs = re.search(r"drug|medic|nkda", denial.group(), re.IGNORECASE)
    against = [line for line in allergies if not only_drugs or line.named.drugs or line.named.classes]
    if against:
        return CheckedClaim(
            "allergy", denial.group(), "contradicted", against[0].source, f"record: {against[0].text}", (denial.span(),)
        )
    if none is not None:
        return CheckedClaim(
            "allergy", denial.group(), "supported", none.source, f"record: {none.text}", (denial.span(),)
        )
    return CheckedClaim("allergy", denial.group(), "not-in-record", spans=(denial.span(),))


def _allergen_claims(
    about: re.Match[str], parsed: ParsedSentence, allergies: list[IndexedEntry], none: IndexedEntry | None
) -> Iterator[CheckedClaim]:
    span = parsed.clause_at(about.start())
    inside = [item for item in parsed.content if span[0] <= item[1] < span[1] and item[0] not in _NOT_AN_ALLERGEN]
    drugs = [item for item in (*parsed.named.drugs, *parsed.named.classes) if span[0] <= item.start < span[1]]
    for item in drugs:
        line = next((line for line in allergies if _names_substance(item.canonical, item.text, line)), None)
        yield _allergen_claim(item.text, (item.start, item.end), line, allergies, none, about)
    for key, start, end in inside:
        if not any(item.start <= start < item.end for item in drugs):
            line = next((line for line in allergies if line.has_stem(key)), None)
            if line is not None or not drugs:
                yield _allergen_claim(parsed.text[start:end], (start, end), line, allergies, none, about)


def _names_substance(canonical: str, text: str, line: IndexedEntry) -> bool:
    keys = {item.canonical for item in (*line.named.drugs, *line.named.classes)}
    return (
        canonical in keys
        or line.has_stem(stem(text))
        or (canonical.startswith("sulf") and "sulfona" in line.text.lower())
    )


def _allergen_claim(
    text: str,
    span: Span,
    line: IndexedEntry | None,
    allergies: list[IndexedEntry],
    none: IndexedEntry | None,
    about: re.Match[str],
) -> CheckedClaim:
    spans = (span, about.span())
    if line is not None:
        return CheckedClaim("allergy", text, "supported", line.source, f"record: {line.text}", spans)
    known = none or next(iter(allergies), None)
    if known is None:
        return CheckedClaim("allergy", text, "not-in-record", spans=spans)
    return CheckedClaim(
        "allergy", text, "contradicted" if none else "not-in-record", known.source, f"record: {known.text}", spans
    )
