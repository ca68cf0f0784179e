"""Advisories in OSV's format (https://ossf.github.io/osv-schema/), from files: nothing is asked of anybody.

`all.zip` of an ecosystem as OSV publishes it, a checkout of the PyPA or the GitHub advisory database, or single files.
"""

import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tools.supply_chain.components import PYPI, Component


class IncomparableError(ValueError):
    """Two versions of which nobody can say which is the newer."""


@dataclass(frozen=True, slots=True)
class Finding:
    part: Component
    id: str
    aliases: tuple[str, ...]
    summary: str


@dataclass(slots=True)
class Advisories:
    """Entries by ecosystem and package, how many there are of each ecosystem, and when the newest was changed."""

    by_package: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    counted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    newest: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, entry: dict[str, Any]) -> None:
        """Add one advisory, unless it was withdrawn."""
        if entry.get("withdrawn"):
            return
        named = {
            (item["package"]["ecosystem"], _name(item["package"])) for item in entry["affected"] if "package" in item
        }
        for ecosystem, name in named:
            self.by_package[ecosystem, name].append(entry)
        for ecosystem in {ecosystem for ecosystem, _ in named}:
            self.counted[ecosystem] += 1
            self.newest[ecosystem] = max(self.newest.get(ecosystem, ""), str(entry.get("modified", "")))


def read(places: Iterable[Path]) -> Advisories:
    """Read advisories from files, folders and ZIP files; name those that cannot be read."""
    found = Advisories()
    for name, data in (item for place in places for item in _files(place)):
        try:
            found.add(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError):
            found.unreadable.append(name)
    return found


def _files(place: Path) -> Iterator[tuple[str, bytes]]:
    if place.suffix == ".zip":
        with zipfile.ZipFile(place) as archive:
            for item in archive.namelist():
                if item.endswith(".json"):
                    yield item, archive.read(item)
        return
    for file in sorted(place.rglob("*.json")) if place.is_dir() else [place]:
        yield str(file), file.read_bytes()


def findings(found: Iterable[Component], advisories: Advisories) -> tuple[list[Finding], list[str]]:
    """Return advisories for these versions, and those that cannot be compared."""
    hits, unclear = [], []
    for part in found:
        for entry in advisories.by_package.get((part.ecosystem, part.name), []):
            try:
                if affects(entry, part):
                    aliases = tuple(entry.get("aliases", []))
                    hits.append(Finding(part, entry["id"], aliases, str(entry.get("summary", "")).strip()))
            except IncomparableError as error:
                unclear.append(f"{entry['id']} ({part.name} {part.version}): {error}")
    return hits, unclear


def affects(entry: dict[str, Any], part: Component) -> bool:
    """Return whether an advisory affects this version: it is listed, or in one of the ranges.

    Raises IncomparableError.
    """
    for item in entry["affected"]:
        package = item.get("package", {})
        if (package.get("ecosystem"), _name(package)) != (part.ecosystem, part.name):
            continue
        if part.version in item.get("versions", []):
            return True
        ranges = [found for found in item.get("ranges", []) if found["type"] in ("ECOSYSTEM", "SEMVER")]
        if any(_within(found["events"], part.version) for found in ranges):
            return True
    return False


def _within(events: list[dict[str, str]], version: str) -> bool:
    """Apply OSV's rule: the last event at or before the version decides whether it is affected."""
    own = _version(version)
    marks: list[tuple[Version, int, bool]] = []
    for event in events:
        for kind, value in event.items():
            if kind == "introduced":
                marks.append((_version(value), 0, True))
            elif kind == "fixed":
                marks.append((_version(value), 0, False))
            elif kind == "last_affected":
                marks.append((_version(value), 1, False))  # the version itself still is
    state = False
    for mark, after, affected in sorted(marks):
        if mark < own or (mark == own and not after):
            state = affected
    return state


def _version(text: str) -> Version:
    try:
        return Version("0" if text == "0" else text)
    except InvalidVersion:
        raise IncomparableError(f"the version {text} cannot be compared") from None


def _name(package: dict[str, str]) -> str:
    name = package.get("name", "")
    return canonicalize_name(name) if package.get("ecosystem") == PYPI else name
