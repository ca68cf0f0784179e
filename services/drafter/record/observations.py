"""Results and vital signs, reduced to those that show their course. Only the record judges values."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.drafter.record import interpretation, quantities
from services.drafter.record.interpretation import Judgement
from services.drafter.record.observation_values import format_pressure, format_value
from services.drafter.record.reference_ranges import (
    Bounds,
    RangeSubject,
    applicable_ranges,
    reference_ranges,
    therapeutic_ranges,
)
from services.drafter.record.scope import StayScope, source
from services.drafter.record.vital_signs import ORDER, vital_sign
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry, Measurement, ObservationSeries

_LAB = re.compile(r"\blab(or(atory)?)?\b|klinische chemie|bepaling", re.IGNORECASE)
_LAB_CODES = frozenset({"laboratory", "LAB", "CH", "HM", "49581000146104", "26436-6"})
_PENDING = frozenset({"registered", "preliminary"})
_DEVIATION = {"critically low": 4, "critically high": 4, "critical": 4, "low": 2, "high": 2, "abnormal": 1}


@dataclass(frozen=True, slots=True)
class ObservationResult:
    """One value of an Observation or of one of its components."""

    resource: Resource  # that has value, range and interpretation
    parent: Resource  # the Observation
    name: str
    key: str
    measurement: Measurement
    judgement: Judgement | None
    limits: list[Bounds]
    normal: list[Bounds]
    therapeutic: list[Bounds]


@dataclass(slots=True)
class Measurements:
    """The Observations of a stay, sorted."""

    labs: list[ObservationSeries]
    vitals: list[ObservationSeries]
    pending: list[ContextEntry]
    contradictions: list[ContextEntry]


# Remarks that put a value in doubt. Many laboratories also write where and by which method a test was done.
_REMARK = re.compile(
    r"h(a)?emoly[sz]|h[äa]molys|h[äa]molyt|lip(a)?emi|lip[äa]mi|icteri[ca]|ikter|clotted|geronnen|gestold|contamin|kontamin"
    r"|mislabel|wrong (patient|tube|sample|specimen)|verwechsl|verwissel|previously reported|corrected|korrigiert"
    r"|gecorrigeerd|unreliable|unsicher|onbetrouwbaar|with caution|questionable|artefa[ck]t|artifact|spurious"
    r"|pseudo(hyper|hypo|thr)|insufficient|too (old|late)|delayed|recollect|re-?draw|repeat (sample|specimen|advised)"
    r"|diluted|drip arm|clump",
    re.IGNORECASE,
)


def read_measurements(
    observations: list[Resource], scope: StayScope, person: RangeSubject, taken: frozenset[str]
) -> Measurements:
    """Return results and vital signs of the stay; observations in `taken` are listed elsewhere."""
    results: list[ObservationResult] = []
    vitals: list[ObservationResult] = []
    pending: list[ContextEntry] = []
    for item in observations:
        if source(item) in taken:
            continue
        vital = vital_sign(item)
        if vital is None and not is_laboratory(item):
            continue
        item_results = list(_read_results(item, scope, person, pending, vital))
        (vitals if vital else results).extend(item_results)
    return Measurements(
        labs=list(_group_by_test(results)),
        vitals=sorted(_group_by_test(vitals), key=lambda item: ORDER.get(item.name, len(ORDER))),
        pending=pending,
        contradictions=list(_contradictions(results)),
    )


def is_measured(item: Resource) -> bool:
    """Return whether an Observation is a result or a vital sign."""
    return vital_sign(item) is not None or is_laboratory(item)


def is_laboratory(item: Resource) -> bool:
    """Return whether it is laboratory, by category in any system or text; without one by having a range."""
    categories = item.get("category")
    if not categories:
        return bool(item.get("referenceRange") or item.get("interpretation") or _loinc_quantity(item))
    return bool(elements.codes(categories) & _LAB_CODES) or any(
        _LAB.search(text) for part in elements.items(categories) for text in elements.displays(part)
    )


def _loinc_quantity(item: Resource) -> bool:
    return "valueQuantity" in item and any(
        system == "http://loinc.org" for system, _ in elements.coding_pairs(item.get("code"))
    )


def _read_results(
    item: Resource, scope: StayScope, person: RangeSubject, pending: list[ContextEntry], vital: str | None
) -> Iterator[ObservationResult]:
    time = scope.first_time(
        item, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming"
    ) or scope.first_time(item, "issued")
    name, status = elements.concept_or_code(item.get("code")), elements.string(item, "status")
    if status == "cancelled":
        scope.leave_out(item, name, "cancelled")
        return
    if not scope.usable(item, name, time, important=_is_flagged(item, person)) or name is None:
        return
    issued = scope.parse_time(item.get("issued"))
    if status in _PENDING or scope.is_issued_after(item):
        late = f"resulted {issued.text}, after the discharge" if issued and scope.is_issued_after(item) else status
        pending.append(scope.entry(item, f"{short_name(name)} ({late})", time))
        if status == "registered" or late != status:
            return
    if time is None:
        scope.leave_out(item, name, "without a date", important=_is_flagged(item, person))
        return
    values = list(_values_of(item, name, vital))
    if not values and not elements.children(item, "hasMember"):
        scope.leave_out(item, name, _why_no_value(item))
    for part, named, key, words in values:
        judgement = interpretation.judgement_of(part, person)
        flag = None if judgement == "normal" else judgement
        shown = " ".join([words, *_with_qualifiers(item, status)])
        measurement = Measurement(value=shown, time=time.begins, flag=flag, source=source(item), on=time.text)
        stated = reference_ranges(part, person), therapeutic_ranges(part, person)
        yield ObservationResult(
            part, item, named, key, measurement, judgement, applicable_ranges(part, named, person), *stated
        )


def _with_qualifiers(item: Resource, status: str | None) -> Iterator[str]:
    """Yield a value with what it must not be read without: preliminary status, remarks on the specimen."""
    if status == "preliminary":
        yield "(preliminary)"
    sentences = [part for note in elements.annotations(item) for part in re.split(r"(?<=[.;!])\s+", note.strip())]
    if remarks := [part.rstrip(".; ") for part in sentences if _REMARK.search(part)]:
        yield f"(remark: {'; '.join(remarks)})"


def _values_of(item: Resource, name: str, vital: str | None) -> Iterator[tuple[Resource, str, str, str]]:
    """Yield the resource's own value and those of its components: resource, name, key, words."""
    own = format_value(item)
    if own is not None:
        yield item, vital or name, vital or _series_key(item, name), own
    if format_pressure(item) is not None and own == format_pressure(item):
        return
    for part in elements.children(item, "component"):
        words, inner = format_value(part), elements.concept_or_code(part.get("code"))
        if words is not None and inner is not None:
            named = inner if short_name(name).lower() in inner.lower() else f"{short_name(name)}: {short_name(inner)}"
            yield part, named, f"{_series_key(item, name)}/{_series_key(part, inner)}", words


def _series_key(item: Resource, name: str) -> str:
    """Return what makes two values one series: a LOINC code, else any code, else the name; and the unit."""
    codes = sorted(elements.coding_pairs(item.get("code")))
    loinc = [code for system, code in codes if system == "http://loinc.org"]
    base = loinc[0] if loinc else f"{codes[0][0]}|{codes[0][1]}" if codes else name.lower()
    return f"{base} {quantities.unit_of(item.get('valueQuantity'))}".strip()


def _is_flagged(item: Resource, person: RangeSubject) -> bool:
    return interpretation.judgement_of(item, person) not in (None, "normal")


def _why_no_value(item: Resource) -> str:
    absent = elements.concept(item.get("dataAbsentReason"))
    reason = elements.join_distinct([absent.lower() if absent else None, *elements.annotations(item)], "; ")
    return f"without a value ({reason})" if reason else "without a value"


def _group_by_test(results: Iterable[ObservationResult]) -> Iterator[ObservationSeries]:
    groups: dict[str, list[ObservationResult]] = {}
    for item in results:
        groups.setdefault(item.key, []).append(item)
    for group in groups.values():
        group.sort(key=lambda item: item.measurement.time)
        yield _one_series(list({(item.measurement.time, item.measurement.value): item for item in group}.values()))


def _one_series(results: list[ObservationResult]) -> ObservationSeries:
    first, last = results[0].measurement, results[-1].measurement
    worst = max(results, key=_deviation)
    judged = all(item.judgement is not None or interpretation.is_negative(item.resource) for item in results)
    ends = (first, last)
    low, high = _extremes(results)
    unjudged = not judged and not any(item.judgement for item in results)
    both = {"low", "high"} <= {str(item.judgement).removeprefix("critically ") for item in results}
    with_extremes = unjudged or both  # where both limits were crossed, the worst is only one of two
    return ObservationSeries(
        name=results[-1].name,
        code=elements.code(results[0].resource.get("code")),
        range=next((item.normal[0].text for item in reversed(results) if len(item.normal) == 1), None),
        therapeutic=next((_range_texts(item.therapeutic) for item in reversed(results) if item.therapeutic), None),
        first=first,
        last=last,
        worst=worst.measurement if worst.measurement.flag and worst.measurement not in ends else None,
        lowest=low if with_extremes and low not in ends else None,
        highest=high if with_extremes and high not in ends and high != low else None,
        count=len(results),
        judged=judged,
    )


def _range_texts(ranges: list[Bounds]) -> str:
    return elements.join_distinct([item.text for item in ranges], " or ")


def _extremes(results: list[ObservationResult]) -> tuple[Measurement | None, Measurement | None]:
    numbers = [
        (number.value, item.measurement) for item in results if (number := quantities.measured_value(item.resource))
    ]
    if len(numbers) < 3:
        return None, None
    return min(numbers, key=lambda pair: pair[0])[1], max(numbers, key=lambda pair: pair[0])[1]


def _deviation(item: ObservationResult) -> tuple[int, Decimal]:
    """Return how abnormal a value is: by the record's judgement, then by its distance from the range."""
    number = quantities.measured_value(item.resource)
    share = Decimal(0)
    for limits in item.limits:
        if number is not None and limits.high:
            share = max(share, (number.value - limits.high) / abs(limits.high))
        if number is not None and limits.low:
            share = max(share, (limits.low - number.value) / abs(limits.low))
    return _DEVIATION.get(item.judgement or "", 0), share


def _contradictions(results: list[ObservationResult]) -> Iterator[ContextEntry]:
    """Yield pairs of final values of one test at one time that differ."""
    seen: dict[tuple[str, datetime], ObservationResult] = {}
    for item in results:
        at = (item.key, item.measurement.time)
        other = seen.setdefault(at, item)
        differs = _values_differ(other, item)
        if (
            differs
            and source(other.parent) != source(item.parent)
            and len(item.measurement.on or "") == len("2026-06-01")
        ):
            if not _has_time(item.parent):
                continue
            text = f"{short_name(item.name)}: {other.measurement.value} and {item.measurement.value} at the same time"
            yield ContextEntry(
                text=text, source=source(item.parent), time=item.measurement.time, on=item.measurement.on
            )


def _values_differ(one: ObservationResult, other: ObservationResult) -> bool:
    """Return whether two values differ: 4.10 and 4.1 do not."""
    numbers = [quantities.measured_value(item.resource) for item in (one, other)]
    if all(number is not None for number in numbers):
        return len({(number.value, number.comparator) for number in numbers if number is not None}) > 1
    return one.measurement.value != other.measurement.value


def _has_time(item: Resource) -> bool:
    return len(elements.string(item, "effectiveDateTime") or elements.string(item, "effectiveInstant") or "") > len(
        "2026-06-01"
    )


_LOINC_NAME = re.compile(r"(?P<component>.+?) \[[^\]]+\](?: (?:in|of) (?P<system>.+?))?(?: by .+| --.+)?")
_BLOOD = re.compile(
    r"((platelet poor )?(serum|plasma|blood)|red blood cells)((,| or) (serum|plasma|blood))*", re.IGNORECASE
)
_WITHOUT_PROPERTY = re.compile(r"(?P<component>.+?) in (?P<system>[^\[]*?)(?: by .+)?")


def short_name(name: str) -> str:
    """Return LOINC's long name without property and method.

    `Potassium [Moles/volume] in Serum or Plasma` → `Potassium`. The specimen stays where it is no blood: `Glucose
    [Mass/volume] in Urine` → `Glucose (Urine)`.
    """
    match = _LOINC_NAME.fullmatch(name)
    if match is None:
        match = _WITHOUT_PROPERTY.fullmatch(name)
        return match["component"] if match is not None and _BLOOD.fullmatch(match["system"]) else name
    system = match["system"]
    return f"{match['component']} ({system})" if system and not _BLOOD.fullmatch(system) else match["component"]


def short_names(series: Iterable[ObservationSeries]) -> dict[str, str]:
    """Return the short name of each full name; the full one where two tests would share a short one."""
    names = dict.fromkeys(item.name for item in series)
    counts = Counter(short_name(name).lower() for name in names)
    return {name: short_name(name) if counts[short_name(name).lower()] == 1 else name for name in names}
