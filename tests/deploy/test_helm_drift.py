"""The chart's objects are those of the kustomize manifests, one by one and value by value (docs/adr/0058)."""

import json
import re
from functools import cache
from typing import Any

import pytest

from tests.deploy.charts import RENDERINGS, Thing, flat, render, rendered
from tools.helm import kustomize
from tools.helm.chart import HEADER, TEMPLATES, Part, parts, templates
from tools.helm.combine import identity
from tools.helm.options import COMPONENTS, SERVICES, places
from tools.helm.places import camel

pytestmark = pytest.mark.system

ADDED_LABELS = ("helm.sh/chart", *(f"app.kubernetes.io/{name}" for name in ("managed-by", "instance", "version")))
ADDED_ANNOTATIONS = ("checksum/config", "helm.sh/resource-policy")
HASH = re.compile(r"^(provision|otel-collector)-[0-9a-z]{10}$")  # Helm's hash of the Job, kustomize's of the ConfigMap
ALONE = sorted(set(COMPONENTS) - {"vllm", "batch-evaluation"})  # these need others: `chart/vllm`, `chart/production`


def comparable(node: Any) -> Any:
    """An object without what Helm adds, and with lists of named items in one order."""
    if isinstance(node, dict):
        found = {key: comparable(value) for key, value in node.items() if key not in ADDED_LABELS + ADDED_ANNOTATIONS}
        return {key: value for key, value in found.items() if (key, value) not in (("labels", {}), ("annotations", {}))}
    if isinstance(node, list):
        items = [comparable(item) for item in node]
        return sorted(items, key=identity) if all(isinstance(item, dict) for item in items) else items
    return HASH.sub(r"\1", node) if isinstance(node, str) else node


@cache
def combined() -> list[Part]:
    return parts()


def differences(chart: list[Thing], manifests: list[Thing]) -> list[str]:
    sides: list[dict[str, Any]] = []
    for objects in (chart, manifests):
        parts = [comparable(item) for item in objects if item["kind"] != "Namespace"]
        named = {f"{item['kind']} {item['metadata']['name']}": item for item in parts}
        assert len(named) == len(parts), "no object is there twice"
        sides.append({path: value for name, item in named.items() for path, value in flat(item, name)})
    ours, theirs = sides
    changed = sorted(path for path in ours.keys() | theirs.keys() if ours.get(path, ...) != theirs.get(path, ...))
    return [f"{path}: {ours.get(path, 'nothing')!r}, kustomize {theirs.get(path, 'nothing')!r}" for path in changed]


def manifests_of(name: str) -> list[Thing]:
    rendering = RENDERINGS[name]
    found = kustomize.render(rendering.resource, rendering.components, rendering.namespace)
    for item in found:
        if (item["kind"], item["metadata"]["name"]) == ("ConfigMap", "countersign"):
            item["data"] |= rendering.values.get("config", {})
    # The first hospital's release has the PriorityClasses of the cluster.
    return [item for item in found if not (name == "chart/hospital" and item["kind"] == "PriorityClass")]


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_chart_renders_the_objects_of_kustomize(name: str) -> None:
    assert differences(rendered(name), manifests_of(name)) == []


@pytest.mark.parametrize("component", ALONE)
def test_each_option_alone_is_its_component(component: str) -> None:
    option = camel(component)
    manifests = kustomize.render("overlays/small", [component], "countersign")
    for item in manifests:
        if component == "keda" and item["kind"] == "Deployment" and item["metadata"]["name"] in SERVICES:
            del item["spec"]["replicas"]  # as overlays/production does
    assert differences(render({option: {"enabled": True}}), manifests) == []


def test_a_difference_is_found_and_named() -> None:
    chart, manifests = rendered("chart/default"), manifests_of("chart/default")
    changed = json.loads(json.dumps(chart))
    (service,) = [item for item in changed if (item["kind"], item["metadata"]["name"]) == ("Deployment", "approval")]
    container = service["spec"]["template"]["spec"]["containers"][0]
    container["env"][0]["value"] = "other"
    del container["readinessProbe"]["timeoutSeconds"]
    changed.remove(next(item for item in changed if item["kind"] == "PodDisruptionBudget"))
    found = differences(changed, manifests)
    assert any("env/OTEL_SERVICE_NAME/value: 'other', kustomize 'approval'" in line for line in found)
    assert any("readinessProbe/timeoutSeconds: 'nothing', kustomize 3" in line for line in found)
    assert any(line.startswith("PodDisruptionBudget") for line in found)


def test_the_templates_follow_from_the_manifests() -> None:
    expected = templates(combined())
    for name, text in expected.items():
        assert (TEMPLATES / name).read_text() == text, f"{name}: run `python -m tools.helm`"
    generated = {path.name for path in TEMPLATES.iterdir() if path.read_text().startswith(HEADER)}
    assert generated == expected.keys(), "none is left over"


def test_every_component_is_an_option_and_every_value_has_its_place() -> None:
    assert {path.name for path in (kustomize.K8S / "components").iterdir()} == COMPONENTS.keys()
    known = {key for key, _, _ in combined()}
    assert {(kind, name) for kind, name, _, _ in places()} <= known
