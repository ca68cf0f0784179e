"""The sandbox's patients: load Bundles once, and list the encounters that the demo shows."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, ConfigDict

from sandbox_ehr.app import Style
from sandbox_ehr.search import PARAMETERS
from sandbox_ehr.store import Resource, Store

SEED = Path(__file__).parent / "seed"
DISCHARGE_SUMMARY = "18842-5"  # LOINC: the record must not hold what is to be drafted


class DemoEncounter(BaseModel):
    """A stay of the seed, as `index.json` lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encounter: str
    department: str
    attending: str
    reason: str
    disposition: str


def demo_encounters(style: Style = "plain", folder: Path = SEED) -> list[DemoEncounter]:
    """Return the stays of the seed, with the ids that they have in a sandbox of `style`."""
    found = [DemoEncounter.model_validate(item) for item in json.loads((folder / "index.json").read_text())]
    if style == "plain":
        return found
    return [
        item.model_copy(
            update={"encounter": opaque_id("Encounter", item.encounter), "attending": _opaque_reference(item.attending)}
        )
        for item in found
    ]


def seed(store: Store, style: Style = "plain", folder: Path = SEED) -> None:
    """Fill an empty store; a store that has resources is not changed."""
    if len(store):
        return
    for file in sorted(folder.glob("*.json")):
        if file.name != "index.json":
            load_bundle(store, json.loads(file.read_text()), style)


def load_bundle(store: Store, bundle: Resource, style: Style = "plain") -> None:
    """Load every entry of a Bundle whose type is supported, except discharge summaries."""
    resources = [entry["resource"] for entry in bundle["entry"]]
    kept = [item for item in resources if item["resourceType"] in PARAMETERS and not _is_summary(item)]
    if style == "opaque":
        kept = [_remap(item) for item in kept]
    meta = {"versionId": "1", "lastUpdated": _end_of_record(resources)}
    store.put_all([item | {"meta": meta | item.get("meta", {})} for item in kept])


def _end_of_record(resources: list[Resource]) -> str:
    """Return the end of the last stay: a record is last changed at a discharge, and not when it is loaded."""
    periods = [item["period"] for item in resources if item["resourceType"] == "Encounter" and "period" in item]
    moments = [datetime.fromisoformat(item["end"]) for item in periods if "T" in item.get("end", "")]
    zoned = [item if item.tzinfo else item.replace(tzinfo=UTC) for item in moments]
    latest = max(zoned, default=datetime.now(UTC)).astimezone(UTC)
    return latest.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_summary(resource: Resource) -> bool:
    codings = (resource.get("type") or {}).get("coding", []) if isinstance(resource.get("type"), dict) else []
    return any(coding.get("code") == DISCHARGE_SUMMARY for coding in codings)


def opaque_id(type: str, id: str) -> str:
    """Return the UUID that a resource gets on a server that assigns its own ids."""
    return str(uuid5(NAMESPACE_URL, f"{type}/{id}"))


def _remap(resource: Resource) -> Resource:
    mapped: Resource = _rewrite_references(resource)
    return mapped | {"id": opaque_id(resource["resourceType"], resource["id"])}


def _rewrite_references(node: Any) -> Any:
    if isinstance(node, list):
        return [_rewrite_references(item) for item in node]
    if isinstance(node, dict):
        return {
            name: _opaque_reference(value)
            if name == "reference" and isinstance(value, str)
            else _rewrite_references(value)
            for name, value in node.items()
        }
    return node


def _opaque_reference(reference: str) -> str:
    match = re.fullmatch(r"(\w+)/([A-Za-z0-9\-.]+)", reference)
    return f"{match[1]}/{opaque_id(match[1], match[2])}" if match else reference
