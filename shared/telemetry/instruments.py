"""Recording by the catalogue's names. Nearly free until a process installs a meter (`shared.runtime.telemetry`)."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from shared.telemetry.catalogue import METRICS, Metric

Attributes = Mapping[str, str | int | bool]

_CATALOGUE = {metric.name: metric for metric in METRICS}
_installed: dict[str, Any] = {}  # instruments by name; empty while nothing is exported
_levels: dict[str, dict[tuple[tuple[str, str | int | bool], ...], float]] = {}  # what each gauge stands at


def install(meter: Meter | None) -> None:
    """Record into `meter` from now on; None: record nothing."""
    _installed.clear()
    _levels.clear()
    if meter is not None:
        _installed.update({metric.name: _make(meter, metric) for metric in METRICS})


def _make(meter: Meter, metric: Metric) -> Any:
    match metric.kind:
        case "counter":
            return meter.create_counter(metric.name, metric.unit, metric.description)
        case "histogram":
            return meter.create_histogram(
                metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
            )
        case "gauge":
            read = partial(_observe, metric.name)
            return meter.create_observable_gauge(metric.name, [read], metric.unit, metric.description)


def _observe(name: str, _: CallbackOptions) -> Iterable[Observation]:
    return [Observation(value, dict(attributes)) for attributes, value in list(_levels.get(name, {}).items())]


def measuring() -> bool:
    """Whether anybody listens: for figures that cost something to come by."""
    return bool(_installed)


def add(name: str, value: int = 1, attributes: Attributes | None = None) -> None:
    """Count. With 0 the series begins to exist, so that its first increase is seen as one."""
    if _installed:
        _installed[name].add(value, _checked(name, attributes))


def record(name: str, value: float, attributes: Attributes | None = None) -> None:
    """One observation of a histogram."""
    if _installed:
        _installed[name].record(value, _checked(name, attributes))


def level(name: str, value: float, attributes: Attributes | None = None) -> None:
    """What a gauge stands at from now on."""
    if _installed:
        _levels.setdefault(name, {})[_key(name, attributes)] = value


def levels(name: str, values: Iterable[tuple[Attributes, float]]) -> None:
    """All that a gauge stands at from now on: what is not among `values` is not told any more."""
    if _installed:
        _levels[name] = {_key(name, attributes): value for attributes, value in values}


def _key(name: str, attributes: Attributes | None) -> tuple[tuple[str, str | int | bool], ...]:
    return tuple(sorted(_checked(name, attributes).items()))


def _checked(name: str, attributes: Attributes | None) -> Attributes:
    """Without what the catalogue does not give this metric: it could be anything."""
    allowed = _CATALOGUE[name].attributes
    return {key: value for key, value in (attributes or {}).items() if key in allowed}
