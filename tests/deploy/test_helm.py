"""What the Helm chart promises: values that are checked, and what Helm does differently from `kubectl apply`.

Its objects are held to kustomize's by `test_helm_drift.py`, and to the same policy by `test_k8s.py`, `test_names.py`.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import helm_python
import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.charts import (
    ADDRESSES,
    CHART,
    NAMESPACE_LABELS,
    RENDERINGS,
    ROOT,
    Thing,
    flat,
    merged,
    render,
    rendered,
    texts,
    values_of,
)
from tests.deploy.test_k8s import VERSIONS

PROVISION = "countersign/templates/provision.yaml"
GUIDE = ROOT / "docs/how-to/install-kubernetes.md"


def objects(name: str, kind: str) -> dict[str, Thing]:
    return {item["metadata"]["name"]: item for item in rendered(name) if item["kind"] == kind}


def test_the_version_is_that_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version
    assert chart["version"] == version


@pytest.mark.parametrize("name", RENDERINGS)
def test_helm_lint_finds_nothing(name: str) -> None:
    rendering = RENDERINGS[name]
    report = helm_python.lint(CHART, values_of(rendering.files, rendering.values), strict=True)
    assert report["errors"] == []
    assert [item["error"] for item in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("name", RENDERINGS)
def test_an_upgrade_provisions_first_and_is_otherwise_as_an_installation(name: str) -> None:
    rendering = RENDERINGS[name]
    values = values_of(rendering.files, rendering.values)
    place = {"name": "countersign", "namespace": rendering.namespace}
    with helm_python.Chart.load(CHART) as chart:
        installed, upgraded = chart.render(values, **place), chart.render(values, **place, is_upgrade=True, revision=7)
    assert {file for file, text in upgraded.items() if installed[file] != text} == {PROVISION}
    (job,) = [item for item in yaml.safe_load_all(installed[PROVISION]) if item]
    again, hook = [item for item in yaml.safe_load_all(upgraded[PROVISION]) if item]
    assert again == job
    assert "annotations" not in job["metadata"], "with --wait a hook after the installation would never run"
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    assert (hook["kind"], hook["spec"]) == ("Job", job["spec"])
    assert hook["metadata"]["name"] != job["metadata"]["name"]
    kubernetes_validate.validate(hook, VERSIONS[0], strict=True)


WRONG: tuple[tuple[Mapping[str, Any], str], ...] = (
    ({"mode": "prod"}, "at '/mode': value must be one of 'demo', 'production'"),
    ({"kedaa": {"enabled": True}}, "additional properties 'kedaa' not allowed"),
    ({"nats": {"replicas": 2}}, "at '/nats/replicas': value must be one of 1, 3"),
    ({"config": {"COUNTERSIGN_FHIR_POLL_SECONDS": 300}}, "got number, want string"),
    ({"config": {"countersign.url": "x"}}, "invalid propertyName 'countersign.url'"),
    ({"network": {"toHospital": {"cidrs": []}}}, "at '/network/toHospital/cidrs': minItems: got 0, want 1"),
    ({"services": {"evaluator": {"minReplicas": 0}}}, "at '/services/evaluator/minReplicas': minimum: got 0, want 1"),
    ({"images": {"nats": {"tag": "latest"}}}, "at '/images/nats/tag': 'latest' does not match pattern"),
    ({"qdrant": {"storage": {"size": "much"}}}, "at '/qdrant/storage/size': 'much' does not match pattern"),
    ({"mode": "production"}, "mode is production: set config.COUNTERSIGN_EHR_URL"),
    (
        {"mode": "production", "config": ADDRESSES | {"COUNTERSIGN_PUBLIC_URL": "http://a"}},
        "config.COUNTERSIGN_PUBLIC_URL must start with https://",
    ),
    (
        {"mode": "production", "config": ADDRESSES | {"COUNTERSIGN_OIDC_ISSUER": ""}},
        "mode is production: set config.COUNTERSIGN_OIDC_ISSUER",
    ),
    ({"batchEvaluation": {"enabled": True}}, "batchEvaluation.enabled needs keda.enabled"),
    ({"vllm": {"enabled": True}}, "vllm.enabled needs triton.gpu.enabled"),
    (
        {"vllm": {"enabled": True}, "triton": {"gpu": {"enabled": True}}},
        "vllm.enabled needs generationEndpoints.enabled",
    ),
    ({"services": {"ingest": {"minReplicas": 9}}}, "services.ingest.minReplicas is greater than its maxReplicas"),
    (
        {"config": {"COUNTERSIGN_OIDC_CLIENT_SECRET": "synthetic"}},
        "name its file by COUNTERSIGN_OIDC_CLIENT_SECRET_FILE",
    ),
    (
        {"services": {"drafter": {"extraEnv": [{"name": "COUNTERSIGN_EHR_TOKEN", "value": "synthetic"}]}}},
        "services.drafter.extraEnv: COUNTERSIGN_EHR_TOKEN would be a secret among the values",
    ),
)


@pytest.mark.parametrize(("values", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_wrong_values_are_refused_with_the_reason(values: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        render(values)
    assert sentence in str(refused.value)
    assert "synthetic" not in str(refused.value)


def test_the_schema_is_one_and_knows_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    jsonschema.validate(values, schema)


def test_every_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    for index, line in enumerate(lines):
        if re.match(r"[a-zA-Z]+:", line):
            assert lines[index - 1].startswith("#"), line


def test_values_contain_names_of_secrets_and_no_secret() -> None:
    for path in CHART.glob("values*.yaml"):
        for key, value in flat(yaml.safe_load(path.read_text())):
            assert not re.search(r"(?i)(password|seed$|token$|private)", key.rpartition("/")[2]), key
            if key.startswith("/secrets/"):
                assert re.fullmatch(r"countersign(-[a-z0-9]+)+", value), key
            elif not key.endswith("/digest"):
                assert not re.search(r"[A-Za-z0-9+/=_-]{40}|-----BEGIN", str(value)), key
    for name in RENDERINGS:
        assert objects(name, "Secret") == {}


def test_claims_with_backups_and_trails_outlive_the_release() -> None:
    claims = objects("chart/production", "PersistentVolumeClaim")
    classes = objects("chart/production", "PriorityClass")
    assert claims.keys() == {"backup", "checkpoints", "erasures", "models"}
    assert len(classes) == 3, "pods of other releases name them"
    for item in (*claims.values(), *classes.values()):
        assert item["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def _provision_and_checksum(values: Mapping[str, Any]) -> tuple[str, str]:
    found = render(values)
    (job,) = [item["metadata"]["name"] for item in found if item["kind"] == "Job"]
    (service,) = [item for item in found if (item["kind"], item["metadata"]["name"]) == ("Deployment", "drafter")]
    return job, service["spec"]["template"]["metadata"]["annotations"]["checksum/config"]


def test_another_version_provisions_again_and_other_settings_restart_the_services() -> None:
    """A Job cannot be changed, and pods do not notice a changed ConfigMap."""
    before = _provision_and_checksum({})
    assert _provision_and_checksum({}) == before
    for values in ({"config": {"COUNTERSIGN_TIME_ZONE": "Europe/Berlin"}}, {"nats": {"replicas": 3}}):
        other = _provision_and_checksum(values)
        assert other[0] != before[0], values
        assert other[1] != before[1], values
    job, checksum = _provision_and_checksum({"images": {"countersign": {"tag": "0.3.0"}}})
    assert job != before[0]
    assert checksum == before[1]


def test_a_knowledge_file_and_registry_secrets_are_added_to_the_pods() -> None:
    added = {
        "extraEnv": [{"name": "COUNTERSIGN_KNOWLEDGE_FILE", "value": "/knowledge/knowledge.yaml"}],
        "extraVolumes": [{"name": "knowledge", "configMap": {"name": "knowledge"}}],
        "extraVolumeMounts": [{"name": "knowledge", "mountPath": "/knowledge", "readOnly": True}],
    }
    found = render({"services": {"embedder": added}, "imagePullSecrets": [{"name": "registry"}]})
    pods = {
        item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in found if item["kind"] == "Deployment"
    }
    (container,) = pods["embedder"]["containers"]
    assert added["extraEnv"][0] in container["env"]
    assert added["extraVolumeMounts"][0] in container["volumeMounts"]
    assert added["extraVolumes"][0] in pods["embedder"]["volumes"]
    assert all(spec["imagePullSecrets"] == [{"name": "registry"}] for spec in pods.values())
    assert "knowledge" not in {item["name"] for item in pods["drafter"]["volumes"]}


def test_what_is_switched_off_is_not_there() -> None:
    found = render({name: {"enabled": False} for name in ("backup", "checkpoint", "quota")})
    kinds = {item["kind"] for item in found}
    assert not kinds & {"CronJob", "PersistentVolumeClaim", "ResourceQuota", "LimitRange"}
    assert "PriorityClass" not in {item["kind"] for item in render({"priorityClasses": {"create": False}})}


@pytest.mark.parametrize("storage", [{"size": "7Gi", "storageClass": "fast"}])
def test_storage_is_what_the_values_say(storage: dict[str, str]) -> None:
    places = {name: {"storage": storage} for name in ("nats", "qdrant", "backup", "checkpoint", "erasureList")}
    found = render(merged(places, {"erasureList": {"enabled": True}}))
    claims = [item["spec"] for item in found if item["kind"] == "PersistentVolumeClaim"]
    for item in found:
        claims += [claim["spec"] for claim in item.get("spec", {}).get("volumeClaimTemplates", [])]
    assert len(claims) == len(places)
    for claim in claims:
        assert claim["resources"]["requests"]["storage"] == "7Gi"
        assert claim["storageClassName"] == "fast"


def test_notes_name_commands_and_what_is_still_missing() -> None:
    def notes(values: Mapping[str, Any]) -> str:
        (text,) = [text for name, text in texts(values).items() if name.endswith("NOTES.txt")]
        return text

    told = notes({})
    (job,) = [item["metadata"]["name"] for item in render({}) if item["kind"] == "Job"]
    assert f"kubectl -n countersign logs job/{job}" in told
    assert "port-forward svc/approval 8080" in told
    assert "192.0.2.0/24" in told
    reached = notes({"network": {"toHospital": {"cidrs": ["10.1.0.0/16"]}}, "ingress": {"enabled": True}})
    assert "192.0.2.0/24" not in reached
    assert "https://countersign.example.org" in reached
    assert "There is no backup" in notes({"backup": {"enabled": False}})


def test_the_guide_labels_the_namespace_and_names_every_file_of_values() -> None:
    guide = GUIDE.read_text()
    for label, value in NAMESPACE_LABELS.items():
        assert f"kubectl label namespace $N {label}={value}" in guide
    for path in CHART.glob("values-*.yaml"):
        assert path.name in guide, path.name
    for name in yaml.safe_load((CHART / "values.yaml").read_text())["secrets"].values():
        assert any(name in path.read_text() for path in (ROOT / "deploy/k8s").rglob("*.yaml")), name
