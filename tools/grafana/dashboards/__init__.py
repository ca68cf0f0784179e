"""The dashboards, one module each. Metrics are those of `shared/telemetry/metric_definitions.py`, as Prometheus spells them."""

from tools.grafana.dashboards import bus, cases, drafters, inference, knowledge, reviews

DASHBOARDS = {
    "cases": cases,
    "reviews": reviews,
    "drafters": drafters,
    "knowledge": knowledge,
    "inference": inference,
    "bus": bus,
}
