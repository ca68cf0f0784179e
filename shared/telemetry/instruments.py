"""Record metrics by their defined names.

Costs almost nothing until a meter is installed (`shared.runtime.telemetry`).
"""

from collections.abc import Iterable, Mapping
from functools import partial
from threading import Lock
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from shared.telemetry.metric_definitions import METRICS, Metric

Attributes = Mapping[str, str | int | bool]

AttributeKey = tuple[str | int | bool | None, ...]  # the values of a metric's attributes, in order

_METRICS_BY_NAME = {metric.name: metric for metric in METRICS}
_instruments: dict[str, Any] = {}  # instruments by name; empty while nothing is exported
# Current values of gauges and counters, which the SDK reads when it exports: its own counters
# aggregate at each increment (`make bench-telemetry`).
_values: dict[str, dict[AttributeKey, float]] = {}
_reported_zero: set[tuple[str, AttributeKey]] = set()  # counter series that were exported as 0
_lock = Lock()


def install(meter: Meter | None) -> None:
    """Record into `meter` from now on; with None, record nothing."""
    _instruments.clear()
    _values.clear()
    _reported_zero.clear()
    if meter is not None:
        _instruments.update({metric.name: _make(meter, metric) for metric in METRICS})


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
    current = list(_values.get(metric.name, {}).items())  # called in the exporter's thread
    observed = [
        (place, value if metric.kind == "gauge" or (metric.name, place) in _reported_zero else 0)
        for place, value in current
    ]
    _reported_zero.update((metric.name, place) for place, _ in current)
    return [Observation(value, _to_attributes(metric, place)) for place, value in observed]


def _to_attributes(metric: Metric, place: AttributeKey) -> dict[str, str | int | bool]:
    return {name: value for name, value in zip(metric.attributes, place, strict=True) if value is not None}


def metrics_enabled() -> bool:
    """Return whether metrics are recorded, for values that are expensive to compute."""
    return bool(_instruments)


def increment(name: str, value: int = 1, attributes: Attributes | None = None) -> None:
    """Add `value` to a counter.

    A new series is exported as 0 once and then with its value: Prometheus sees no increase in a series that begins at
    1, such as a department's first discharge.
    """
    if _instruments:
        place = _attribute_key(name, attributes)
        with _lock:  # notifications are sent, and counted, in threads
            standing = _values.setdefault(name, {})
            standing[place] = standing.get(place, 0) + value


def observe(name: str, value: float, attributes: Attributes | None = None) -> None:
    """Record one value of a histogram."""
    if _instruments:
        metric = _METRICS_BY_NAME[name]
        _instruments[name].record(value, _to_attributes(metric, _attribute_key(name, attributes)))


def set_gauge(name: str, value: float, attributes: Attributes | None = None) -> None:
    """Set the gauge to `value`."""
    if _instruments:
        _values.setdefault(name, {})[_attribute_key(name, attributes)] = value


def replace_gauge(name: str, values: Iterable[tuple[Attributes, float]]) -> None:
    """Replace all series of a gauge: those that are not among `values` are no longer exported."""
    if _instruments:
        _values[name] = {_attribute_key(name, attributes): value for attributes, value in values}


def _attribute_key(name: str, attributes: Attributes | None) -> AttributeKey:
    """Return the values of the attributes that the metric defines; others are dropped, as they could be anything."""
    given = attributes or {}
    return tuple([given.get(attribute) for attribute in _METRICS_BY_NAME[name].attributes])
