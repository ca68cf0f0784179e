"""The dashboards, one module each. Metrics are those of `shared/telemetry/metric_definitions.py`, as Prometheus spells them."""

from tools.grafana.dashboards import bus, cases, inference, knowledge, reviews

DASHBOARDS = {"cases": cases, "reviews": reviews, "knowledge": knowledge, "inference": inference, "bus": bus}
