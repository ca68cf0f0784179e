"""Measurements of the record by test: each value with its day, its position in the series, and its flag."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

from shared.contracts.context import EncounterContext, Measurement, ObservationSeries
from shared.grounding import analytes
from shared.grounding.analytes import Analyte
from shared.grounding.quantities import Quantity, find_quantities
from shared.grounding.vocabulary import normalized_name


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """One value. `places` are its positions in the series: first, last, highest, lowest."""

    quantity: Quantity | None
    text: str
    time: datetime
    on: date | None
    flag: str
    source: str
    places: frozenset[str]


@dataclass(frozen=True, slots=True)
class MeasurementSeries:
    """The values of one test in order of time. `is_complete`: the context has dropped none of them."""

    id: str
    name: str
    points: tuple[SeriesPoint, ...]
    is_complete: bool
    judged: bool
    range: str

    @property
    def flags(self) -> frozenset[str]:
        return frozenset(point.flag for point in self.points)

    @property
    def description(self) -> str:
        """Return the series as text: `Potassium 3.1 mmol/L (low), then 4.2 mmol/L`."""
        values = (f"{point.text} ({point.flag})" if point.flag else point.text for point in self.points)
        return f"{self.name.partition(' [')[0]} {', then '.join(values)}"


def read_series(context: EncounterContext) -> dict[str, list[MeasurementSeries]]:
    """Return the series of the record by test."""
    found: dict[str, list[MeasurementSeries]] = {}
    for series in (*context.labs, *context.vitals):
        id = id_of(series)
        found.setdefault(id, []).append(_build_series(id, series))
    return found


@cache
def _plain_names() -> dict[str, str]:
    return {normalized_name(name): id for name, id in analytes.analyte_names().items()}


def id_of(series: ObservationSeries) -> str:
    """Return the test's id; for an unknown test, the first part of its name."""
    name = analytes.core_name(series.name)
    known = _plain_names()
    return known.get(normalized_name(name)) or known.get(normalized_name(series.name)) or name


def analyte(id: str) -> Analyte:
    """Return the test with this id; an unknown one has its name only."""
    return analytes.analytes().get(id) or Analyte(id, (id,))


def _build_series(id: str, series: ObservationSeries) -> MeasurementSeries:
    given = (series.first, series.worst, series.lowest, series.highest, series.last)
    unique = {(item.time, item.value): item for item in given if item is not None}
    ordered = sorted(unique.values(), key=lambda item: item.time)
    read = [_first_quantity(item.value) for item in ordered]
    numbers = [quantity.value for quantity in read if quantity is not None]
    points = tuple(
        _series_point(item, quantity, index, len(ordered), numbers)
        for index, (item, quantity) in enumerate(zip(ordered, read, strict=True))
    )
    return MeasurementSeries(id, series.name, points, series.count <= len(points), series.judged, series.range or "")


def _first_quantity(text: str) -> Quantity | None:
    return next(iter(find_quantities(text)), None)


def _series_point(
    item: Measurement, quantity: Quantity | None, index: int, size: int, numbers: list[float]
) -> SeriesPoint:
    places = {"first"} if index == 0 else set()
    if index == size - 1:
        places.add("last")
    if quantity is not None and quantity.value == max(numbers):
        places.add("highest")
    if quantity is not None and quantity.value == min(numbers):
        places.add("lowest")
    try:
        on = date.fromisoformat(item.on[:10]) if item.on else item.time.date()
    except ValueError:
        on = None
    return SeriesPoint(quantity, item.value, item.time, on, item.flag or "", item.source, frozenset(places))
