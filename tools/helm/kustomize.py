"""Kustomize renderings that the chart is generated from."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy/k8s"
NAMESPACE = "release-namespace"  # stands for the release's; replaced by an expression

Tree = dict[str, Any]


def render(resource: str, components: Sequence[str] = (), namespace: str = NAMESPACE) -> list[Tree]:
    """Render a folder of deploy/k8s with components of deploy/k8s/components, in a namespace.

    Raises RuntimeError with kustomize's own message.
    """
    with tempfile.TemporaryDirectory() as folder:
        relative = Path(os.path.relpath(K8S, Path(folder).resolve()))
        kustomization: Tree = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": namespace,
            "resources": [str(relative / resource)],
            "components": [str(relative / "components" / name) for name in components],
        }
        if resource == "base":  # which has none; components fill in its name
            kustomization["resources"].append("namespace.yaml")
            one = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            (Path(folder) / "namespace.yaml").write_text(yaml.safe_dump(one))
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        kubectl = Path(sys.executable).with_name("kubectl")
        done = subprocess.run([str(kubectl), "kustomize", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [item for item in yaml.safe_load_all(done.stdout) if item and item["kind"] != "Namespace"]
