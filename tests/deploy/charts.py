"""Renderings of the Helm chart, each with the kustomize rendering that it must be equal to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from tools.helm.combine import identity

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/countersign"
NAMESPACE_LABELS = {"pod-security.kubernetes.io/enforce": "restricted"}  # the guide's `kubectl label namespace`

Thing = dict[str, Any]
# What production mode requires and every hospital has its own of.
ADDRESSES = {
    "COUNTERSIGN_EHR_URL": "https://ehr.example.org/fhir",
    "COUNTERSIGN_PUBLIC_URL": "https://countersign.example.org",
    "COUNTERSIGN_OIDC_ISSUER": "https://id.example.org",
    "COUNTERSIGN_OIDC_CLIENT_ID": "countersign",
}
EVERY_OPTION = {
    option: {"enabled": True} for option in ("hl7", "fhirEvents", "signOn", "mdm", "ingress", "certificate")
}


@dataclass(frozen=True)
class Rendering:
    files: tuple[str, ...]  # values-….yaml
    resource: str  # of deploy/k8s
    components: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = "countersign"


RENDERINGS = {
    "chart/default": Rendering((), "overlays/small"),
    "chart/production": Rendering(("production",), "overlays/production", values={"config": ADDRESSES}),
    "chart/vllm": Rendering(("production", "vllm"), "overlays/vllm", values={"config": ADDRESSES}),
    "chart/hospital": Rendering(("production", "hospital"), "tenants/example", namespace="hospital-example"),
    "chart/every-option": Rendering(
        ("production", "vllm"),
        "overlays/vllm",
        ("hl7", "fhir-events", "sign-on", "mdm", "ingress", "certificate"),
        {"config": ADDRESSES} | EVERY_OPTION,
    ),
}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge values as Helm does: mappings by key, all else replaced."""
    found = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def values_of(files: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in files:
        found = merged(found, yaml.safe_load((CHART / f"values-{file}.yaml").read_text()))
    return merged(found, values)


def render(values: Mapping[str, Any], namespace: str = "countersign") -> list[Thing]:
    """Return the objects that Helm would install. Raises helm_python.HelmError where it refuses the values."""
    return [
        item
        for name, text in texts(values, namespace).items()
        if not name.endswith("NOTES.txt")
        for item in yaml.safe_load_all(text)
        if item
    ]


def texts(values: Mapping[str, Any], namespace: str = "countersign") -> dict[str, str]:
    with helm_python.Chart.load(CHART) as chart:
        return chart.render(dict(values), name="countersign", namespace=namespace)


@cache
def rendered(name: str) -> list[Thing]:
    """Return a rendering by name, in the namespace that its user has created."""
    rendering = RENDERINGS[name]
    metadata = {"name": rendering.namespace, "labels": NAMESPACE_LABELS}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return [namespace, *render(values_of(rendering.files, rendering.values), rendering.namespace)]


def flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of an object by its path, so that a difference is one line."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from flat(value, f"{path}/{key}")
    elif isinstance(node, list) and node:
        for index, value in enumerate(node):
            yield from flat(value, f"{path}/{identity(value) if isinstance(value, dict) else index}")
    else:
        yield path, node
