"""Every address in the Kubernetes manifests resolves: to a Service or one of its pods, and to an open port."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import yaml

from cli.stack.nats_files import ACCOUNTS, generated_name, nodes
from tests.deploy.test_k8s import OVERLAYS, ROOT, Thing, containers, name, of_kind, pods

GUIDE = "docs/how-to/install-kubernetes.md"
CLUSTER = "cluster.local"
KEDA = "keda"  # the namespace that it asks from
URL = re.compile(r"[a-z][a-z0-9+]*://[^\s,\"'}\]]+")
HOST_PORT = re.compile(r"(?<![\w.:/-])[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*:\d{2,5}(?![\w.:/])")
DEFAULT_PORTS = {"http": 80, "https": 443}
# Services of the cluster that the manifests expect; the guide names them.
EXPECTED = {"prometheus.monitoring.svc:9090", "tempo.monitoring.svc:4317"}


@dataclass(frozen=True)
class Address:
    owner: str
    namespace: str  # of the one who asks
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.owner}: {self.host}:{self.port}"


def in_text(owner: str, namespace: str, text: str) -> Iterator[Address]:
    """The addresses in a value: URLs, and host:port; those to listen on have no name and are not among them."""
    for url in URL.findall(text):
        parts = urlsplit(url)
        assert parts.hostname, url
        yield Address(owner, namespace, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
    for found in HOST_PORT.findall(URL.sub(" ", text)):
        host, _, port = found.rpartition(":")
        yield Address(owner, namespace, host, int(port))


def of_triggers(overlay: str) -> Iterator[Address]:
    (nats,) = [item for item in of_kind(overlay, "StatefulSet") if name(item) == "nats"]
    for item in of_kind(overlay, "ScaledObject"):
        for trigger in item["spec"]["triggers"]:
            told = trigger["metadata"]
            found = list(in_text(name(item), KEDA, told.get("serverAddress") or told["natsServerMonitoringEndpoint"]))
            assert len(found) == 1
            yield found[0]
            if trigger["type"] == "nats-jetstream":
                # KEDA asks the leader of the consumer by the first label of its route, before the endpoint
                # (getNATSJetStreamMonitoringNodeURLByNode in pkg/scalers/nats_jetstream_scaler.go).
                for index in range(nats["spec"]["replicas"]):
                    yield Address(name(item), KEDA, f"nats-{index}.{found[0].host}", found[0].port)


def of_configuration(overlay: str, namespace: str) -> Iterator[Address]:
    for item in of_kind(overlay, "ConfigMap"):
        for key, value in item["data"].items():
            # Parsed where it is YAML: comments are no configuration.
            text = str(yaml.safe_load(value)) if key.endswith((".yaml", ".yml")) else value
            yield from in_text(f"{name(item)}/{key}", namespace, text)
    for owner, container in containers(overlay):
        for variable in container.get("env", []):
            yield from in_text(f"{owner}/{variable['name']}", namespace, variable.get("value") or "")
        for argument in container.get("command", []) + container.get("args", []):
            yield from in_text(f"{owner}/arguments", namespace, argument)


def of_nats_routes(namespace: str) -> Iterator[Address]:
    cluster = nodes()["nats-kubernetes.conf"].cluster
    assert cluster is not None
    for route in cluster.routes:
        yield from in_text("nats/routes", namespace, route)


def records(overlay: str, namespace: str) -> dict[str, Thing]:
    """What the cluster's DNS answers for: Services, and pods of StatefulSets by their headless Service."""
    services = {name(item): item for item in of_kind(overlay, "Service")}
    found = {f"{key}.{namespace}.svc.{CLUSTER}": service for key, service in services.items()}
    for item in of_kind(overlay, "StatefulSet"):
        service = services.get(item["spec"]["serviceName"])
        if service is not None and service["spec"].get("clusterIP") == "None":
            for index in range(item["spec"]["replicas"]):
                found[f"{name(item)}-{index}.{name(service)}.{namespace}.svc.{CLUSTER}"] = service
    return found


def resolve(address: Address, known: dict[str, Thing]) -> Thing | None:
    """Look up a name as a pod does, by the search domains of its resolv.conf."""
    for domain in (f"{address.namespace}.svc.{CLUSTER}", f"svc.{CLUSTER}", CLUSTER, ""):
        service = known.get(f"{address.host}.{domain}".rstrip("."))
        if service is not None:
            return service
    return None


def opened(overlay: str, service: Thing) -> set[int]:
    """The ports at which pods behind a Service answer under its name."""
    selector = service["spec"]["selector"].items()
    behind = [spec for _, labels, spec in pods(overlay) if selector <= labels.items()]
    assert behind, f"{name(service)} selects no pod"
    inside = {
        key: port["containerPort"]
        for spec in behind
        for container in spec["containers"]
        for port in container.get("ports", [])
        for key in (port["name"], port["containerPort"])
    }
    ports = {port["port"]: port.get("targetPort", port["port"]) for port in service["spec"]["ports"]}
    assert set(ports.values()) <= inside.keys(), f"{name(service)} leads to ports that no container opens"
    if service["spec"].get("clusterIP") == "None":  # its name is the pods' own addresses: nothing translates the port
        return {port for port, target in ports.items() if inside[target] == port}
    return set(ports)


def is_outside(address: Address) -> bool:
    """Whether a name is not the cluster's: the EHR, the identity provider."""
    return "." in address.host and not address.host.endswith((".svc", CLUSTER))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_name_resolves_to_a_port_that_somebody_opens(overlay: str) -> None:
    (item,) = of_kind(overlay, "Namespace")
    namespace = name(item)
    known = records(overlay, namespace)
    addresses = [*of_triggers(overlay), *of_configuration(overlay, namespace)]
    (nats,) = [item for item in of_kind(overlay, "StatefulSet") if name(item) == "nats"]
    if nats["spec"]["replicas"] > 1:
        addresses += of_nats_routes(namespace)
    assert len(addresses) >= 6, "it has looked"
    wrong = []
    for address in addresses:
        service = resolve(address, known)
        if service is not None:
            if address.port not in opened(overlay, service):
                wrong.append(f"{address}: not a port of {name(service)}")
        elif f"{address.host}:{address.port}" not in EXPECTED and not is_outside(address):
            wrong.append(f"{address}: no such name")
    assert wrong == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_service_leads_to_a_pod(overlay: str) -> None:
    for service in of_kind(overlay, "Service"):
        assert opened(overlay, service)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_probe_asks_a_port_that_its_container_opens(overlay: str) -> None:
    asked = 0
    for owner, container in containers(overlay):
        own = {key for port in container.get("ports", []) for key in (port["name"], port["containerPort"])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for kind in ("httpGet", "grpc", "tcpSocket"):
                if kind in container.get(probe, {}):
                    asked += 1
                    assert container[probe][kind]["port"] in own, f"{owner}: {probe}"
                    assert "host" not in container[probe][kind], owner
    assert asked >= 20


def test_the_guide_names_what_the_cluster_must_have() -> None:
    guide = (ROOT / GUIDE).read_text()
    for address in EXPECTED:
        assert address in guide, address


def test_the_guide_gives_nats_every_file_that_its_configuration_includes() -> None:
    (command,) = re.findall(r"secret generic countersign-nats  .*\n.*", (ROOT / GUIDE).read_text())
    for file in ("nats.conf=secrets/nats-kubernetes.conf", "secrets/nats-kubernetes.generated.conf"):
        assert f"--from-file={file}" in command
    assert f"--from-file=secrets/{ACCOUNTS}" in command
    assert generated_name("nats-kubernetes.conf") in command
    assert f"secrets/{generated_name('nats.conf')}" in (ROOT / GUIDE).read_text(), "of the overlay `small`"


def test_addresses_are_found_in_every_form() -> None:
    text = "tls://nats-0.h:4222,tls://b:1 http://q triton:8001 [tempo.monitoring.svc:4317] 0.0.0.0:4318 a: 5"
    found = {(item.host, item.port) for item in in_text("x", "n", text)}
    assert found == {("nats-0.h", 4222), ("b", 1), ("q", 80), ("triton", 8001), ("tempo.monitoring.svc", 4317)}


def test_a_name_that_is_not_there_is_not_found() -> None:
    """As KEDA's were before: a Service with an address of its own has no names of single pods."""
    known = records("overlays/production", "countersign")
    for host, namespace, there in (
        ("nats-0.nats.countersign.svc", KEDA, False),
        ("nats-2.nats-headless.countersign.svc", KEDA, True),
        ("nats-3.nats-headless.countersign.svc", KEDA, False),
        ("nats", "countersign", True),
        ("nats", KEDA, False),
    ):
        assert (resolve(Address("x", namespace, host, 8222), known) is not None) == there, host
