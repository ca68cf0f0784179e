"""Recording by the catalogue's names. Nearly free until a process installs a meter (`shared.runtime.telemetry`)."""

from collections.abc import Iterable, Mapping
from functools import partial
from threading import Lock
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from shared.telemetry.catalogue import METRICS, Metric

Attributes = Mapping[str, str | int | bool]

Place = tuple[str | int | bool | None, ...]  # what an observation says of each attribute of its metric

_CATALOGUE = {metric.name: metric for metric in METRICS}
_installed: dict[str, Any] = {}  # instruments by name; empty while nothing is exported
# What each gauge stands at, and what each counter has come to. The SDK asks for it when it exports: its own counters
# aggregate at each count (`make bench-telemetry`).
_standing: dict[str, dict[Place, float]] = {}
_begun: set[tuple[str, Place]] = set()  # series of counters that have been told to begin
_counting = Lock()


def install(meter: Meter | None) -> None:
    """Record into `meter` from now on; None: record nothing."""
    _installed.clear()
    _standing.clear()
    _begun.clear()
    if meter is not None:
        _installed.update({metric.name: _make(meter, metric) for metric in METRICS})


def _make(meter: Meter, metric: Metric) -> Any:
    read = partial(_observe, metric)
    match metric.kind:
        case "counter":
            return meter.create_observable_counter(metric.name, [read], metric.unit, metric.description)
        case "histogram":
            return meter.create_histogram(
                metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
            )
        case "gauge":
            return meter.create_observable_gauge(metric.name, [read], metric.unit, metric.description)


def _observe(metric: Metric, _: CallbackOptions) -> Iterable[Observation]:
    found = list(_standing.get(metric.name, {}).items())  # this is another thread than the one that counts
    told = [(place, value if metric.kind == "gauge" or (metric.name, place) in _begun else 0) for place, value in found]
    _begun.update((metric.name, place) for place, _ in found)
    return [Observation(value, _named(metric, place)) for place, value in told]


def _named(metric: Metric, place: Place) -> dict[str, str | int | bool]:
    return {name: value for name, value in zip(metric.attributes, place, strict=True) if value is not None}


def measuring() -> bool:
    """Whether anybody listens: for figures that cost something to come by."""
    return bool(_installed)


def add(name: str, value: int = 1, attributes: Attributes | None = None) -> None:
    """Count. A series is told as 0 once and then as what it stands at: Prometheus sees no increase in a series that
    begins at 1, such as a department's first discharge. With 0 it begins before anything has happened.
    """
    if _installed:
        place = _place(name, attributes)
        with _counting:  # messages to people are sent, and counted, in threads
            standing = _standing.setdefault(name, {})
            standing[place] = standing.get(place, 0) + value


def record(name: str, value: float, attributes: Attributes | None = None) -> None:
    """One observation of a histogram."""
    if _installed:
        metric = _CATALOGUE[name]
        _installed[name].record(value, _named(metric, _place(name, attributes)))


def level(name: str, value: float, attributes: Attributes | None = None) -> None:
    """What a gauge stands at from now on."""
    if _installed:
        _standing.setdefault(name, {})[_place(name, attributes)] = value


def levels(name: str, values: Iterable[tuple[Attributes, float]]) -> None:
    """All that a gauge stands at from now on: what is not among `values` is not told any more."""
    if _installed:
        _standing[name] = {_place(name, attributes): value for attributes, value in values}


def _place(name: str, attributes: Attributes | None) -> Place:
    """By the attributes that the catalogue gives this metric; others are left out: they could be anything."""
    given = attributes or {}
    return tuple([given.get(attribute) for attribute in _CATALOGUE[name].attributes])
