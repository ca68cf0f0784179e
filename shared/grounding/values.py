"""Claims of values: a number bound to its test, its position in the series, and its unit."""

import re
from collections.abc import Iterator, Sequence

from shared.contracts.draft import ClaimKind
from shared.grounding import analytes
from shared.grounding.binding import BoundNumber, bind_numbers
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import RESULTS
from shared.grounding.measurement_series import MeasurementSeries, SeriesPoint, analyte
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.quantities import Date, Quantity
from shared.grounding.units import convert
from shared.grounding.verdict import CheckedClaim, Span, label_for
from shared.grounding.vocabulary import Mention

_ADMISSION_WORDS = (
    r"(?:admission|arrival|presentation|intake|entry|triage|admittance|(?<=on )hospitali[sz]ation"
    r"|(?<=at )hospitali[sz]ation)"
)
_DISCHARGE_WORDS = r"(?:discharge|dismissal|departure|leaving|going home|release|exit)"
_WHO = r"(?:he|she|(?:the )?patient|m(?:r|s|rs)\.? [\w-]+|they)"
SERIES_PLACES: dict[str, re.Pattern[str]] = {
    "first": re.compile(
        rf"\b{_ADMISSION_WORDS}\b|\b(?:presenting|admitting|initial(?:ly)?|baseline|first|earliest|starting|to begin "
        rf"with|to start with)\b"
        r"|\b(?:at|from) the (?:start|outset|beginning|onset)|\bon day (?:one|1)\b|\b(?:started|began) (?:at|out|with)"
        rf"|\b{_WHO} (?:first )?(?:came|arrived|presented|was admitted|was seen|was brought)\b(?! down| up)"
        r"|\b(?:presented|arrived|came in|admitted|brought in|came to (?:us|hospital)|seen by us) with\b"
        r"|\bin the (?:ed|er|emergency)\b|\bpresents with\b|\bday of admission\b",
    ),
    "last": re.compile(
        rf"\b{_DISCHARGE_WORDS}\b|\b(?:last|final|finally|latest|most recent(?:ly)?|closing|ending|eventual|ultimately|"
        rf"end of (?:the |his |her )?"
        r"(?:stay|admission|hospitali[sz]ation)|at the (?:end|conclusion)|conclusion|currently|current|is now|"
        r"now|today)\b"
        rf"|\b{_WHO} (?:left|leaves|went home|goes home|was discharged|was sent home)\b|\bsettled at\b|\bended "
        rf"(?:at|up)\b"
        r"|\b(?:left|leaves|went home|discharged|goes home) (?:us )?with\b|\bon leaving\b",
    ),
    "highest": re.compile(
        r"\b(?:peak(?:ed|s|ing)?|highest|maxim(?:um|al)|max|as high as|tmax|t max|top(?:ped|ping)? out|"
        r"crest(?:ed|ing)?|a high of"
        r"|high-water|up to a (?:high|maximum|peak))\b"
    ),
    "lowest": re.compile(
        r"\b(?:nadir(?:ed)?|lowest|minim(?:um|al)|as low as|bottom(?:ed|ing)?(?: out)?|a low of|trough|down to "
        r"a (?:low|minimum))\b"
    ),
    "worst": re.compile(r"\bat (?:its|his|her|the) worst\b|\bworst\b"),
}
# Words of a place that speak of the whole stay or of the time outside it: "during the admission", "after discharge".
_LIMIT = re.compile(r"\b(up|down) to\s*$")
_WHOLE_STAY = re.compile(
    r"\b(?:(?:end|conclusion|close|remainder|rest|part|middle|most|all) of|during|throughout|over|course of|"
    r"entire|whole|prior to|before|since|for|this|length of|duration of|reason for|cause of"
    r"|require[ds]?|following)\s+(?:the |this |his |her |entire |whole |course of |hospital |inpatient )*$"
)
_AFTERWARDS = re.compile(r"\b(?:after|following|since|post|for|requiring|required)\s+(?:the |his |her |hospital )*$")
# Parts with values that are compared elsewhere, or that say what is aimed at.
_TARGET_PARTS = frozenset({RESULTS, "procedures", "care_plans", "goals", "services", "follow_up", "diet"})
_SEPARATE = re.compile(r"[,;]| and | then | but |->|→| to (?:a final |a last |an? )?$")


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each number that is a value of a test."""
    for bound in bind_numbers(parsed):
        if bound.kind == "value":
            yield _value_claim(bound, parsed, record)


def series_of(test: str, record: EvidenceIndex) -> list[MeasurementSeries]:
    """Return the series of a test; of both troponins where only "troponin" is named."""
    found = [
        series
        for one in test.split("|")
        for id in analytes.FAMILIES.get(one, (one,))
        for series in record.courses.get(id, [])
    ]
    return found or (record.courses.get("blood pressure", []) if test == "diastolic" else [])


def places_at(parsed: ParsedSentence, quantity: Quantity) -> tuple[frozenset[str], Date | None]:
    """Return which value of the series is meant, by the words after the number or else before it."""
    others = [item for item in parsed.quantities if item is not quantity]
    behind = min([item.start for item in others if item.start >= quantity.end] + [len(parsed.lower_text)])
    ahead = max([item.end for item in others if item.end <= quantity.start] + [0])
    after, before = parsed.lower_text[quantity.end : behind], parsed.lower_text[ahead : quantity.start]
    alone = behind == len(parsed.lower_text) and ahead == 0
    split = _SEPARATE.search(after)
    after = after[: split.start()] if split else after
    day = next((day for day in parsed.dates if quantity.end <= day.start < quantity.end + len(after) + 1), None)
    found = _places_named(after)
    if found or day:
        extremes = _places_named(before) & {"highest", "lowest"}
        return found or extremes, day
    splits = list(_SEPARATE.finditer(before))
    last = splits[-1].end() if splits else 0
    changed = ahead > 0 and bool(splits) and splits[-1].group().strip().partition(" ")[0] in ("to", "→", "->")
    near = before[last:] if changed or _places_named(before[last:]) else before
    day = next((day for day in parsed.dates if ahead <= day.start < quantity.start), None)
    found = _places_named(near)
    if not found and alone and (limit := _LIMIT.search(before)) is not None:
        found = frozenset({"highest" if limit[1] == "up" else "lowest"})
    elif not found and alone:  # "…, which peaked at 12": the only number belongs to any place of the sentence
        found = _places_named(parsed.lower_text)
        found = found if len(found) == 1 else frozenset()
    return found, day


def _places_named(text: str) -> frozenset[str]:
    found = set()
    for name, pattern in SERIES_PLACES.items():
        for match in pattern.finditer(text):
            outside = _WHOLE_STAY if name == "first" else _AFTERWARDS
            if name in ("highest", "lowest", "worst") or outside.search(text[: match.start()]) is None:
                found |= {"highest", "lowest"} if name == "worst" else {name}
    extremes = found & {"highest", "lowest"}
    return frozenset(extremes or found)


def matches(quantity: Quantity, point: SeriesPoint, test: str) -> bool:
    """Return whether a written number is this value: in its unit, rounded to the written digits."""
    value = point.quantity
    if value is None:
        return False
    if quantity.second_value is not None or value.second_value is not None:
        return _equals_blood_pressure(quantity, value, test)
    substance = analyte(test)
    if quantity.unit is None or value.unit is None:
        if quantity.unit is not None and value.unit is None:
            return False
        return _equals_as_written(quantity, value.value) or (
            substance.scale != 1.0 and _equals_as_written(quantity, _scaled_like(value, substance.scale))
        )
    found = convert(value.value, value.unit, quantity.unit, substance.grams_per_mole, substance.valence)
    if quantity.dimension == "fahrenheit" and found is not None:
        return abs(quantity.value - found) <= max(quantity.tolerance, 0.1)
    return found is not None and _equals_as_written(quantity, found)


def _scaled_like(value: Quantity, scale: float) -> float:
    return value.value / scale if value.value >= scale / 2 else value.value * scale


def _equals_as_written(quantity: Quantity, value: float) -> bool:
    """Compare rounded as written; a whole number with final zeros may be rounded to 1 %."""
    if quantity.value == 0 and value != 0:
        return False
    zeros = quantity.digits == 0 and quantity.value >= 1000 and quantity.value % 100 == 0
    margin = max(quantity.tolerance, 0.006 * quantity.value if zeros else 0.0)
    return abs(quantity.value - value) <= margin


def _equals_blood_pressure(quantity: Quantity, value: Quantity, test: str) -> bool:
    if quantity.second_value is not None:
        return (quantity.value, quantity.second_value) == (value.value, value.second_value)
    return quantity.value == (value.second_value if test == "diastolic" else value.value)


def _value_claim(bound: BoundNumber, parsed: ParsedSentence, record: EvidenceIndex) -> CheckedClaim:
    quantity = bound.quantity
    spans: tuple[Span, ...] = ((quantity.start, quantity.end),)
    text = quantity.text
    if bound.owner is not None:
        spans = (*spans, (bound.owner.start, bound.owner.end))
        text = f"{bound.owner.text} {quantity.text}"
    found = series_of(bound.test, record)
    same = [(series, point) for series in found for point in series.points if matches(quantity, point, bound.test)]
    exact = [pair for pair in same if _is_exact(quantity, pair[1])]
    same = exact or same  # 7.4 is not the 7.35 beside it
    places, day = places_at(parsed, quantity)
    spans = (
        *spans,
        *(match.span() for pattern in SERIES_PLACES.values() for match in pattern.finditer(parsed.lower_text)),
    )
    right = [pair for pair in same if _is_at_place(pair, places, day)]
    if right:
        return CheckedClaim(
            "number", text, "supported", right[0][1].source, f"record: {right[0][0].description}", spans
        )
    written = None if same else _entry_with_value(bound, record)
    if written is not None:
        return CheckedClaim("number", text, "supported", written[0], f"record: {written[1]}", spans)
    if not found:
        return CheckedClaim("number", text, "not-in-record", spans=spans)
    series = same[0][0] if same else found[0]
    kind: ClaimKind = "order-of-time" if same else "unit" if _other_unit(quantity, found) else "number"
    known = bool(same) or kind == "unit" or not any(_may_be_dropped_value(quantity, one) for one in found)
    return CheckedClaim(
        kind, text, label_for(False, known), series.points[0].source, f"record: {series.description}", spans
    )


def _may_be_dropped_value(quantity: Quantity, series: MeasurementSeries) -> bool:
    """Return whether the context has dropped values of the series, and this may be one of them."""
    values = [point.quantity.value for point in series.points if point.quantity]
    return not series.is_complete and bool(values) and min(values) <= quantity.value <= max(values)


def _is_exact(quantity: Quantity, point: SeriesPoint) -> bool:
    """Return whether the numbers are equal without rounding."""
    value = point.quantity
    return value is not None and value.value == quantity.value and value.digits <= quantity.digits


def _is_at_place(pair: tuple[MeasurementSeries, SeriesPoint], places: frozenset[str], day: Date | None) -> bool:
    """Return whether the point is at the position that the sentence states."""
    series, point = pair
    if day is not None and point.on is not None and not day.is_on(point.on):
        return False
    alike = [item for item in series.points if item.text == point.text]
    return not places or any(places & item.places for item in alike)


def _other_unit(quantity: Quantity, found: Sequence[MeasurementSeries]) -> bool:
    values = [point.quantity.value for series in found for point in series.points if point.quantity]
    return quantity.unit is not None and quantity.value in values


def _entry_with_value(bound: BoundNumber, record: EvidenceIndex) -> tuple[str, str] | None:
    """Return an entry in words (report, note, score) that names the test with this number."""
    for line in record.lines:
        named = {item.canonical for item in line.named.tests}
        if bound.test in named and line.part not in _TARGET_PARTS and not line.part.endswith("medicines"):
            for quantity in line.quantities:
                owner = max((item for item in line.named.tests if item.end <= quantity.start), key=_end, default=None)
                alike = quantity.value == bound.quantity.value and quantity.second_value == bound.quantity.second_value
                if (
                    owner is not None
                    and owner.canonical == bound.test
                    and alike
                    and _same_unit(quantity, bound.quantity)
                ):
                    return line.source, line.text[:120]
    return None


def _end(mention: Mention) -> int:
    return mention.end


def _same_unit(one: Quantity, other: Quantity) -> bool:
    return (
        one.unit is None
        or other.unit is None
        or (one.unit.dimension, one.unit.factor) == (other.unit.dimension, other.unit.factor)
    )
