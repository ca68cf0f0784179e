"""Every part that the locks, the manifests and the Dockerfile name."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from packaging.utils import canonicalize_name

PYPI, NPM, IMAGES = "PyPI", "npm", "images"
SHIPPED = ("locks/runtime.txt", "locks/triton.txt", "locks/models.txt")
DEVELOPMENT = ("locks/dev.txt", "locks/bench.txt", "locks/airflow.txt")
NODE = (
    "bench/package-lock.json",
    "tests/deploy/keda/package-lock.json",
    "tests/openapi/package-lock.json",
    "tests/thirdparty/package-lock.json",
)
MANIFESTS = "deploy/k8s/**/kustomization.yaml"
OURS = ("countersign", "ghcr.io/countersign/")  # images that are built from here

_LOCKED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")
_ARGUMENT = re.compile(r"^ARG (?P<name>[A-Z]+)=(?P<image>\S+:\S+)$")


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """One version of one package or image. `sources` are the files that name it."""

    ecosystem: str
    name: str
    version: str
    sources: tuple[str, ...] = ()

    @property
    def purl(self) -> str:
        """Return the package URL (https://github.com/package-url/purl-spec)."""
        if self.ecosystem == IMAGES:
            host, _, path = self.name.rpartition("/") if "." in self.name.split("/")[0] else ("", "", self.name)
            tag, _, digest = self.version.partition("@")
            registry, _, folder = host.partition("/")
            image = "/".join(item for item in (folder, path) if item)
            qualifiers = [f"repository_url={registry}"] if registry else []
            qualifiers += [f"tag={tag}"] if digest else []
            end = f"?{'&'.join(qualifiers)}" if qualifiers else ""
            return f"pkg:docker/{image}@{quote(digest or tag, safe='')}{end}"
        kind = {PYPI: "pypi", NPM: "npm"}[self.ecosystem]
        return f"pkg:{kind}/{quote(self.name, safe='/')}@{quote(self.version, safe='')}"


def list_components(root: Path, *, development: bool) -> list[Component]:
    """Return all components, each once; `development` adds those of tests and benchmarks."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    locks = SHIPPED + (DEVELOPMENT if development else ())
    named = [*_locked(root, locks), *(_node(root) if development else ()), *_images(root)]
    for ecosystem, name, version, source in named:
        if source not in (sources := found[ecosystem, name, version]):
            sources.append(source)
    return sorted(Component(*key, tuple(sources)) for key, sources in found.items())


def _locked(root: Path, files: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    for file in files:
        for line in (root / file).read_text().splitlines():
            if match := _LOCKED.match(line):
                yield PYPI, canonicalize_name(match["name"]), match["version"], file


def _node(root: Path) -> Iterator[tuple[str, str, str, str]]:
    for file in NODE:
        packages: dict[str, dict[str, Any]] = json.loads((root / file).read_text())["packages"]
        for place, package in packages.items():
            if place:
                yield NPM, place.rpartition("node_modules/")[2], str(package["version"]), file


def _images(root: Path) -> Iterator[tuple[str, str, str, str]]:
    compose = yaml.safe_load((root / "compose.yaml").read_text())
    for service in compose["services"].values():
        if "image" in service:
            yield from _image(_DEFAULT.sub(r"\1", service["image"]), "compose.yaml")
    for line in (root / "deploy/docker/Dockerfile").read_text().splitlines():
        if match := _ARGUMENT.match(line):
            yield from _image(match["image"], "deploy/docker/Dockerfile")
    for file in sorted(root.glob(MANIFESTS)):
        for image in yaml.safe_load(file.read_text()).get("images", []):
            digest = f"@{image['digest']}" if "digest" in image else ""
            name = f"{image.get('newName', image['name'])}:{image['newTag']}{digest}"
            yield from _image(name, str(file.relative_to(root)))


def _image(reference: str, source: str) -> Iterator[tuple[str, str, str, str]]:
    tagged, at, digest = reference.partition("@")
    name, _, tag = tagged.rpartition(":")
    if not name.startswith(OURS):
        yield IMAGES, name, tag + at + digest, source
