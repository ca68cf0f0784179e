"""Evaluations on Kubernetes: batch work on nodes that may be taken away, with few rights, none while nothing waits."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.drafter.settings import DrafterSettings
from shared.messaging.topology import consumer
from tests.deploy.test_k8s import drafters, of_kind, pods, quota_of, rendered, selects
from tests.deploy.test_k8s import name as name_of
from tests.support.settings import KNOWN

OVERLAYS = ("overlays/production", "overlays/vllm", "tenants/example")
EVALUATION = "drafter-evaluation"
WORK = "COUNTERSIGN_DRAFTER_WORK"
# Labels of nodes that a provider may take away: ours, Karpenter's, EKS', GKE's, AKS'.
SPOT = {
    "countersign.dev/nodes": "spot",
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "cloud.google.com/gke-spot": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
UNITS = {"m": Decimal("0.001"), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}

Thing = dict[str, Any]


def quantity(text: str) -> Decimal:
    unit = text.lstrip("0123456789.")
    return Decimal(text.removesuffix(unit)) * UNITS.get(unit, Decimal(1))


def named(overlay: str, kind: str, name: str) -> Thing:
    (found,) = [item for item in of_kind(overlay, kind) if name_of(item) == name]
    return found


def spec_of(overlay: str, owner: str) -> Thing:
    (spec,) = [spec for found, _, spec in pods(overlay) if found == owner]
    return spec


def told(overlay: str, owner: str) -> dict[str, str]:
    (container,) = spec_of(overlay, owner)["containers"]
    return {item["name"]: item["value"] for item in container["env"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_one_process_drafts_and_the_other_evaluates(overlay: str) -> None:
    assert {owner: told(overlay, owner)[WORK] for owner in drafters(overlay)} == {
        "drafter": "drafts",
        EVALUATION: "evaluations",
    }
    assert WORK in KNOWN
    ours, theirs = (spec_of(overlay, owner)["containers"][0] for owner in ("drafter", EVALUATION))
    for field in ("image", "command", "envFrom", "ports", "securityContext", "startupProbe", "livenessProbe"):
        assert ours[field] == theirs[field], field


def test_the_overlay_without_keda_has_one_drafter_that_does_everything() -> None:
    assert WORK not in told("overlays/small", "drafter")
    assert DrafterSettings.model_fields["drafter_work"].default == "all"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_is_on_nodes_that_may_be_taken_away_and_on_no_others(overlay: str) -> None:
    spec = spec_of(overlay, EVALUATION)
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    found = {}
    for term in required["nodeSelectorTerms"]:  # one of them is enough
        (only,) = term["matchExpressions"]
        assert only["operator"] == "In"
        (found[only["key"]],) = only["values"]
    assert found == SPOT
    assert "nodeSelector" not in spec, "which would be asked for besides"
    tolerated = {item["key"] for item in spec["tolerations"]}
    assert tolerated <= SPOT.keys() | {"countersign.dev/spot"}
    assert "countersign.dev/interactive" not in tolerated
    guarded = [item["spec"]["selector"]["matchLabels"] for item in of_kind(overlay, "PodDisruptionBudget")]
    assert {"app.kubernetes.io/name": EVALUATION} not in guarded, "nodes are taken away without waiting for it"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_else_goes_first(overlay: str) -> None:
    classes = {name_of(item): item for item in of_kind(overlay, "PriorityClass")}
    own = classes.pop("countersign-evaluation")
    assert all(own["value"] < other["value"] for other in classes.values())
    assert own["preemptionPolicy"] == "Never"
    assert "globalDefault" not in own
    users = {owner for owner, _, spec in pods(overlay) if spec.get("priorityClassName") == name_of(own)}
    assert users == {EVALUATION}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_its_quota_counts_its_pods_alone_and_lets_all_of_them_run(overlay: str) -> None:
    quota = named(overlay, "ResourceQuota", "evaluation")["spec"]
    (scope,) = quota["scopeSelector"]["matchExpressions"]
    assert scope == {"scopeName": "PriorityClass", "operator": "In", "values": ["countersign-evaluation"]}
    most = named(overlay, "ScaledObject", EVALUATION)["spec"]["maxReplicaCount"]
    (container,) = spec_of(overlay, EVALUATION)["containers"]
    asked = {f"requests.{key}": value for key, value in container["resources"]["requests"].items()}
    asked |= {f"limits.{key}": value for key, value in container["resources"]["limits"].items()}
    assert {key: quantity(value) for key, value in quota["hard"].items()} == {
        "pods": most,
        **{key: quantity(value) * most for key, value in asked.items()},
    }
    rolling = named(overlay, "Deployment", EVALUATION)["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 0, "maxUnavailable": 1}, "one more would exceed the quota"
    hospital = quota_of(overlay)["spec"]["hard"]
    for key in hospital.keys() & quota["hard"].keys():
        assert quantity(quota["hard"][key]) < quantity(hospital[key])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_scales_to_zero_by_its_own_queue_and_ends_nothing_that_is_begun(overlay: str) -> None:
    scaled = named(overlay, "ScaledObject", EVALUATION)["spec"]
    assert scaled["scaleTargetRef"] == {"name": EVALUATION}
    assert scaled["minReplicaCount"] == 0
    (trigger,) = scaled["triggers"]
    asked = trigger["metadata"]
    target = consumer(asked["consumer"])
    assert (target.name, target.stream) == ("drafter-evaluate", asked["stream"])
    assert asked["activationLagThreshold"] == "0"  # KEDA's lag has what is being worked on: the last pod stays for it
    assert int(asked["lagThreshold"]) >= target.workers, "a pod has work for all of its workers"
    assert scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"
    (namespace,) = of_kind(overlay, "Namespace")
    assert asked["natsServerMonitoringEndpoint"] == f"nats-headless.{name_of(namespace)}.svc:8222"
    drafting = {item["metadata"]["consumer"] for item in named(overlay, "ScaledObject", "drafter")["spec"]["triggers"]}
    assert target.name not in drafting
    assert "replicas" not in named(overlay, "Deployment", EVALUATION)["spec"], "KEDA decides"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_has_no_client_at_the_ehr_and_no_way_to_it(overlay: str) -> None:
    spec = spec_of(overlay, EVALUATION)
    assert "ehr-client" not in str(spec)
    assert told(overlay, EVALUATION)["COUNTERSIGN_EHR_CLIENT_ID"] == ""
    (labels,) = [labels for owner, labels, _ in pods(overlay) if owner == EVALUATION]
    about = {name_of(item): item["spec"] for item in of_kind(overlay, "NetworkPolicy") if selects(item["spec"], labels)}
    ways = {policy for policy, spec in about.items() if spec.get("egress")}
    assert ways - {"to-generation-endpoints"} == {"names", "within"}
    assert not [policy for policy, spec in about.items() if spec.get("ingress")]
    for policy in ("to-nats", "to-collector"):
        allowed = named(overlay, "NetworkPolicy", policy)["spec"]["ingress"][0]["from"]
        assert any(selects(item, labels) for item in allowed if "podSelector" in item), policy


@pytest.mark.parametrize("overlay", ["overlays/vllm"])
def test_it_has_the_endpoints_and_keys_that_drafts_have(overlay: str) -> None:
    ours, theirs = (told(overlay, owner) for owner in ("drafter", EVALUATION))
    for variable in ("COUNTERSIGN_GENERATION_ENDPOINTS", "COUNTERSIGN_MASTER_KEY_FILE"):
        assert ours[variable] == theirs[variable]
        (container,) = spec_of(overlay, EVALUATION)["containers"]
        assert str(Path(theirs[variable]).parent) in {item["mountPath"] for item in container["volumeMounts"]}


def test_its_settings_are_accepted_without_the_keys_of_our_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ConfigMap names that client; a variable of the container goes before it."""
    overlay = "tenants/example"
    config = named(overlay, "ConfigMap", "countersign")["data"]
    assert config["COUNTERSIGN_EHR_CLIENT_ID"]
    for variable, value in (config | told(overlay, EVALUATION)).items():
        monkeypatch.setenv(variable, value)
    settings = DrafterSettings()
    assert settings.drafter_work == "evaluations"
    assert settings.ehr.authorization is None


def test_who_leaves_the_component_out_has_no_part_of_it() -> None:
    assert EVALUATION not in str(rendered("overlays/small"))
    assert "countersign-evaluation" not in str(rendered("overlays/small"))
