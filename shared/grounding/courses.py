"""Measurements of the record by test: each value with its day, its place in the course, and whether it was normal."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

from shared.contracts.context import EncounterContext, Measurement, Series
from shared.grounding import analytes
from shared.grounding.analytes import Analyte
from shared.grounding.figures import Figure, figures
from shared.grounding.vocabulary import joined


@dataclass(frozen=True, slots=True)
class Point:
    """One value. `places`: which it is of the course (first, last, highest, lowest)."""

    figure: Figure | None
    text: str
    time: datetime
    on: date | None
    flag: str
    source: str
    places: frozenset[str]


@dataclass(frozen=True, slots=True)
class Course:
    """The values of one test in order of time; `whole`: whether all values are here."""

    id: str
    name: str
    points: tuple[Point, ...]
    whole: bool
    judged: bool
    range: str

    @property
    def flags(self) -> frozenset[str]:
        return frozenset(point.flag for point in self.points)

    @property
    def told(self) -> str:
        """For a person: `Potassium 3.1 mmol/L (low), then 4.2 mmol/L`."""
        values = (f"{point.text} ({point.flag})" if point.flag else point.text for point in self.points)
        return f"{self.name.partition(' [')[0]} {', then '.join(values)}"


def courses(context: EncounterContext) -> dict[str, list[Course]]:
    """The series of the record by the test they are of."""
    found: dict[str, list[Course]] = {}
    for series in (*context.labs, *context.vitals):
        id = id_of(series)
        found.setdefault(id, []).append(_course(id, series))
    return found


@cache
def _plain_names() -> dict[str, str]:
    return {joined(name): id for name, id in analytes.names().items()}


def id_of(series: Series) -> str:
    """The test's id; of an unknown test the first part of its name."""
    name = analytes.core(series.name)
    known = _plain_names()
    return known.get(joined(name)) or known.get(joined(series.name)) or name


def analyte(id: str) -> Analyte:
    """The test, or one that is known by its name only."""
    return analytes.analytes().get(id) or Analyte(id, (id,))


def _course(id: str, series: Series) -> Course:
    given = (series.first, series.worst, series.lowest, series.highest, series.last)
    unique = {(item.time, item.value): item for item in given if item is not None}
    ordered = sorted(unique.values(), key=lambda item: item.time)
    read = [_figure(item.value) for item in ordered]
    numbers = [figure.value for figure in read if figure is not None]
    points = tuple(
        _point(item, figure, index, len(ordered), numbers)
        for index, (item, figure) in enumerate(zip(ordered, read, strict=True))
    )
    return Course(id, series.name, points, series.count <= len(points), series.judged, series.range or "")


def _figure(text: str) -> Figure | None:
    return next(iter(figures(text)), None)


def _point(item: Measurement, figure: Figure | None, index: int, size: int, numbers: list[float]) -> Point:
    places = {"first"} if index == 0 else set()
    if index == size - 1:
        places.add("last")
    if figure is not None and figure.value == max(numbers):
        places.add("highest")
    if figure is not None and figure.value == min(numbers):
        places.add("lowest")
    try:
        on = date.fromisoformat(item.on[:10]) if item.on else item.time.date()
    except ValueError:
        on = None
    return Point(figure, item.value, item.time, on, item.flag or "", item.source, frozenset(places))
