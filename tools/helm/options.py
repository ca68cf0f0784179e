"""What a user of the chart may choose: options that stand for components, and values at places of the manifests."""

from tools.helm.nodes import Block, Expression

SERVICES = ("ingest", "drafter", "approval", "embedder", "evaluator")
INTERACTIVE = ("ingest", "drafter", "approval")

KEDA = ".Values.keda.enabled"
GPU = ".Values.triton.gpu.enabled"
# Folders of deploy/k8s/components, and the value that includes each.
COMPONENTS = {
    "keda": KEDA,
    "batch-evaluation": ".Values.batchEvaluation.enabled",
    "erasure-list": ".Values.erasureList.enabled",
    "master-key": ".Values.masterKey.enabled",
    "ehr-client": ".Values.ehrClient.enabled",
    "sign-on": ".Values.signOn.enabled",
    "hl7": ".Values.hl7.enabled",
    "fhir-events": ".Values.fhirEvents.enabled",
    "mdm": ".Values.mdm.enabled",
    "generation-endpoints": ".Values.generationEndpoints.enabled",
    "vllm": ".Values.vllm.enabled",
    "ingress": ".Values.ingress.enabled",
    "certificate": ".Values.certificate.enabled",
}
# A component that changes objects of another one is rendered with it, and after it.
REQUIRES = {"batch-evaluation": "keda"}
# What a component changes in objects that another one has added; those are listed in the order of the overlays.
CHANGES = {"keda": ("batch-evaluation",), "batch-evaluation": ("master-key", "generation-endpoints")}
# Objects that are there on a further condition.
CONDITIONS = {
    ("ScaledObject", "vllm"): KEDA,
    ("CronJob", "backup"): ".Values.backup.enabled",
    ("PersistentVolumeClaim", "backup"): ".Values.backup.enabled",
    ("CronJob", "checkpoint"): ".Values.checkpoint.enabled",
    ("PersistentVolumeClaim", "checkpoints"): ".Values.checkpoint.enabled",
    ("PriorityClass", "countersign-interactive"): ".Values.priorityClasses.create",
    ("PriorityClass", "countersign-batch"): ".Values.priorityClasses.create",
    ("PriorityClass", "countersign-evaluation"): ".Values.priorityClasses.create",
}
# The entry of `images` for a repository.
IMAGES = {
    "ghcr.io/countersign/countersign": "countersign",
    "ghcr.io/countersign/countersign-triton": "triton",
    "nvcr.io/nvidia/tritonserver": "tritonGpu",
    "nats": "nats",
    "qdrant/qdrant": "qdrant",
    "otel/opentelemetry-collector-contrib": "collector",
    "vllm/vllm-openai": "vllm",
}
CONFIG_MAPS = {"countersign-hl7": "hl7", "countersign-fhir": "fhir", "countersign-endpoints": "endpoints"}
# Addresses of the cluster's own services, wherever they are.
ADDRESSES = {
    "http://prometheus.monitoring.svc:9090": ".Values.monitoring.prometheus | quote",
    "tempo.monitoring.svc:4317": ".Values.monitoring.traces | quote",
    "monitoring": ".Values.monitoring.namespace | quote",
    "ingress": ".Values.ingress.namespace | quote",
    "keda": ".Values.keda.namespace | quote",
}
# The template file of objects that are not in the one of their own name.
FILES = {
    "nats-headless": "nats",
    "ingest-hl7": "ingest",
    "erasures": "approval",
    "checkpoints": "checkpoint",
    "models": "triton",
    "hospital": "quota",
    "evaluation": "quota",
}
FILES_BY_KIND = {
    "NetworkPolicy": "network",
    "PriorityClass": "priorities",
    "Ingress": "ingress",
    "Certificate": "certificate",
}

POD = "spec/template/spec"
CONTAINER = f"{POD}/containers/service"
JOB = f"spec/jobTemplate/{POD}"
Place = tuple[str, str, str, Expression | Block]  # kind, name, path, what stands there


def value(path: str, quoted: bool = False) -> Expression:
    return Expression(f".Values.{path} | quote" if quoted else f".Values.{path}")


def block(path: str) -> Block:
    return Block(f"toYaml .Values.{path}")


def _policy(name: str, rule: str, peers: str) -> list[Place]:
    direction = "egress" if rule == "to" else "ingress"
    return [
        ("NetworkPolicy", name, f"spec/{direction}/0/{rule}", Block(f'include "countersign.peers" .Values.{peers}')),
        ("NetworkPolicy", name, f"spec/{direction}/0/ports", Block(f'include "countersign.ports" .Values.{peers}')),
    ]


def _env(service: str, variable: str, path: str) -> Place:
    return "Deployment", service, f"{CONTAINER}/env/{variable}/value", value(path, quoted=True)


def _service(name: str) -> list[Place]:
    tier = "interactive" if name in INTERACTIVE else "batch"
    return [
        ("Deployment", name, "spec/replicas", value(f"services.{name}.replicas")),
        ("Deployment", name, f"{CONTAINER}/resources", block(f"services.{name}.resources")),
        *_extras(name, name),
        ("Deployment", name, f"{POD}/nodeSelector?", block(f"scheduling.{tier}.nodeSelector")),
        ("Deployment", name, f"{POD}/tolerations?", block(f"scheduling.{tier}.tolerations")),
        ("ScaledObject", name, "spec/minReplicaCount", value(f"services.{name}.minReplicas")),
        ("ScaledObject", name, "spec/maxReplicaCount", value(f"services.{name}.maxReplicas")),
    ]


def _extras(service: str, deployment: str) -> list[Place]:
    return [
        ("Deployment", deployment, f"{CONTAINER}/env/+", block(f"services.{service}.extraEnv")),
        ("Deployment", deployment, f"{CONTAINER}/volumeMounts/+", block(f"services.{service}.extraVolumeMounts")),
        ("Deployment", deployment, f"{POD}/volumes/+", block(f"services.{service}.extraVolumes")),
    ]


def _storage(kind: str, name: str, path: str, values: str) -> list[Place]:
    return [
        (kind, name, f"{path}/resources/requests/storage", value(f"{values}.size")),
        (kind, name, f"{path}/storageClassName?", value(f"{values}.storageClass", quoted=True)),
    ]


def places() -> list[Place]:
    """Return every place where a value of the user stands (`tools.helm.places.put` explains the paths)."""
    return [
        *(place for name in SERVICES for place in _service(name)),
        *_servers(),
        *_evaluation(),
        *_claims_and_jobs(),
        *_network(),
        *_interfaces(),
    ]


def _servers() -> list[Place]:
    return [
        ("StatefulSet", "nats", "spec/replicas", value("nats.replicas")),
        ("StatefulSet", "nats", f"{POD}/containers/nats/resources", block("nats.resources")),
        *_storage("StatefulSet", "nats", "spec/volumeClaimTemplates/0/spec", "nats.storage"),
        ("StatefulSet", "qdrant", f"{POD}/containers/qdrant/resources", block("qdrant.resources")),
        *_storage("StatefulSet", "qdrant", "spec/volumeClaimTemplates/0/spec", "qdrant.storage"),
        ("Deployment", "otel-collector", f"{POD}/containers/collector/resources", block("collector.resources")),
        ("ScaledObject", "triton", "spec/minReplicaCount", value("triton.minReplicas")),
        ("ScaledObject", "triton", "spec/maxReplicaCount", value("triton.maxReplicas")),
        *_gpu_nodes("vllm"),
        ("Deployment", "vllm", f"{POD}/containers/vllm/resources", block("vllm.resources")),
        ("ScaledObject", "vllm", "spec/minReplicaCount", value("vllm.minReplicas")),
        ("ScaledObject", "vllm", "spec/maxReplicaCount", value("vllm.maxReplicas")),
    ]


def _evaluation() -> list[Place]:
    name = "drafter-evaluation"
    return [
        # What drafts are written with, so that a stay is drafted alike.
        *_extras("drafter", name),
        ("Deployment", name, f"{CONTAINER}/resources", block("batchEvaluation.resources")),
        ("Deployment", name, f"{POD}/affinity", block("batchEvaluation.affinity")),
        ("Deployment", name, f"{POD}/tolerations", block("batchEvaluation.tolerations")),
        ("ScaledObject", name, "spec/maxReplicaCount", value("batchEvaluation.maxReplicas")),
        ("ResourceQuota", "evaluation", "spec/hard", block("batchEvaluation.quota")),
    ]


def _gpu_nodes(name: str) -> list[Place]:
    return [
        ("Deployment", name, f"{POD}/nodeSelector", block("scheduling.gpu.nodeSelector")),
        ("Deployment", name, f"{POD}/tolerations", block("scheduling.gpu.tolerations")),
    ]


def model_server(gpu: bool) -> list[Place]:
    """Return the places of the model server, which has another pod on GPUs than on the CPU."""
    kind = "gpu" if gpu else "cpu"
    resources = ("Deployment", "triton", f"{POD}/containers/triton/resources", block(f"triton.{kind}.resources"))
    replicas = ("Deployment", "triton", "spec/replicas", value("triton.replicas"))
    return [resources, replicas, *(_gpu_nodes("triton") if gpu else [])]


def _claims_and_jobs() -> list[Place]:
    provision = f"{POD}/containers/provision/env"
    backup = f"{JOB}/containers/backup"
    return [
        ("Job", "provision", "metadata/name", Expression('include "countersign.provisionName" .')),
        ("Job", "provision", f"{provision}/COUNTERSIGN_NATS_REPLICAS/value", value("nats.replicas", quoted=True)),
        ("Job", "provision", f"{provision}/COUNTERSIGN_NATS_PLACEMENT/value", value("nats.placement", quoted=True)),
        ("CronJob", "backup", "spec/schedule", value("backup.schedule", quoted=True)),
        ("CronJob", "backup", f"{backup}/command/7", value("backup.keep", quoted=True)),
        ("CronJob", "backup", f"{backup}/command/9", value("backup.keepWeekly", quoted=True)),
        ("CronJob", "checkpoint", "spec/schedule", value("checkpoint.schedule", quoted=True)),
        *_storage("PersistentVolumeClaim", "backup", "spec", "backup.storage"),
        *_storage("PersistentVolumeClaim", "checkpoints", "spec", "checkpoint.storage"),
        *_storage("PersistentVolumeClaim", "erasures", "spec", "erasureList.storage"),
        *_storage("PersistentVolumeClaim", "models", "spec", "triton.gpu.storage"),
        ("ResourceQuota", "hospital", "spec/hard", block("quota.hard")),
    ]


def _network() -> list[Place]:
    return [
        *_policy("to-the-hospital", "to", "network.toHospital"),
        *_policy("from-the-hospital", "from", "fhirEvents.from"),
        *_policy("from-interface-engines", "from", "hl7.from"),
        *_policy("to-document-receiver", "to", "mdm.to"),
        *_policy("to-generation-endpoints", "to", "generationEndpoints.to"),
        ("Ingress", "countersign", "metadata/annotations?", block("ingress.annotations")),
        ("Ingress", "countersign", "spec/ingressClassName?", value("ingress.className", quoted=True)),
        ("Ingress", "countersign", "spec/rules/0/host", value("ingress.host", quoted=True)),
        ("Ingress", "countersign", "spec/tls/0/hosts/0", value("ingress.host", quoted=True)),
        ("Certificate", "nats", "spec/issuerRef", block("certificate.issuerRef")),
    ]


def _interfaces() -> list[Place]:
    return [
        _env("ingest", "COUNTERSIGN_EHR_CLIENT_ID", "fhirEvents.clientId"),
        _env("ingest", "COUNTERSIGN_FHIR_POLL_SECONDS", "fhirEvents.pollSeconds"),
        _env("ingest", "COUNTERSIGN_EHR_SCOPE", "fhirEvents.scope"),
        _env("approval", "COUNTERSIGN_MDM_HOST", "mdm.host"),
        _env("approval", "COUNTERSIGN_MDM_PORT", "mdm.port"),
        ("Service", "ingest-hl7", "metadata/annotations?", block("hl7.serviceAnnotations")),
    ]
