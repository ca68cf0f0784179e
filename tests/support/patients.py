"""Many synthetic stays from one of the seed's, each with identifiers of its own that can be looked for in logs."""

import json
from pathlib import Path
from typing import Any

from deploy.sandbox_ehr.seed import SEED

MARKS = ("Zzyzxfamily", "Qwxgiven", "MRNPLANTED", "1911-11-11")


def write_stays(folder: Path, number: int, *, observations: int | None = None) -> list[str]:
    """`number` copies of a small stay as Bundles in `folder`; returns their encounter ids. With `observations`, each
    has no more of them than that: thousands of stays have to fit into the sandbox's memory.
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
    resources = [item for item in resources if _belongs(item, own)]
    seen = [item for item in resources if item["resourceType"] == "Observation"]
    left_out = [item["id"] for item in seen[observations:]] if observations is not None else []
    text = json.dumps([item for item in resources if not (item in seen and item["id"] in left_out)])
    ids = []
    for index in range(number):
        copied: list[dict[str, Any]] = json.loads(
            text.replace(patient, f"pat-{index}").replace(encounter["id"], f"enc-{index}")
        )
        for item in copied:
            if item["resourceType"] not in ("Practitioner", "Organization", "Encounter", "Patient"):
                item["id"] = f"{item['id']}-{index}"
            if item["resourceType"] == "Patient":
                item |= planted(index)
            if item["resourceType"] == "Encounter":
                item.pop("diagnosis", None)
        (folder / f"stay-{index}.json").write_text(json.dumps({"entry": [{"resource": item} for item in copied]}))
        ids.append(f"enc-{index}")
    (folder / "index.json").write_text("[]")
    return ids


def _belongs(item: dict[str, Any], own: set[str]) -> bool:
    if item["resourceType"] in ("Patient", "Encounter"):
        return item["id"] in own
    encounter = (item.get("encounter") or {}).get("reference", "").partition("/")[2]
    return item["resourceType"] in ("Practitioner", "Organization") or encounter in own


def planted(index: int) -> dict[str, Any]:
    family, given, mrn, born = MARKS
    return {
        "name": [{"use": "official", "family": f"{family}{index}", "given": [given]}],
        "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": f"{mrn}{index}"}],
        "birthDate": born,
    }
