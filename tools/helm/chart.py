"""The generated templates of the chart, by file name."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tools.helm import options
from tools.helm.combine import combine, objects_by_key
from tools.helm.kustomize import ROOT, Tree, render
from tools.helm.nodes import Block, Expression, When, text_of
from tools.helm.places import put, references

CHART = ROOT / "deploy/helm/countersign"
TEMPLATES = CHART / "templates"
HEADER = "{{- /* Generated from deploy/k8s by `python -m tools.helm`: change it there. */}}\n"
LABELS = Block('include "countersign.labels" .')
# Backups, checkpoints and erasures outlive the release; and other hospitals' pods name the PriorityClasses.
KEPT = ("PersistentVolumeClaim", "PriorityClass")
KEEP = {"helm.sh/resource-policy": "keep"}
MODEL_SERVER = ("triton", "models")
COLLECTOR = "otel-collector"
CONFIG = ("ConfigMap", "countersign")
PROVISION = ("Job", "provision")
# An upgrade provisions before it replaces the services. What renders without a cluster (Argo CD) always installs.
UPGRADE = ".Release.IsUpgrade"
HOOK = {
    "name": "provision-before-upgrade",
    "annotations": {"helm.sh/hook": "pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"},
}

Key = tuple[str, str]
Part = tuple[Key, str, Tree]


def templates(found: Sequence[Part]) -> dict[str, str]:
    """Return the text of each generated template. Raises KeyError or ValueError where an object is not understood."""
    files: dict[str, str] = {}
    for key, condition, tree in found:
        if key == CONFIG:
            files["_config.tpl"] = _settings(tree)
        else:
            file = f"{_file(key)}.yaml"
            files[file] = files.get(file, HEADER) + _document(key, condition, tree)
    return files


def parts() -> list[Part]:
    """Return every object: what it is called, on which condition it is there, and its tree with the options in it."""
    rendered = _renderings()
    base = rendered[()]
    alone = {name: rendered[_with(name)] for name in options.COMPONENTS}
    found = [(key, "", _combined(key, tree, alone)) for key, tree in base.items()]
    known = set(base)
    for name, condition in options.COMPONENTS.items():
        others = {other: rendered[(*_with(name), other)] for other in options.CHANGES.get(name, ())}
        found += [(key, condition, _combined(key, alone[name][key], others)) for key in alone[name] if key not in known]
        known |= alone[name].keys()
    return [*found, (PROVISION, UPGRADE, base[PROVISION]), *_of_overlays()]


def _renderings() -> dict[tuple[str, ...], dict[Key, Tree]]:
    """Return the base with nothing, with each component, and with those that change each other, by components."""
    wanted = [(), *(_with(name) for name in options.COMPONENTS)]
    wanted += [(*_with(name), other) for name, others in options.CHANGES.items() for other in others]
    with ThreadPoolExecutor() as pool:
        rendered = pool.map(lambda names: objects_by_key(_without_hashes(render("base", names))), wanted)
        return dict(zip(wanted, rendered, strict=True))


def _with(name: str) -> tuple[str, ...]:
    return (options.REQUIRES[name], name) if name in options.REQUIRES else (name,)


def _combined(key: Key, tree: Tree, others: Mapping[str, Mapping[Key, Tree]]) -> Tree:
    changed = [(options.COMPONENTS[name], found[key]) for name, found in others.items()]
    combined: Tree = combine(tree, changed)
    return combined


def _of_overlays() -> list[Part]:
    """Return what an overlay adds to the base: the model server on the CPU or on GPUs, and the quota."""
    small, production = (objects_by_key(render(f"overlays/{overlay}")) for overlay in ("small", "production"))
    quota = [(key, ".Values.quota.enabled", tree) for key, tree in small.items() if key[1] == "hospital"]
    found: list[Part] = []
    for gpu, overlay, other in ((False, small, production), (True, production, small)):
        for key, tree in overlay.items():
            if key[1] not in MODEL_SERVER or key[0] == "ScaledObject":
                continue
            if tree != other.get(key):
                found.append((key, options.GPU if gpu else f"not {options.GPU}", _model_server(key, tree, gpu)))
            elif not gpu:
                found.append((key, "", tree))
    return found + quota


def _model_server(key: Key, tree: Tree, gpu: bool) -> Tree:
    for kind, name, path, what in options.model_server(gpu):
        if (kind, name) == key:
            put(tree, path, what)
    return tree


def _without_hashes(rendered: list[Tree]) -> list[Tree]:
    """The collector's ConfigMap under its own name: a checksum on the pods does what the hash in the name does."""
    for item in rendered:
        metadata = item["metadata"]
        if item["kind"] == "ConfigMap" and metadata["name"].startswith(COLLECTOR):
            metadata["name"] = COLLECTOR
        if (item["kind"], metadata["name"]) == ("Deployment", COLLECTOR):
            item["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] = COLLECTOR
    return rendered


def _file(key: Key) -> str:
    kind, name = key
    if kind == "ConfigMap":
        return f"{name}-config"
    return options.FILES_BY_KIND.get(kind) or options.FILES.get(name, name)


def _document(key: Key, condition: str, tree: Tree) -> str:
    tree = _decorated(key, references(_copied(tree)))
    for kind, name, path, what in options.places():
        if (kind, name) == key:
            put(tree, path, what)
    if key in {("Deployment", name) for name in options.SERVICES}:
        tree["spec"]["replicas"] = When(f"not {options.KEDA}", tree["spec"]["replicas"])  # KEDA decides
    if condition == UPGRADE:
        tree["metadata"] |= HOOK
    conditions = [item for item in (condition, options.CONDITIONS.get(key)) if item]
    text = text_of(tree)
    for item in conditions:
        text = f"{{{{- if {item} }}}}\n{text}{{{{- end }}}}\n"
    return f"---\n{text}"


def _decorated(key: Key, tree: Tree) -> Tree:
    kind, name = key
    tree["metadata"]["labels"] = dict(tree["metadata"].get("labels", {})) | {"": LABELS}
    for spec in _pods(tree.get("spec", {})):
        spec["imagePullSecrets"] = When(".Values.imagePullSecrets", Block("toYaml .Values.imagePullSecrets"))
    if kind in KEPT:
        tree["metadata"]["annotations"] = dict(KEEP)
    if kind == "Deployment" and name in (*options.SERVICES, "drafter-evaluation", COLLECTOR):
        file = f"{COLLECTOR if name == COLLECTOR else CONFIG[1]}-config.yaml"
        checksum = Expression(f'include (print $.Template.BasePath "/{file}") . | sha256sum')
        template = tree["spec"]["template"]["metadata"]
        template["annotations"] = dict(template.get("annotations", {})) | {"checksum/config": checksum}
    return tree


def _pods(spec: Tree) -> list[Tree]:
    """Return the pod's specification in a workload's."""
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    return [template["spec"]] if template else []


def _settings(config: Mapping[str, Any]) -> str:
    """Return the settings of the manifests, which `countersign.allSettings` adjusts to the values."""
    lines = text_of(dict(config["data"]))
    return f'{HEADER}{{{{- define "countersign.settings" -}}}}\n{lines}{{{{- end }}}}\n'


def _copied(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _copied(item) for key, item in node.items()}
    if isinstance(node, list):
        return [_copied(item) for item in node]
    return node
