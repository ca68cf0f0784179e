"""Facts of laboratory tests and vital signs: first, last, highest, their course, what they are called."""

from collections.abc import Iterator
from random import Random

from shared.contracts.context import EncounterContext, Measurement, ObservationSeries
from tests.claims.model import Fact, Plant, Wording
from tests.claims.stay import day_of
from tests.claims.values import VITAL, Test, plain, quantity, test_of, written

OTHER_UNITS = {
    "g/dL": "mg/dL",
    "mg/dL": "g/dL",
    "mmol/L": "mg/L",
    "/µL": "/L",
    "10^3/µL": "/µL",
    "U/L": "mg/dL",
    "mg/L": "g/L",
    "pg/mL": "mg/mL",
    "kg": "lb",
    "g": "kg",
}
# Test, direction -> key of `Wording.findings`.
FINDINGS = {
    ("wbc", "high"): "leukocytosis",
    ("wbc", "low"): "leukopenia",
    ("hgb", "low"): "anemia",
    ("plt", "low"): "thrombocytopenia",
    ("na", "low"): "hyponatremia",
    ("na", "high"): "hypernatremia",
    ("k", "low"): "hypokalemia",
    ("k", "high"): "hyperkalemia",
    ("glc", "high"): "hyperglycemia",
    ("alb", "low"): "hypoalbuminemia",
    ("temp", "high"): "fever",
    ("ca", "low"): "hypocalcemia",
}


def facts(context: EncounterContext, wording: Wording, random: Random) -> Iterator[Fact]:
    """Of each series whose test is known and that stands once in the record with a number."""
    known = [(test, series) for series in (*context.labs, *context.vitals) if (test := test_of(series.name))]
    keys = [test.key for test, _ in known]
    told = " ".join(item.text for item in context.contradictions)
    for test, series in known:
        if series.name.partition(" [")[0] in told:
            continue
        in_time = near(series.first.on, context.start_on) and near(series.last.on, context.end_on)
        if in_time and keys.count(test.key) == 1 and quantity(series.first.value) and quantity(series.last.value):
            yield from _of(test, series, set(keys), wording, random)


def near(on: str | None, other: str | None) -> bool:
    """Whether two days are the same or follow each other: what "on admission" and "at discharge" stand for."""
    one, two = day_of(on), day_of(other)
    return one is not None and two is not None and abs((one - two).days) <= 1


def _of(test: Test, series: ObservationSeries, keys: set[str], wording: Wording, random: Random) -> Iterator[Fact]:
    name = random.choice(wording.tests[test.key])
    first = random.choice(written(test, series.first.value))
    yield _single("first", test, series, series.first, first, keys, wording, random)
    if series.count > 1 and series.last.value != series.first.value:
        last = random.choice(written(test, series.last.value))
        yield _single("last", test, series, series.last, last, keys, wording, random)
        yield from _course(test, series, name, random)
    if peak := _peak(series):
        value = random.choice(written(test, peak.value))
        plants = (Plant("number", "contradicted", {"value": _changed(value, series, test)}),)
        yield Fact("peak", {"test": name, "value": value, "date": _date(peak)}, plants)
    yield from _named(test, series, wording, random)


def _single(
    kind: str,
    test: Test,
    series: ObservationSeries,
    item: Measurement,
    value: str,
    keys: set[str],
    wording: Wording,
    random: Random,
) -> Fact:
    """The first or last value, with the plants that a single value can have."""
    slots = {"test": random.choice(wording.tests[test.key]), "value": value}
    if item.on and len(item.on) == 10:
        slots["date"] = _date(item)
    plants = [Plant("number", "contradicted", {"value": _changed(value, series, test)})]
    raw = written(test, item.value)[0]
    number, _, unit = raw.partition(" ")
    if unit in OTHER_UNITS:
        plants.append(Plant("unit", "contradicted", {"value": f"{number} {OTHER_UNITS[unit]}"}))
    others = [key for key in sorted(keys) if key != test.key and (key in VITAL) == (test.key in VITAL)]
    if others and unit not in ("°C", "kg"):
        other = random.choice(wording.tests[random.choice(others)])
        plants.append(Plant("number of another test", "contradicted", {"test": other}))
    opposite = series.last if kind == "first" else series.first
    if series.count > 1 and _apart(series.first, series.last):
        kind_of = "last value as first" if kind == "first" else "first value as last"
        plants.append(Plant(kind_of, "contradicted", {"value": written(test, opposite.value)[0]}))
    return Fact(f"{'vital ' if test.key in VITAL else ''}{kind}", slots, tuple(plants))


def _course(test: Test, series: ObservationSeries, name: str, random: Random) -> Iterator[Fact]:
    """Rose or fell from the first to the last value, where the difference is plain."""
    if test.key == "weight" or not _apart(series.first, series.last):
        return
    ways = list(zip(written(test, series.first.value), written(test, series.last.value), strict=False))
    first, last = random.choice(ways)
    rose = _number(series.last) > _number(series.first)
    right, wrong = ("rise", "fall") if rose else ("fall", "rise")
    swapped = {"first": last, "last": first}
    plants = (
        Plant("temporal order", "contradicted", swapped, type=wrong),
        Plant("direction", "contradicted", type=f"{wrong} plain"),
    )
    yield Fact(right, {"test": name, "first": first, "last": last}, plants)
    if series.worst is None and series.highest is None and series.lowest is None:
        yield Fact(f"{right} plain", {"test": name}, (Plant("direction", "contradicted", type=f"{wrong} plain"),))


def _named(test: Test, series: ObservationSeries, wording: Wording, random: Random) -> Iterator[Fact]:
    """What an abnormal value is called: only of a series that is out of range to one side."""
    flags = {item.flag for item in (series.first, series.last, series.worst) if item and item.flag}
    sides = {flag.rpartition(" ")[2] for flag in flags} & {"low", "high"}
    if len(sides) != 1:
        return
    side = sides.pop()
    key, opposite = FINDINGS.get((test.key, side)), FINDINGS.get((test.key, "low" if side == "high" else "high"))
    if key is None:
        return
    name = random.choice(wording.findings[key])
    plants = [Plant("negation", "contradicted", {"finding": name}, type="no finding")]
    if opposite:
        plants.append(Plant("finding reversed", "contradicted", {"finding": random.choice(wording.findings[opposite])}))
    test_name = random.choice(wording.tests[test.key])
    right_way, wrong_way = (_way(wording, way, random) for way in (side, "low" if side == "high" else "high"))
    yield Fact("finding", {"finding": name}, tuple(plants))
    plant = Plant("finding reversed", "contradicted", {"way": wrong_way})
    normal = Plant("finding reversed", "contradicted", {"way": _way(wording, "normal", random)}, type="way plain")
    yield Fact("way", {"test": test_name, "way": right_way}, (plant, normal))


def _way(wording: Wording, way: str, random: Random) -> str:
    """How a wording calls a value that is high, low or normal."""
    usual = {"high": "elevated", "low": "low", "normal": "normal throughout"}
    return random.choice(wording.ways[way]) if way in wording.ways else usual[way]


def _peak(series: ObservationSeries) -> Measurement | None:
    """The highest value, where the record marks it as such and it is neither the first nor the last."""
    item = series.highest or series.worst
    if item is None or not quantity(item.value) or not item.on or len(item.on) != 10:
        return None
    return item if _number(item) > max(_number(series.first), _number(series.last)) else None


def _number(item: Measurement) -> float:
    found = quantity(item.value)
    return found[0] if found else 0.0


def _apart(one: Measurement, other: Measurement) -> bool:
    """Whether two values differ by more than what rounding or a look would forgive."""
    a, b = _number(one), _number(other)
    return abs(a - b) > 0.08 * max(abs(a), abs(b))


def _changed(value: str, series: ObservationSeries, test: Test) -> str:
    """A number that no value of the series has, in the same unit and with as many digits."""
    number, space, unit = value.partition(" ")
    figure = float(number.rstrip("%"))
    digits = len(number.rstrip("%").partition(".")[2])
    taken = {
        way
        for item in (series.first, series.last, series.worst, series.highest, series.lowest)
        if item
        for way in written(test, item.value)
    }
    for factor in (1.09, 1.16, 1.31, 0.85) if test.key in ("temp", "spo2") else (1.45, 1.62, 1.9, 0.6):
        factor = 2 - factor if test.key == "spo2" else factor
        wrong = f"{figure * factor:.{digits}f}{'%' if number.endswith('%') else ''}{space}{unit}"
        if wrong not in taken:
            return wrong
    return plain(figure * 3) + space + unit


def _date(item: Measurement) -> str:
    return f"{item.time:%B} {item.time.day}, {item.time.year}"
