"""Claims about the patient: sex, age, name."""

import re
from collections.abc import Iterator
from datetime import date

from shared.grounding.binding import bind_numbers
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim, label_for

_SEX = re.compile(
    r"\b(?P<female>she|her|hers|herself|woman|women|female|girl|lady|mrs|ms|gentlewoman)\b|\b(?P<male>he|"
    r"him|his|himself|man|male|boy|gentleman|mr)\b",
    re.IGNORECASE,
)
_KIN = re.compile(
    r"\b(?:mother|father|sister|brother|wife|husband|daughter|son|parents?|aunt|uncle|grand\w+|spouse|"
    r"maternal|paternal)\b",
    re.IGNORECASE,
)
_CHILD = re.compile(r"\b(?:boy|girl)\b", re.IGNORECASE)
_ADULT = re.compile(r"\b(?:man|woman|gentleman|gentlewoman|lady)\b", re.IGNORECASE)
_ADULT_AGE_YEARS = 16  # from this age "woman" and "man" are used
_DECADE = re.compile(r"\bin (?:his|her|their) (early |mid-?|late )?(\d)0s\b|\b(\d)0-something\b", re.IGNORECASE)
# "woman of 77", "man, 44 years".
_NOUN = r"(?:m(?:r|s|rs)\.? [\w'-]+|woman|man|boy|girl|lady|gentleman|male|female|patient|child|infant)"
AGE_PREFIX = re.compile(rf"\b{_NOUN}(?: of|,| aged|,? age) $")
_AGED = re.compile(r"(?<!gestational )\b(?:aged|age|age of|age:)\s*$|\bage was\s*$|\bage is\s*$")
_GROUP = re.compile(
    r"\b(?P<old>elderly|octogenarian|nonagenarian|geriatric)\b|\b(?P<young>newborn|neonate|infant|"
    r"toddler)\b|\b(?P<teen>teenager|teenage|adolescent)\b|\b(?P<child>child)\b",
    re.IGNORECASE,
)
_GROUPS = {"old": (65, 130), "young": (0, 3), "teen": (11, 19), "child": (1, 17)}
_TITLE = re.compile(r"\b(?:mr|mrs|ms|miss)\.?\s+([A-Z][\w'-]+)")
_DOCTOR = re.compile(r"\bDr\.?\s+((?:[A-Z][\w'-]+\s?){1,3})")
_WEEKS = {"week": 7, "day": 1, "month": 30.44, "hour": 1 / 24}


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield claims of sex, age and names."""
    yield from _sex_claims(parsed, record)
    yield from _age_claims(parsed, record)
    yield from _name_claims(parsed, record)


def _sex_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    sex, source = record.context.patient.sex, record.context.patient.source
    kin = _KIN.search(parsed.text) is not None
    for match in _SEX.finditer(parsed.text):
        if sex not in ("male", "female") or match.group() in ("MR", "MS"):
            continue
        right = match.lastgroup == sex
        if kin and not right:
            continue  # "his mother … she"
        noun = match.group().lower() not in ("he", "she", "his", "her", "him", "hers", "himself", "herself")
        if not right:
            yield CheckedClaim("person", match.group(), "contradicted", source, f"record: {sex}", (match.span(),))
        elif noun:
            yield CheckedClaim("person", match.group(), "supported", source, f"record: {sex}", (match.span(),))
    years = _age_in_years(record, record.end)
    for match in (*_CHILD.finditer(parsed.text), *_ADULT.finditer(parsed.text)):
        if years is not None and not kin and (years >= 18 if match.re is _CHILD else years < _ADULT_AGE_YEARS):
            yield CheckedClaim(
                "age", match.group(), "contradicted", source, f"record: {years} years old", (match.span(),)
            )


def _age_in_years(record: EvidenceIndex, day: date) -> int | None:
    born = record.context.patient.birth_date
    return None if born is None else day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _age_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    source = record.context.patient.source
    for bound in bind_numbers(parsed):
        quantity = bound.quantity
        if _KIN.search(parsed.text) and not quantity.age:
            continue  # "his father had a stroke at the age of 48"
        of_age = AGE_PREFIX.search(parsed.lower_text, 0, quantity.start) and quantity.dimension in ("", "time")
        if of_age or bound.kind == "age" or _AGED.search(parsed.lower_text[: quantity.start]):
            yield _age_claim(
                quantity.value, quantity.age or "year", quantity.text, (quantity.start, quantity.end), record
            )
    for match in _DECADE.finditer(parsed.text):
        years, decade = _age_in_years(record, record.end), int(match[2] or match[3]) * 10
        label = "not-in-record" if years is None else label_for(decade <= years < decade + 10)
        yield CheckedClaim("age", match.group(), label, source, f"record: {years} years old", (match.span(),))
    for match in _GROUP.finditer(parsed.text):
        years, (low, high) = _age_in_years(record, record.end), _GROUPS[match.lastgroup or "old"]
        label = "not-in-record" if years is None else label_for(low <= years <= high)
        yield CheckedClaim("age", match.group(), label, source, f"record: {years} years old", (match.span(),))


def _age_claim(value: float, unit: str, text: str, span: tuple[int, int], record: EvidenceIndex) -> CheckedClaim:
    born, source = record.context.patient.birth_date, record.context.patient.source
    if born is None:
        year = (record.context.patient.birth or "")[:4]
        right = unit == "year" and year.isdigit() and record.end.year - int(year) - value in (0, 1)
        return CheckedClaim(
            "age",
            text,
            label_for(right, False),
            source,
            f"record: born {year}" if year else "",
            (span,),
        )
    days = [day for day in record.stay_dates if day is not None]
    if unit == "year":
        right = any(_age_in_years(record, day) == value for day in days)
    else:
        right = any(abs((day - born).days / _WEEKS[unit] - value) < 1 for day in days)
    return CheckedClaim("age", text, label_for(right), source, f"record: born {born}", (span,))


def _name_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    context = record.context
    for match in _TITLE.finditer(parsed.text):
        right = match[1].lower().removesuffix("'s") in context.patient.name.lower()
        yield CheckedClaim(
            "person",
            match.group(),
            label_for(right),
            context.patient.source,
            f"record: {context.patient.name}",
            (match.span(),),
        )
    for match in _DOCTOR.finditer(parsed.text):
        last = match[1].split()[-1].lower().removesuffix("'s")
        line = next((line for line in record.lines if last in line.text.lower()), None)
        yield CheckedClaim(
            "person",
            match.group(),
            label_for(line, False),
            line.source if line else "",
            f"record: {line.text[:120]}" if line else "",
            (match.span(),),
        )
    for name in re.findall(r"\b[A-Z][\w'-]+\b", context.patient.name):
        for match in re.finditer(rf"\b{re.escape(name)}\b", parsed.text):
            yield CheckedClaim(
                "person", name, "supported", context.patient.source, f"record: {context.patient.name}", (match.span(),)
            )
