"""The metrics page, from the catalogue that is also the allow-list of what a process may export."""

import re

from docs._generate.markdown import cell, code, page, table
from shared.telemetry.metric_definitions import METRICS


def render() -> str:
    """Return the page."""
    rows = [
        (
            code(metric.name),
            metric.kind,
            code(metric.unit),
            cell(metric.description),
            ", ".join(code(name) for name in metric.attributes),
            code(prometheus_name(metric.name, metric.kind, metric.unit)),
        )
        for metric in sorted(METRICS, key=lambda metric: metric.name)
    ]
    intro = (
        "Services export these by OTLP; nothing else leaves a process. Names follow the OpenTelemetry semantic "
        "conventions where one exists; `countersign.*` is specific to Countersign. The last column is the name in "
        "Prometheus. How to switch export on: [Telemetry](../../how-to/telemetry.md).\n"
    )
    heads = ("Metric", "Kind", "Unit", "Meaning", "Attributes", "In Prometheus")
    return page(
        "Metrics", "operators who build dashboards and alerts", "the metric catalogue", intro, table(heads, rows)
    )


def prometheus_name(name: str, kind: str, unit: str) -> str:
    """Return the name under which Prometheus stores the OTLP metric."""
    base = re.sub(r"\W", "_", name)
    if unit == "s":
        base += "_seconds"
    if kind == "counter":
        return f"{base}_total"
    return f"{base}_bucket" if kind == "histogram" else base
