"""Claims of durations: of the stay, of an entry of the record; and days of the stay (`hospital day 3`)."""

import re
from collections.abc import Iterator
from datetime import timedelta

from shared.grounding import dosage_terms, follow_up
from shared.grounding.event_dates import ENDED, lines_named
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.medicine_cues import ALLERGY
from shared.grounding.medicines import is_treatment_duration
from shared.grounding.numerals import ORDINALS
from shared.grounding.orders import SECONDS_PER_DAY
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.person import AGE_PREFIX
from shared.grounding.quantities import Quantity
from shared.grounding.verdict import CheckedClaim, label_for
from shared.grounding.vocabulary import normalized_name

_DAY_OF_STAY = re.compile(
    r"\b(?:hospital day|hd|inpatient day|post-?operative day|pod|postop day|postop|day) ?#?(\d{1,3}|one|two|three|four|"
    r"five|six|seven)\b(?! ?(?:mg|days?|weeks?))",
    re.IGNORECASE,
)
_STAY = re.compile(
    r"hospital(?:i[sz]ation)?|stay(?:ed)?|admission|inpatient|length of stay|los|discharged?|after|last(?:ed|ing)|spent"
    r"|home|died|death"
)


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each duration that no medicine and no appointment claims, and each day of the stay."""
    rates = dosage_terms.find_frequencies(parsed.text)
    for quantity in parsed.quantities:
        if AGE_PREFIX.search(parsed.lower_text, 0, quantity.start):
            continue
        often = any(part.start <= quantity.start < part.end for part in rates)
        if quantity.dimension == "time" and not often and not _is_claimed_elsewhere(quantity, parsed):
            yield _stay_duration_claim(quantity, parsed, record) or _entry_duration_claim(quantity, parsed, record)
    yield from _days_of_stay(parsed, record)


def _is_claimed_elsewhere(quantity: Quantity, parsed: ParsedSentence) -> bool:
    """Return whether a medicine or an appointment claims this time already."""
    medicine = (parsed.named.drugs or parsed.named.classes) and is_treatment_duration(quantity, parsed)
    return (
        bool(medicine) and ALLERGY.search(parsed.lower_text) is None and not _is_stay_duration(quantity, parsed)
    ) or (
        follow_up.is_about(parsed)
        and bool(re.search(r"\b(?:in|within)\s*(?:a )?$", parsed.lower_text[: quantity.start]))
    )


def _is_stay_duration(quantity: Quantity, parsed: ParsedSentence) -> bool:
    return bool(
        re.match(
            r"[\s-]*(?:hospital|inpatient|stay|hospitali[sz]ation|admission|in (?:the )?hospital)",
            parsed.lower_text[quantity.end :],
        )
    ) or bool(
        re.search(
            r"(?:stayed|stay(?:ed)? with us|was here|with us|inpatient|hospitali[sz](?:ed|ation)|in (?:the )"
            r"?hospital|on the (?:ward|unit)|stay of|stay was|stay|admission|remained inpatient|lasted|"
            r"comprised|spanned|spent|stay comprised|duration(?: of (?:the )?(?:stay|admission|"
            r"hospitali[sz]ation))?(?: was)?:?)\s*(?:for "
            r")?(?:a total of )?(?:about )?$",
            parsed.lower_text[: quantity.start],
        )
    )


def _stay_duration_claim(quantity: Quantity, parsed: ParsedSentence, record: EvidenceIndex) -> CheckedClaim | None:
    """Check the length of the stay; None where the time is about something else."""
    context = record.context
    value = quantity.value * (quantity.unit.factor if quantity.unit else SECONDS_PER_DAY) / SECONDS_PER_DAY
    window = parsed.lower_text[max(0, quantity.start - 60) : quantity.end + 50]
    stated = _is_stay_duration(quantity, parsed)
    ago = "ago" in parsed.lower_text[quantity.end : quantity.end + 5]
    if record.start is None or ago or not (stated or (_STAY.search(window) and value >= 1)):
        return None
    days = (record.end - record.start).days
    hours = (context.end - context.start).total_seconds() / 3600 if context.start else 0.0
    later = re.match(r"\s*(?:after|later|from|following)\b", parsed.lower_text[quantity.end :])
    fits = {days, days if later else days + 1} if quantity.unit and quantity.unit.factor == SECONDS_PER_DAY else set()
    weeks = quantity.unit is not None and quantity.unit.factor > SECONDS_PER_DAY and abs(value - days) <= 3
    right = value in fits or abs(value * 24 - hours) < 1.0 or weeks
    if not right and not stated and not re.search(r"\b(?:discharged?|home|died)\b", window):
        return None
    detail = f"record: {days} days, {record.start} to {record.end}"
    return CheckedClaim(
        "duration", quantity.text, label_for(right), context.encounter, detail, ((quantity.start, quantity.end),)
    )


def _entry_duration_claim(quantity: Quantity, parsed: ParsedSentence, record: EvidenceIndex) -> CheckedClaim:
    """Check a time that an entry of the record has together with a word of the sentence."""
    keys = {key for key, _, _ in parsed.content}
    line = next((line for line in record.lines if _has_duration(line, quantity) and keys & line.stems.keys()), None)
    span = ((quantity.start, quantity.end),)
    if line is None:
        return CheckedClaim("duration", quantity.text, "not-in-record", spans=span)
    return CheckedClaim("duration", quantity.text, "supported", line.source, f"record: {line.text[:120]}", span)


def _has_duration(line: IndexedEntry, quantity: Quantity) -> bool:
    return any(
        one.value == quantity.value and one.unit and quantity.unit and one.unit.factor == quantity.unit.factor
        for one in line.quantities
        if one.dimension == "time"
    )


def _days_of_stay(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Check `hospital day 3`: something named in the clause has to be on that day."""
    for match in _DAY_OF_STAY.finditer(parsed.text):
        number = int(match[1]) if match[1].isdigit() else _count_of(match[1])
        operative = match.group().lower().startswith(("post", "pod"))
        starts = (
            [line.on for line in record.entries_of("procedures") if line.on]
            if operative
            else [record.start]
            if record.start
            else []
        )
        days = {start + timedelta(days=number - (0 if operative else 1)) for start in starts}
        span = parsed.clause_at(match.start())
        named = [line for _, items in lines_named(parsed, record, *span) for line in items if line.on in days]
        ended = ENDED.search(parsed.lower_text_of(span)) is not None and record.end in days
        written = [line for line in record.lines if f" {normalized_name(match.group())} " in line.plain]
        label = label_for(named or ended or written, False)
        yield CheckedClaim("date", match.group(), label, record.context.encounter, "", (match.span(),))


def _count_of(word: str) -> int:
    values = ("zero", "one", "two", "three", "four", "five", "six", "seven")
    return values.index(word.lower()) if word.lower() in values else ORDINALS.get(word.lower(), 0)
