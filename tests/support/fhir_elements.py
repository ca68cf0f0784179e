"""Hypothesis strategies for the FHIR R4 data types that a record is made of: numbers, dates, codes, quantities, doses.

Dates lie around one stay, START to END; `record()` in fhir_strategies.py puts resources together from these.
"""

from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st

Element = dict[str, Any]

START, END = "2026-06-01T22:40:00+02:00", "2026-06-09T00:20:00+02:00"

NUMBERS: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 500),
    st.decimals(0, 1000, places=2, allow_nan=False),
    st.decimals(0, 2, places=4, allow_nan=False),
    st.floats(0, 1e6, allow_nan=False),
    st.sampled_from([0, 1, 0.5, 1e-7, 1e22, 35000, -1.5, 10**30, Decimal("1E-9"), Decimal("6.150"), Decimal("1E+3")]),
)
MOMENTS = st.sampled_from(
    [
        START,
        END,
        "2026-06-02",
        "2026-06-03T00:10:00+02:00",
        "2026-06-04T23:55:00Z",
        "2026-06-05T07:30:00.123-05:00",
        "2026-06-07T12:00:00+02:00",
        "2026-06-08T06:00:00Z",
        "2026-06",
        "2026",
        "2019-11-30",
        "1987",
        "2026-06-08T25:61:00Z",
        "not known",
        "",
    ]
)
LATER = st.sampled_from(["2026-06-15T09:20:00+02:00", "2026-07-01", "2026-06-20T08:00:00Z"])
UNITS = st.sampled_from(
    ["mg", "g", "mmol/L", "10*9/L", "µmol/L", "%", "mL/min/{1.73_m2}", "stuk", "tablet", "[pH]", ""]
)
NOTES = st.sampled_from(
    [
        "see the letter of 02.03.2026",
        "from 01.12.2026 10 mg",
        "m² 1.8",
        "½ tablet, then 1½ tablets",
        "1-0-1-0",
        "2–3 Tropfen, höchstens 4 x täglich",
        "take 2,5 mg",
        "1,500 ml a day",
        "täglich 10–20 µg ≤ 3×",
        "٣ times",
        "\u00a0",
        "",
        "line one\nline 2",
        "5e3 CFU",
    ]
)
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(
        ["", " ", "unknown", "\x00", "٣", "²", [], {}, [None], [[]], {"value": {}}, {"coding": "x"}, ["x"]]
    ),
)


def maybe(**elements: st.SearchStrategy[Any]) -> st.SearchStrategy[Element]:
    """An element that has any of these elements."""
    return st.fixed_dictionaries({}, optional=elements)


@cache
def coded(*codes: str, system: str = "") -> st.SearchStrategy[Element]:
    """A CodeableConcept of one of these codes."""
    return st.sampled_from(codes).map(lambda code: {"coding": [{"system": system, "code": code}]})


@cache
def named(name: str) -> st.SearchStrategy[Element]:
    """A CodeableConcept that names `name` in one of the places where senders put it."""
    empty = {"system": "http://example.test/local", "code": "local"}
    own = "".join(filter(str.isalpha, name)).lower()  # two things of one code would be the same thing
    return st.sampled_from(
        [
            {"text": name},
            {"coding": [{"code": own, "display": name}]},
            {"coding": [empty, {"code": own, "display": name}]},
            {"coding": [empty], "text": name},
            {"coding": [], "text": name},
        ]
    )


@cache
def quantities() -> st.SearchStrategy[Element]:
    comparators = st.sampled_from(["<", "<=", ">=", ">"])
    unit = maybe(unit=UNITS, code=UNITS, comparator=comparators, system=st.just("http://unitsofmeasure.org"))
    return st.builds(lambda value, rest: {"value": value} | rest, NUMBERS, unit)


@cache
def ranges() -> st.SearchStrategy[Element]:
    return maybe(low=quantities(), high=quantities())


@cache
def ratios() -> st.SearchStrategy[Element]:
    return maybe(numerator=quantities(), denominator=quantities())


@cache
def periods() -> st.SearchStrategy[Element]:
    return maybe(start=MOMENTS, end=MOMENTS)


@cache
def annotations() -> st.SearchStrategy[list[Element]]:
    return st.lists(NOTES.map(lambda text: {"text": text}), max_size=2)


def references(*targets: str) -> st.SearchStrategy[Element]:
    return st.sampled_from([*targets, "Nothing/missing"]).map(lambda target: {"reference": target})


@cache
def repeats() -> st.SearchStrategy[Element]:
    """`Timing.repeat` with every element of R4."""
    small = st.one_of(st.integers(1, 12), st.sampled_from([Decimal("0.5"), Decimal("1.0"), 36]))
    when = st.lists(
        st.sampled_from(["MORN", "NOON", "EVE", "NIGHT", "CM", "CD", "CV", "AC", "PC", "HS", "ACM"]), max_size=3
    )
    return maybe(
        boundsDuration=quantities(),
        boundsRange=ranges(),
        boundsPeriod=periods(),
        count=small,
        countMax=small,
        duration=small,
        durationMax=small,
        durationUnit=st.sampled_from(["min", "h", "d"]),
        frequency=small,
        frequencyMax=small,
        period=small,
        periodMax=small,
        periodUnit=st.sampled_from(["min", "h", "d", "wk", "mo", "a", "fortnight"]),
        dayOfWeek=st.lists(st.sampled_from(["mon", "wed", "sun"]), max_size=2),
        timeOfDay=st.lists(st.sampled_from(["08:00:00", "14:30:00", "22:00"]), max_size=2),
        when=when,
        offset=st.integers(0, 90),
    )


@cache
def dosages() -> st.SearchStrategy[Element]:
    """`Dosage` with every element of R4."""
    timing = maybe(event=st.lists(MOMENTS, max_size=2), repeat=repeats(), code=coded("BID", "TID", "Q6H", "QOD", "AM"))
    rate = maybe(
        type=coded("ordered", "calculated"),
        doseQuantity=quantities(),
        doseRange=ranges(),
        rateQuantity=quantities(),
        rateRange=ranges(),
        rateRatio=ratios(),
    )
    return maybe(
        sequence=st.integers(1, 3),
        text=NOTES,
        additionalInstruction=st.lists(NOTES.map(lambda text: {"text": text}), max_size=2),
        patientInstruction=NOTES,
        timing=timing,
        asNeededBoolean=st.booleans(),
        asNeededCodeableConcept=named("wheezing"),
        site=named("left arm"),
        route=named("by mouth"),
        method=named("inject"),
        doseAndRate=st.lists(rate, max_size=2),
        maxDosePerPeriod=ratios(),
        maxDosePerAdministration=quantities(),
        maxDosePerLifetime=quantities(),
    )


@cache
def values() -> st.SearchStrategy[Element]:
    """One `value[x]` of an Observation, of every type that R4 allows, or the reason for none."""
    words = st.sampled_from(["<0.01", "GREATER THAN 10000", "1:640", "positive", "12,5", "++", "", "see note 7"])
    sampled = maybe(origin=quantities(), period=NUMBERS, dimensions=st.just(1), data=st.just("2 4 E"))
    return st.one_of(
        quantities().map(lambda value: {"valueQuantity": value}),
        named("Streptococcus").map(lambda value: {"valueCodeableConcept": value}),
        words.map(lambda value: {"valueString": value}),
        st.booleans().map(lambda value: {"valueBoolean": value}),
        st.integers(-5, 9000).map(lambda value: {"valueInteger": value}),
        ranges().map(lambda value: {"valueRange": value}),
        ratios().map(lambda value: {"valueRatio": value}),
        sampled.map(lambda value: {"valueSampledData": value}),
        st.sampled_from(["07:30:00", "23:59"]).map(lambda value: {"valueTime": value}),
        MOMENTS.map(lambda value: {"valueDateTime": value}),
        periods().map(lambda value: {"valuePeriod": value}),
        coded("unknown", "error", "not-performed").map(lambda value: {"dataAbsentReason": value}),
        st.just({}),
    )
