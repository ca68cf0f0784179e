"""Many synthetic stays from one of the seed's, each with identifiers of its own that can be looked for in logs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sandbox_ehr.seed import SEED

SHARED = ("Practitioner", "Organization")  # by all stays
VISITS = "urn:example:visits"  # system of the visit number of each stay
MARKS = ("Zzyzxfamily", "Qwxgiven", "MRNPLANTED", "1911-11-11")


def write_stays(folder: Path, number: int, *, most: int | None = None) -> list[str]:
    """`number` copies of a small stay as Bundles in `folder`; returns their encounter ids. With `most`, each has no
    more resources of a type than that: thousands of stays have to fit into the sandbox's memory.
    """
    files = [
        file
        for file in SEED.glob("*.json")
        if file.name not in ("index.json", "supervisors.json", "open-at-discharge.json")
    ]
    smallest = min(files, key=lambda file: file.stat().st_size)
    resources = [entry["resource"] for entry in json.loads(smallest.read_text())["entry"]]
    (encounter,) = [item for item in resources if item["resourceType"] == "Encounter" and item["id"] == smallest.stem]
    patient = encounter["subject"]["reference"].partition("/")[2]
    own = {patient, encounter["id"]}
    kept = _first([item for item in resources if _belongs(item, own)], most)
    text = json.dumps([item for item in kept if item["resourceType"] not in SHARED])
    ids = []
    for index in range(number):
        copied: list[dict[str, Any]] = json.loads(
            text.replace(patient, f"pat-{index}").replace(encounter["id"], f"enc-{index}")
        )
        for item in copied:
            if item["resourceType"] not in ("Encounter", "Patient"):
                item["id"] = f"{item['id']}-{index}"
            if item["resourceType"] == "Patient":
                item |= planted(index)
            if item["resourceType"] == "Encounter":
                item.pop("diagnosis", None)
                item["identifier"] = [{"system": VISITS, "value": visit_number(item["id"])}]
        shared = [item for item in kept if item["resourceType"] in SHARED] if index == 0 else []
        entries = [{"resource": item} for item in [*shared, *copied]]
        (folder / f"stay-{index}.json").write_text(json.dumps({"entry": entries}))
        ids.append(f"enc-{index}")
    (folder / "index.json").write_text("[]")
    return ids


def visit_number(encounter: str) -> str:
    """The visit number of a stay, as ADT messages name it."""
    return f"V{encounter}"


def mrn(encounter: str) -> str:
    """The medical record number of the patient of a stay."""
    return f"{MARKS[2]}{encounter.removeprefix('enc-')}"


def _first(resources: list[dict[str, Any]], most: int | None) -> list[dict[str, Any]]:
    """No more of a type than `most`; whoever the stays share is not counted."""
    if most is None:
        return resources
    found: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for item in resources:
        counts[item["resourceType"]] += 1
        if item["resourceType"] in SHARED or counts[item["resourceType"]] <= most:
            found.append(item)
    return found


def _belongs(item: dict[str, Any], own: set[str]) -> bool:
    if item["resourceType"] in ("Patient", "Encounter"):
        return item["id"] in own
    encounter = (item.get("encounter") or {}).get("reference", "").partition("/")[2]
    return item["resourceType"] in SHARED or encounter in own


def planted(index: int) -> dict[str, Any]:
    family, given, mrn, born = MARKS
    return {
        "name": [{"use": "official", "family": f"{family}{index}", "given": [given]}],
        "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": f"{mrn}{index}"}],
        "birthDate": born,
    }
