"""What the Kubernetes manifests promise: they are valid, and hold the policy of the house."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import promql_parser
import pytest
import yaml

from cli.commands.secrets import nats_host_names
from shared.messaging.topology import all_consumers
from tests.deploy import charts
from tests.support.settings import KNOWN

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy/k8s"
KUBECTL = ROOT / ".venv/bin/kubectl"
KEDA = Path(__file__).parent / "keda"
OVERLAYS = ("overlays/small", "overlays/production", "overlays/vllm", "tenants/example", *charts.RENDERINGS)
PRODUCTION = ("overlays/production", "chart/production")
HOSPITALS = ("overlays/production", "tenants/example", "chart/production", "chart/hospital")
EXTENSIONS = ("keda.sh/", "cert-manager.io/")  # what Kubernetes itself does not know
VERSIONS = ("1.31", "1.34")
MODEL_MINUTES = 10  # a large model takes as long to load
TELEMETRY = ("OTEL_",)
MAY_GO = {"drafter-evaluation"}  # all of it at any time: nobody waits, and its stays are delivered again

Thing = dict[str, Any]


def drafters(overlay: str) -> set[str]:
    """The Deployments that run the drafter."""
    return {"drafter"} if overlay in ("overlays/small", "chart/default") else {"drafter", "drafter-evaluation"}


@cache
def rendered(overlay: str) -> list[Thing]:
    if overlay in charts.RENDERINGS:
        return charts.rendered(overlay)
    done = subprocess.run([str(KUBECTL), "kustomize", str(K8S / overlay)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def of_kind(overlay: str, *kinds: str) -> list[Thing]:
    return [item for item in rendered(overlay) if item["kind"] in kinds]


def name(thing: Thing) -> str:
    return str(thing["metadata"]["name"])


def quota_of(overlay: str) -> Thing:
    """The quota of the hospital."""
    (quota,) = [item for item in of_kind(overlay, "ResourceQuota") if name(item) == "hospital"]
    return quota


def pods(overlay: str) -> Iterator[tuple[str, Thing, Thing]]:
    """Every pod that there will be: its owner's name, labels, spec."""
    for item in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
        yield name(item), item["spec"]["template"]["metadata"]["labels"], item["spec"]["template"]["spec"]
    for item in of_kind(overlay, "CronJob"):
        template = item["spec"]["jobTemplate"]["spec"]["template"]
        yield name(item), template["metadata"]["labels"], template["spec"]


def containers(overlay: str) -> Iterator[tuple[str, Thing]]:
    for owner, _, spec in pods(overlay):
        for container in spec["containers"] + spec.get("initContainers", []):
            yield owner, container


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_what_the_api_takes(overlay: str, version: str) -> None:
    checked = 0
    for item in rendered(overlay):
        if item["apiVersion"].startswith(EXTENSIONS):
            continue
        kubernetes_validate.validate(item, version, strict=True)
        checked += 1
    assert checked > 30


@pytest.mark.skipif(shutil.which("node") is None or shutil.which("npm") is None, reason="node is not here")
def test_scaled_objects_are_what_keda_takes() -> None:
    if not (KEDA / "node_modules").exists():
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        subprocess.run(["npm", "ci", *quiet], cwd=KEDA, check=True, capture_output=True)
    objects = of_kind("overlays/vllm", "ScaledObject")
    wrong = json.loads(json.dumps(objects[0])) | {"spec": {"triggers": "none"}}
    for sent, expected in ((objects, 0), ([wrong], 1)):
        done = subprocess.run(
            ["node", "validate.mjs"], cwd=KEDA, input=json.dumps(sent), capture_output=True, text=True, check=False
        )
        assert done.returncode == expected, done.stdout + done.stderr


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_runs_as_root_or_may_more_than_it_needs(overlay: str) -> None:
    for owner, _, spec in pods(overlay):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, owner
        assert security["runAsUser"] > 0, owner
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        assert spec["automountServiceAccountToken"] is False, owner
        assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")), owner
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), owner
    for owner, container in containers(overlay):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, owner
        assert security["readOnlyRootFilesystem"] is True, owner
        assert security["capabilities"] == {"drop": ["ALL"]}, owner
        assert not any("hostPort" in port for port in container.get("ports", [])), owner


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_says_what_it_takes_and_which_image_it_is(overlay: str) -> None:
    for owner, container in containers(overlay):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), owner
        assert "memory" in container["resources"]["limits"], owner
        _, _, tag = container["image"].partition("@")[0].rpartition(":")
        assert any(character.isdigit() for character in tag), container["image"]


@pytest.mark.parametrize(
    ("overlay", "servers"),
    [(overlay, {"triton"}) for overlay in PRODUCTION]
    + [(overlay, {"triton", "vllm"}) for overlay in ("overlays/vllm", "chart/vllm")],
)
def test_a_gpu_is_asked_for_whole_and_where_gpus_are(overlay: str, servers: set[str]) -> None:
    found = set()
    for owner, _, spec in pods(overlay):
        for container in spec["containers"]:
            asked = container["resources"]["requests"].get("nvidia.com/gpu")
            assert asked == container["resources"]["limits"].get("nvidia.com/gpu"), owner
            if asked is not None:
                found.add(owner)
                assert spec["nodeSelector"] == {"countersign.dev/nodes": "gpu"}
                assert "nvidia.com/gpu" in {item["key"] for item in spec["tolerations"]}
                probe = container["startupProbe"]
                assert probe["periodSeconds"] * probe["failureThreshold"] >= MODEL_MINUTES * 60
    assert found == servers


@pytest.mark.parametrize("overlay", ["overlays/vllm", "chart/vllm"])
def test_vllm_grows_with_what_waits_and_is_asked_by_the_drafter_alone(overlay: str) -> None:
    (scaled,) = [item["spec"] for item in of_kind(overlay, "ScaledObject") if name(item) == "vllm"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (2, 8)
    query = scaled["triggers"][0]["metadata"]["query"]
    promql_parser.parse(query)
    assert query == "sum(vllm:num_requests_waiting{namespace='countersign'})"
    (labels,) = [label for owner, label, _ in pods(overlay) if owner == "vllm"]
    policies = {name(item): item["spec"] for item in of_kind(overlay, "NetworkPolicy")}
    about = {policy: spec for policy, spec in policies.items() if selects(spec, labels)}
    assert about.keys() == {"default-deny", "to-vllm"}
    (rule,) = about["to-vllm"]["ingress"]
    (named,) = rule["from"][0]["podSelector"]["matchExpressions"]
    assert (named["operator"], set(named["values"])) == ("In", drafters(overlay))
    quota = quota_of(overlay)
    assert int(quota["spec"]["hard"]["requests.nvidia.com/gpu"]) >= 8 + 4  # all replicas of both servers


@pytest.mark.parametrize("overlay", PRODUCTION)
def test_batch_gives_way_and_cannot_land_where_people_wait(overlay: str) -> None:
    values = {name(item): item["value"] for item in of_kind(overlay, "PriorityClass")}
    assert values["countersign-interactive"] > values["countersign-batch"]
    tiers = {"interactive": 0, "batch": 0}
    for owner, labels, spec in pods(overlay):
        tier = labels.get("countersign.dev/tier")
        if tier is None:
            continue
        tiers[tier] += 1
        assert spec["priorityClassName"] == f"countersign-{tier}", owner
        tolerated = {item["key"] for item in spec["tolerations"]}
        nodes = spec["nodeSelector"]["countersign.dev/nodes"]
        assert (nodes, tolerated) == {
            "interactive": ("interactive", {"countersign.dev/interactive"}),
            "batch": ("spot", {"countersign.dev/spot"}),
        }[tier], owner
    assert tiers == {"interactive": 3, "batch": 2}


@pytest.mark.parametrize("overlay", PRODUCTION)
def test_every_consumer_scales_its_service_and_none_is_asked_for_that_is_not_there(overlay: str) -> None:
    wanted = {(item.service, item.stream, item.name) for item in all_consumers()}
    wanted ^= {(who, "EVALUATIONS", "drafter-evaluate") for who in drafters(overlay)}
    found = set()
    for item in of_kind(overlay, "ScaledObject"):
        for trigger in item["spec"]["triggers"]:
            told = trigger["metadata"]
            if trigger["type"] == "prometheus":
                promql_parser.parse(told["query"])
                assert told["query"].count("namespace='countersign'") == 2, "its own hospital's queue, no other's"
                continue
            assert trigger["type"] == "nats-jetstream"
            assert told["account"] == "COUNTERSIGN"
            assert told["natsServerMonitoringEndpoint"] == "nats-headless.countersign.svc:8222"
            assert int(told["lagThreshold"]) > int(told["activationLagThreshold"]) >= 0
            found.add((item["spec"]["scaleTargetRef"]["name"], told["stream"], told["consumer"]))
    assert found == wanted
    bounds = {
        name(item): (item["spec"]["minReplicaCount"], item["spec"]["maxReplicaCount"])
        for item in of_kind(overlay, "ScaledObject")
    }
    assert all(bounds[service] == (2, 8) for service in ("ingest", "drafter", "approval"))
    assert bounds["embedder"][0] == 0
    for item in of_kind(overlay, "Deployment"):
        assert "replicas" not in item["spec"] or name(item) not in bounds or name(item) == "triton", "KEDA decides"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_speaks_to_anybody_unless_a_line_says_so(overlay: str) -> None:
    policies = {name(item): item["spec"] for item in of_kind(overlay, "NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy, spec in policies.items():
        for rule in spec.get("ingress", []):
            assert rule.get("from"), f"{policy} lets everybody in"
            assert rule.get("ports"), f"{policy} opens every port"
    labels = {label["app.kubernetes.io/name"] for _, label, _ in pods(overlay)}
    for policy in ("to-nats", "to-qdrant", "to-triton", "to-collector"):
        assert policies[policy]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] in labels


def selects(spec: Thing, labels: dict[str, str]) -> bool:
    """Whether a policy is about a pod with these labels."""
    selector = spec["podSelector"]
    for rule in selector.get("matchExpressions", []):
        held = labels.get(rule["key"])
        if (rule["operator"], held in rule["values"]) in (("In", False), ("NotIn", True)):
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_model_server_is_asked_by_three_services_and_asks_nobody(overlay: str) -> None:
    """The bundled version has holes (docs/adr/0039): who reaches it is part of what closes them."""
    (labels,) = [label for owner, label, _ in pods(overlay) if owner == "triton"]
    about = {name(item): item["spec"] for item in of_kind(overlay, "NetworkPolicy") if selects(item["spec"], labels)}
    assert {policy for policy, spec in about.items() if "ingress" in spec} == {"to-triton", "watched"}
    assert not [policy for policy, spec in about.items() if spec.get("egress")]
    (asked,) = about["to-triton"]["ingress"]
    assert asked["ports"] == [{"port": 8001}]
    (who,) = asked["from"]
    (named,) = who["podSelector"]["matchExpressions"]
    assert (named["operator"], set(named["values"])) == ("In", drafters(overlay) | {"embedder", "evaluator"})
    (watched,) = about["watched"]["ingress"]
    assert {"port": 8001} not in watched["ports"]
    assert all("podSelector" not in item for item in watched["from"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_model_server_has_no_http_and_is_asked_how_it_is_by_grpc(overlay: str) -> None:
    (container,) = [container for owner, container in containers(overlay) if owner == "triton"]
    (service,) = [item for item in of_kind(overlay, "Service") if name(item) == "triton"]
    assert {port["containerPort"] for port in container["ports"]} == {8001, 8002}
    assert {port["port"] for port in service["spec"]["ports"]} == {8001, 8002}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["grpc"]["port"] == 8001
        assert "httpGet" not in container[probe]
    for argument in container.get("args", []):
        assert not argument.startswith("--http-port")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_our_services_are_told_what_they_know_and_secrets_come_as_files(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == [], "secrets are made by the platform team"
    (config,) = [item for item in of_kind(overlay, "ConfigMap") if name(item) == "countersign"]
    own = {variable for variable in config["data"] if not variable.startswith(TELEMETRY)}
    assert own - KNOWN == set()
    for owner, container in containers(overlay):
        for variable in container.get("env", []):
            assert "secretKeyRef" not in variable.get("valueFrom", {}), owner


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_who_does_not_ask_qdrant_has_no_key_of_it(overlay: str) -> None:
    holders = {owner for owner, _, spec in pods(overlay) if "qdrant.key" in str(spec.get("volumes"))}
    assert holders == drafters(overlay) | {"embedder", "evaluator", "backup"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nats_is_spoken_to_by_tls(overlay: str) -> None:
    (config,) = [item for item in of_kind(overlay, "ConfigMap") if name(item) == "countersign"]
    assert "COUNTERSIGN_ALLOW_PLAIN_NATS" not in config["data"]
    urls = [urlsplit(url) for url in config["data"]["COUNTERSIGN_NATS_URL"].split(",")]
    assert {url.scheme for url in urls} == {"tls"}
    (namespace,) = of_kind(overlay, "Namespace")
    assert {url.hostname for url in urls} <= set(nats_host_names(name(namespace)))
    folder, file = config["data"]["COUNTERSIGN_NATS_CA_FILE"].rsplit("/", 1)
    told = 0
    for owner, _, spec in pods(overlay):
        if any("countersign" in str(container.get("envFrom")) for container in spec["containers"]):
            assert file in _in_folder(spec, folder), owner
            told += 1
        shown = _in_folder(spec, "/run/secrets") if owner == "nats" else _in_folder(spec, folder)
        assert {"nats.crt", "nats.key", "ca.crt"} == shown if owner == "nats" else "nats.key" not in shown, owner
    assert told == 4 + len(drafters(overlay)) + 3  # services, provision, backup, checkpoint


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_checkpoints_are_signed_by_somebody_who_can_write_nothing_on_the_bus(overlay: str) -> None:
    (job,) = [item for item in of_kind(overlay, "CronJob") if name(item) == "checkpoint"]
    (spec,) = [spec for owner, _, spec in pods(overlay) if owner == "checkpoint"]
    (container,) = spec["containers"]
    told = {item["name"]: item["value"] for item in container["env"]}
    assert set(told) == {"COUNTERSIGN_CHECKPOINT_DIR", "COUNTERSIGN_CHECKPOINT_KEY_FILE"}
    assert set(told) <= KNOWN
    assert container["command"][2:] == ["cli.main", "audit", "checkpoint"]
    assert job["spec"]["concurrencyPolicy"] == "Forbid", "two at once would both want the next number"
    folder, key = told["COUNTERSIGN_CHECKPOINT_KEY_FILE"].rsplit("/", 1)
    assert {key, "seed", "ca.crt"} == _in_folder(spec, folder)
    (secret,) = [
        part["secret"]
        for volume in spec["volumes"]
        for part in volume.get("projected", {}).get("sources", [])
        if part["secret"]["name"] == "countersign-checkpoint"
    ]
    assert {item["key"] for item in secret["items"]} == {"auditor.seed", "checkpoint.key"}
    (mount,) = [item for item in container["volumeMounts"] if item["mountPath"] == told["COUNTERSIGN_CHECKPOINT_DIR"]]
    claim = {volume["name"]: volume for volume in spec["volumes"]}[mount["name"]]["persistentVolumeClaim"]["claimName"]
    used = [
        owner
        for owner, _, other in pods(overlay)
        for volume in other.get("volumes", [])
        if volume.get("persistentVolumeClaim", {}).get("claimName") == claim
    ]
    assert used == ["checkpoint"], "a volume of its own"
    assert claim in {name(item) for item in of_kind(overlay, "PersistentVolumeClaim")}
    others = [part for owner, _, other in pods(overlay) if owner != "checkpoint" for part in [json.dumps(other)]]
    assert not any("checkpoint.key" in part for part in others), "nobody else has the key"


def _in_folder(spec: Thing, folder: str) -> set[str]:
    """The files that secrets put there."""
    mounted = {item["name"] for item in spec["containers"][0].get("volumeMounts", []) if item["mountPath"] == folder}
    volumes = [volume for volume in spec.get("volumes", []) if volume["name"] in mounted]
    sources = [volume["secret"] for volume in volumes if "secret" in volume]
    sources += [part["secret"] for volume in volumes for part in volume.get("projected", {}).get("sources", [])]
    return {item["path"] for source in sources for item in source["items"]}


@pytest.mark.parametrize("overlay", HOSPITALS)
def test_a_hospital_lists_erasures_and_keeps_keys_under_a_key_of_its_own(overlay: str) -> None:
    claims = {name(item): item["spec"]["accessModes"] for item in of_kind(overlay, "PersistentVolumeClaim")}
    told: dict[str, set[str]] = {"COUNTERSIGN_ERASURE_DIR": set(), "COUNTERSIGN_MASTER_KEY_FILE": set()}
    for owner, _, spec in pods(overlay):
        volumes = {item["name"]: item for item in spec.get("volumes", [])}
        for container in spec["containers"]:
            mounts = {item["mountPath"]: volumes.get(item["name"], {}) for item in container.get("volumeMounts", [])}
            values = {item["name"]: item.get("value", "") for item in container.get("env", [])}
            for variable in told.keys() & values.keys():
                told[variable].add(owner)
                path = values[variable]
                mounted = mounts[path if variable.endswith("_DIR") else str(Path(path).parent)]
                if "secret" not in mounted:
                    assert claims[mounted["persistentVolumeClaim"]["claimName"]] == ["ReadWriteMany"]
    assert told == {
        "COUNTERSIGN_ERASURE_DIR": {"approval"},
        "COUNTERSIGN_MASTER_KEY_FILE": {"approval"} | drafters(overlay),
    }


@pytest.mark.parametrize("overlay", HOSPITALS)
def test_the_keys_of_our_client_at_the_ehr_are_given_to_the_two_services_that_use_it(overlay: str) -> None:
    found = {}
    for owner, _, spec in pods(overlay):
        for container in spec["containers"]:
            values = {item["name"]: item.get("value", "") for item in container.get("env", [])}
            for variable in ("COUNTERSIGN_EHR_CLIENT_KEY_FILE", "COUNTERSIGN_EHR_CLIENT_JWKS_FILE"):
                if variable in values:
                    folder, file = values[variable].rsplit("/", 1)
                    assert _in_folder(spec, folder) == {file}, "and no other file"
                    found[owner] = file
    keys, public = "ehr-client-keys.json", "ehr-client-jwks.json"
    assert found == {"approval": keys, "drafter": keys, "ingest": public}
    holders = {owner for owner, _, spec in pods(overlay) if keys in json.dumps(spec)}
    assert holders == {"approval", "drafter"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_there_is_two_of_is_not_taken_away_at_once(overlay: str) -> None:
    guarded = {
        item["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
        for item in of_kind(overlay, "PodDisruptionBudget")
    }
    for item in of_kind(overlay, "Deployment", "StatefulSet"):
        if item["spec"].get("replicas", 2) > 1 and name(item) not in MAY_GO:
            assert name(item) in guarded


def test_a_tenant_is_a_namespace_with_a_quota_of_its_own() -> None:
    (namespace,) = of_kind("tenants/example", "Namespace")
    assert name(namespace) == "hospital-example"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    cluster_wide = ("Namespace", "PriorityClass")
    for item in rendered("tenants/example"):
        if item["kind"] not in cluster_wide:
            assert item["metadata"]["namespace"] == "hospital-example", item["kind"]
    quota = quota_of("tenants/example")
    assert {"requests.cpu", "limits.memory", "requests.nvidia.com/gpu", "pods"} <= quota["spec"]["hard"].keys()
    endpoints = {
        trigger["metadata"]["natsServerMonitoringEndpoint"]
        for item in of_kind("tenants/example", "ScaledObject")
        for trigger in item["spec"]["triggers"]
        if trigger["type"] == "nats-jetstream"
    }
    assert endpoints == {"nats-headless.hospital-example.svc:8222"}


@pytest.mark.parametrize("overlay", ["tenants/example", "chart/hospital"])
def test_production_is_told_all_that_it_does_not_start_without(overlay: str) -> None:
    (config,) = [item for item in of_kind(overlay, "ConfigMap") if name(item) == "countersign"]
    told = config["data"]
    assert told["COUNTERSIGN_MODE"] == "production"
    for variable in ("COUNTERSIGN_EHR_URL", "COUNTERSIGN_OIDC_ISSUER", "COUNTERSIGN_PUBLIC_URL"):
        assert told[variable].startswith("https://"), variable
    assert told["COUNTERSIGN_NATS_MONITOR_URL"]
    (scaler,) = [item for item in of_kind(overlay, "ScaledObject") if name(item) == "triton"]
    assert "namespace='hospital-example'" in scaler["spec"]["triggers"][0]["metadata"]["query"]
    quota = quota_of(overlay)
    assert scaler["spec"]["maxReplicaCount"] <= int(quota["spec"]["hard"]["requests.nvidia.com/gpu"])


@pytest.mark.parametrize("overlay", PRODUCTION)
def test_the_bus_keeps_every_message_thrice(overlay: str) -> None:
    (nats,) = [item for item in of_kind(overlay, "StatefulSet") if name(item) == "nats"]
    assert nats["spec"]["replicas"] == 3
    (job,) = of_kind(overlay, "Job")
    told = {item["name"]: item.get("value") for item in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert told["COUNTERSIGN_NATS_REPLICAS"] == "3"
    assert "COUNTERSIGN_NATS_PLACEMENT" in told
    assert {"secretName": "countersign-nats", "defaultMode": 0o440} in [
        volume.get("secret") for volume in nats["spec"]["template"]["spec"]["volumes"]
    ]


def test_the_collector_is_configured_alike_everywhere() -> None:
    assert (K8S / "base/collector.yaml").read_text() == (ROOT / "deploy/otel/collector.yaml").read_text()
