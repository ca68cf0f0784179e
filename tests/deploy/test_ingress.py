"""Every route and page of the three services that people and machines reach is led to its service by the Ingress."""

import pytest
import yaml

from tests.deploy.charts import ROOT, Thing, rendered
from tests.deploy.test_proxy_routes import ROUTES

MANIFEST = ROOT / "deploy/k8s/components/ingress/ingress.yaml"


def service_of(path: str, rules: dict[str, tuple[str, str]]) -> str:
    """Return the service of a path: the longest that fits, element by element (the Ingress's own rule)."""
    fitting = [
        prefix
        for prefix, (kind, _) in rules.items()
        if path == prefix or (kind == "Prefix" and f"{path}/".startswith(f"{prefix.rstrip('/')}/"))
    ]
    return rules[max(fitting, key=len)][1]


def rules_of(ingress: Thing) -> dict[str, tuple[str, str]]:
    (rule,) = ingress["spec"]["rules"]
    return {item["path"]: (item["pathType"], item["backend"]["service"]["name"]) for item in rule["http"]["paths"]}


@pytest.mark.parametrize("service", ["approval", "ingest", "evaluator"])
def test_every_route_is_led_to_its_service(service: str) -> None:
    rules = rules_of(yaml.safe_load(MANIFEST.read_text()))
    assert ROUTES[service]
    assert [path for path in ROUTES[service] if service_of(path, rules) != service] == []


def test_the_chart_has_the_same_rules() -> None:
    (ingress,) = [item for item in rendered("chart/every-option") if item["kind"] == "Ingress"]
    assert rules_of(ingress) == rules_of(yaml.safe_load(MANIFEST.read_text()))
