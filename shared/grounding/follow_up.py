"""Claims of follow-up: appointments, with whom and when."""

import re
from collections.abc import Iterator

from shared.contracts.draft import ClaimKind
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.orders import SECONDS_PER_DAY
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.quantities import Date, Quantity
from shared.grounding.verdict import CheckedClaim, Span, label_for
from shared.grounding.words import stem

_CUE = re.compile(
    r"\b(?:booked|(?:was|were) arranged|home oxygen|follow[- ]?up|followed up|appointment|appointments|"
    r"return (?:visit|to (?:the )?clinic)|"
    r"scheduled (?:for|to see|with)|to be seen|see (?:his|her|the|a|your)|will (?:see|be seen|visit|"
    r"return)|clinic visit|referr?ed (?:him |her |them |the patient )?(?:to|for)|referral|outpatient visit|"
    r"visit with|review with|recheck|come "
    r"(?:back|to)|(?:to|will|should) attend|attend on|next visit|reviewed? on)\b",
    re.IGNORECASE,
)
_NONE = re.compile(
    r"\bno (?:follow[- ]?up|appointment)|follow[- ]?up (?:was |is )?not|without follow[- ]?up", re.IGNORECASE
)
_PARTS = ("follow_up", "services", "care_plans", "notes", "pending", "goals")
# What a partner of an appointment may be called: words of one line are the same.
_SPECIALTIES = (
    "primary pcp gp family general practitioner huisarts hausarzt",
    "cardiology cardiologist heart cardiac",
    "surgery surgeon surgical chirurgia",
    "orthopedics orthopedic orthopaedic orthopedist",
    "pulmonology pulmonologist lung chest",
    "nephrology nephrologist renal kidney",
    "neurology neurologist epilepsy stroke",
    "urology urologist",
    "gastroenterology gastroenterologist",
    "pediatrics pediatrician pediatric kinderarzt kinderärztin",
    "psychiatry psychiatrist",
    "gynecology gynecologist gynaecologie women frauenarzt frauenärztin postpartum",
)
_SYNONYMS = {stem(word): {stem(other) for other in row.split()} for row in _SPECIALTIES for word in row.split()}
_NO_PARTNER = frozenset(
    stem(word)
    for word in """
    follow followup up appointment appointments clinic visit return scheduled arranged referral referred
    outpatient seen see weeks days post recommended advised planned continue arrangements pending recheck
    come back made
    """.split()  # noqa: SIM905 - a list of words
)


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each appointment or referral, with its partner and its time."""
    cue = _CUE.search(parsed.text)
    if cue is None:
        return
    if _NONE.search(parsed.text):
        yield _no_follow_up_claim(cue, parsed, record)
        return
    keys = [item for item in parsed.content if item[1] >= cue.start() - 30 and item[0] not in _NO_PARTNER]
    lines = record.entries_of(*_PARTS) if keys else record.entries_of("follow_up", "services")
    best = max(lines, key=lambda line: sum(_names(line, key) for key, _, _ in keys), default=None)
    found = [item for item in keys if best is not None and _names(best, item[0])]
    if best is None or (keys and not found):
        spans: tuple[Span, ...] = (cue.span(), *((start, end) for _, start, end in keys))
        yield CheckedClaim("follow-up", parsed.text[cue.start() :].rstrip("."), "not-in-record", spans=spans)
        return
    spans = (*(match.span() for match in _CUE.finditer(parsed.text)), *((start, end) for _, start, end in found))
    text = parsed.text[cue.start() : max(end for _, end in spans)]
    yield CheckedClaim("follow-up", text, "supported", best.source, f"record: {best.text}", spans)
    yield from _timing_claims(parsed, best, record)


def _no_follow_up_claim(cue: re.Match[str], parsed: ParsedSentence, record: EvidenceIndex) -> CheckedClaim:
    """Check `No follow-up was arranged`."""
    booked = record.entries_of("follow_up")
    source, detail = (booked[0].source, f"record: {booked[0].text}") if booked else ("", "")
    text = parsed.text[cue.start() : cue.end() + 20].strip()
    return CheckedClaim("follow-up", text, label_for(False, booked), source, detail, (cue.span(),))


def _names(line: IndexedEntry, key: str) -> bool:
    return line.has_stem(key) or bool(_SYNONYMS.get(key, set()) & line.stems.keys())


def _timing_claims(parsed: ParsedSentence, line: IndexedEntry, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    for quantity in parsed.quantities:
        if (
            quantity.dimension == "time"
            and quantity.unit
            and re.search(
                r"\b(?:in|within|after|about)\s*(?:about |approximately )?(?:a |the )?(?:next )?$",
                parsed.lower_text[: quantity.start],
            )
        ):
            days = quantity.value * quantity.unit.factor / SECONDS_PER_DAY
            right = (
                line.on is not None and abs((line.on - record.end).days - days) <= max(1.0, 0.2 * days)
            ) or quantity.text.lower() in line.text.lower()
            yield _timing_claim(line, "follow-up", quantity, right)
    for day in parsed.dates:
        right = line.on is not None and day.is_on(line.on)
        yield _timing_claim(line, "date", day, right)


def _timing_claim(line: IndexedEntry, kind: ClaimKind, stated: Quantity | Date, right: bool) -> CheckedClaim:
    """Return what the record says to a time or a date of the follow-up in this entry."""
    return CheckedClaim(
        kind,
        stated.text,
        label_for(right, line.on),
        line.source,
        f"record: {line.text}, {line.on or 'no date'}",
        ((stated.start, stated.end),),
    )


def is_about(parsed: ParsedSentence) -> bool:
    """Return whether the sentence is about follow-up."""
    return _CUE.search(parsed.text) is not None
