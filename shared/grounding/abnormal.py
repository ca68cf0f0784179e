"""Claims by names for abnormal values: leukocytosis, hyponatremia, fever, hypoxemia."""

import re
from collections.abc import Iterator

from shared.contracts.draft import ClaimKind
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.measurement_series import MeasurementSeries, SeriesPoint
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim, Span, label_for
from shared.grounding.vocabulary import FOLDER, Mention
from shared.grounding.words import stem


def _read_names() -> dict[str, tuple[tuple[str, ...], str]]:
    """Return each name with the tests it is about and the expected deviation; `!` negates the deviation."""
    rows = (line.split("\t") for line in (FOLDER / "abnormal.tsv").read_text().splitlines())
    return {name: (tuple(tests.split("|")), way) for names, tests, way in rows for name in names.split("|")}


_NAMES = _read_names()
PATTERN = re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, _NAMES), key=len, reverse=True))})\b", re.IGNORECASE)
# An entry that says what to watch for, not what was found.
_EXPECTED = re.compile(r"\b(?:care plan|monitor|watch|risk|prevent|avoid|if|observe|in case)\b", re.IGNORECASE)
# Where the record gives no range: usual limits for an adult's vital signs (NEWS2, Royal College of Physicians 2017;
# fever from 38.0 °C). Systolic for the blood pressure.
_LIMITS: dict[str, tuple[float, float]] = {
    "temperature": (36.0, 37.9),
    "heart rate": (50.0, 100.0),
    "respiratory rate": (12.0, 20.0),
    "blood pressure": (90.0, 140.0),
    "spo2": (92.0, 101.0),
}


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each name for an abnormal value, affirmed or denied."""
    for match in PATTERN.finditer(parsed.text):
        span = match.span()
        properties = parsed.properties(span)
        if not properties & {"family", "uncertain"}:
            order = _order_indicated_for(match.group(), parsed, record)
            if order is not None:
                detail = f"record: {order.text[:160]}"
                yield CheckedClaim("finding", match.group(), "supported", order.source, detail, (span,))
                continue
            yield _deviation_claim(match.group(), span, "denied" in properties, record)


def _order_indicated_for(text: str, parsed: ParsedSentence, record: EvidenceIndex) -> IndexedEntry | None:
    """Return the order in whose indication the name stands: `glucagon as needed for hypoglycemia`."""
    drugs = {item.canonical for item in parsed.named.drugs}
    key = stem(text.split()[-1])
    lines = (line for line in record.by_stem.get(key, []) if line.part.endswith("medicines"))
    return next((line for line in lines if drugs & {item.canonical for item in line.named.drugs}), None)


def as_tests(parsed: ParsedSentence) -> list[Mention]:
    """Return the names as mentions of tests, to which numbers can be bound: `leukocytosis of 15.2`."""
    return [
        Mention(*match.span(), match.group(), "|".join(_NAMES[match.group().lower()][0]))
        for match in PATTERN.finditer(parsed.text)
    ]


def _deviation_claim(text: str, span: Span, denied: bool, record: EvidenceIndex) -> CheckedClaim:
    tests, way = _NAMES[text.lower()]
    denied, way = denied != way.startswith("!"), way.lstrip("!")
    courses = [series for test in tests for series in record.courses.get(test, [])]
    so = [(series, point) for series in courses for point in series.points if _is_abnormal(way, series, point)]
    claimed = "no " + text if denied and not text.lower().startswith("afeb") else text
    if so:
        kind: ClaimKind = "polarity" if denied else "finding"
        return CheckedClaim(
            kind, claimed, label_for(not denied), so[0][1].source, f"record: {so[0][0].description}", (span,)
        )
    line = _entry_in_words(text, denied, record)
    judged = [series for series in courses if _is_decidable(series)]
    if line is not None and (not judged or denied or line.part in ("diagnoses", "reasons")):
        return CheckedClaim("finding", claimed, "supported", line.source, f"record: {line.text[:160]}", (span,))
    if judged:
        source = judged[0].points[0].source
        return CheckedClaim("finding", claimed, label_for(denied), source, f"record: {judged[0].description}", (span,))
    return CheckedClaim("finding", claimed, "not-in-record", spans=(span,))


def _is_decidable(series: MeasurementSeries) -> bool:
    return series.judged or series.id in _LIMITS


def _is_abnormal(way: str, series: MeasurementSeries, point: SeriesPoint) -> bool:
    if way in point.flag or (point.flag in ("abnormal", "critical") and series.id not in _LIMITS):
        return True
    limits = _LIMITS.get(series.id)
    if (
        limits is None
        or point.quantity is None
        or (series.judged and series.id not in ("temperature", "blood pressure"))
    ):
        return False
    low, high = limits
    value = point.quantity.value
    if point.quantity.dimension == "fahrenheit":
        value = (value - 32) * 5 / 9
    return value < low if way == "low" else value > high


def _entry_in_words(text: str, denied: bool, record: EvidenceIndex) -> IndexedEntry | None:
    """Return an entry that states it in words: a diagnosis "anemia", a note "denies fever"."""
    key = stem(text.split()[-1])
    for line in record.by_stem.get(key, []):
        other = line.part in ("family_history", "care_plans", "goals") or line.part.endswith("medicines")
        if ("denied" in line.stems[key]) == denied and not other and not _EXPECTED.search(line.text):
            return line
    return None
