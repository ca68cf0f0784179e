"""A bill of materials in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/)."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from tools.supply_chain.components import IMAGES, PYPI, Component

ENVIRONMENTS = (".venv", ".venv-triton")
_NAMESPACE = uuid.UUID("0c1fe3fe-3f0e-5a3b-9a37-6d9f3f5e1c11")
_LONGEST = 100  # characters: more is a licence's whole text, not its name


def installed(root: Path) -> dict[tuple[str, str], Distribution]:
    """Return what is installed, by name and version."""
    folders = [str(folder) for name in ENVIRONMENTS for folder in (root / name).glob("lib/python3.*/site-packages")]
    return {(canonicalize_name(item.name), item.version): item for item in distributions(path=folders)}


def make_sbom(
    found: Iterable[Component], version: str, now: datetime, held: Mapping[tuple[str, str], Distribution]
) -> dict[str, Any]:
    """Return the SBOM. Licences are those that the installed packages state; `held` says which are installed."""
    components = [_component(part, held) for part in found]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, version + repr(components))}",
        "version": 1,
        "metadata": {
            "timestamp": now.isoformat(timespec="seconds"),
            "component": {
                "type": "application",
                "bom-ref": f"pkg:generic/countersign@{version}",
                "name": "countersign",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": components,
    }


def _component(part: Component, held: Mapping[tuple[str, str], Distribution]) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "container" if part.ecosystem == IMAGES else "library",
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
        "properties": [{"name": "countersign:source", "value": source} for source in part.sources],
    }
    distribution = held.get((part.name, part.version)) if part.ecosystem == PYPI else None
    if distribution is not None and (licences := _licences(distribution.metadata)):
        component["licenses"] = licences
    return component


def _licences(metadata: PackageMetadata) -> list[dict[str, Any]]:
    for expression in metadata.get_all("License-Expression") or []:
        return [{"expression": expression}]
    classifiers = [item for item in metadata.get_all("Classifier") or [] if item.startswith("License :: ")]
    names = [item.rpartition(" :: ")[2] for item in classifiers] or metadata.get_all("License") or []
    return [{"license": {"name": name}} for name in names if name and len(name) <= _LONGEST and "\n" not in name]
