"""Convert clinosim's FHIR output into the sandbox's seed: a Bundle for each chosen stay, and the index.

clinosim simulate -o out -p 1500 -s 2024 --country US --start 2026-02-01 --end 2026-06-30 --format fhir-r4
python -m sandbox_ehr.generate_seed out/fhir_r4
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox_ehr.search import PARAMETERS
from sandbox_ehr.seed import SEED

Resource = dict[str, Any]

SEED_ENCOUNTERS = 8
MAX_BUNDLE_BYTES = 400_000  # bytes of one Bundle
EXCLUDED_TYPES = {"FamilyMemberHistory", "CareTeam", "Composition", "DocumentReference", "Device", "Task", "AuditEvent"}
ENCOUNTER_TYPES = {"Observation", "Procedure", "DiagnosticReport", "MedicationRequest", "CarePlan"}

ON_DUTY = "on-duty"  # supervises departments without a supervisor


def main(folder: Annotated[Path, typer.Argument(help="clinosim's fhir_r4 folder")]) -> None:
    """Write the seed files."""
    resources = {type: list(_read(folder, type)) for type in PARAMETERS if type not in EXCLUDED_TYPES}
    by_key = {f"{type}/{item['id']}": item for type, items in resources.items() for item in items}
    index = []
    for encounter in _choose_encounters(resources["Encounter"], resources):
        bundle = _bundle(encounter, resources, by_key)
        (SEED / f"{encounter['id']}.json").write_text(json.dumps(bundle, separators=(",", ":")) + "\n")
        index.append(_index_entry(encounter))
    (SEED / "index.json").write_text(json.dumps(sorted(index, key=lambda item: item["disposition"] == "exp"), indent=1))
    departments = sorted({item["department"] for item in index})
    (SEED / "supervisors.json").write_text(json.dumps(_supervisors(departments), indent=1))


def _read(folder: Path, type: str) -> Iterator[Resource]:
    file = folder / f"{type}.ndjson"
    if file.exists():
        yield from map(json.loads, file.read_text().splitlines())


def _choose_encounters(encounters: list[Resource], resources: dict[str, list[Resource]]) -> list[Resource]:
    """Return finished inpatient stays with different reasons: the first of each, and one that ended in death."""
    inpatient = [item for item in encounters if item["class"]["code"] == "IMP" and item["status"] == "finished"]
    chosen: dict[str, Resource] = {}
    for item in sorted(inpatient, key=lambda item: str(item["id"])):
        died = _disposition(item) == "exp"
        reason = "died" if died else item.get("reasonCode", [{}])[0].get("text", "")
        size = sum(len(json.dumps(other)) for other in resources["Observation"] if _is_of_encounter(other, item))
        if reason and reason not in chosen and 60_000 < size < MAX_BUNDLE_BYTES:
            chosen[reason] = item
    died_first = sorted(chosen.items(), key=lambda pair: pair[0] != "died")
    return [item for _, item in died_first[:SEED_ENCOUNTERS]]


def _is_of_encounter(resource: Resource, encounter: Resource) -> bool:
    return bool(resource.get("encounter", {}).get("reference") == f"Encounter/{encounter['id']}")


def _bundle(encounter: Resource, resources: dict[str, list[Resource]], by_key: dict[str, Resource]) -> Resource:
    patient = encounter["subject"]["reference"]
    kept = [_at_discharge(by_key[patient], encounter)]
    kept += [item for item in resources["Encounter"] if item["subject"]["reference"] == patient]
    for type, items in resources.items():
        if type in ENCOUNTER_TYPES:
            kept += [item for item in items if _is_of_encounter(item, encounter)]
        elif type in ("Condition", "AllergyIntolerance"):
            kept += [item for item in items if patient in json.dumps(item)]
    referenced = set(re.findall(r'"((?:Practitioner|Organization|Location)/[^"]+)"', json.dumps(kept)))
    kept += [by_key[key] for key in sorted(referenced) if key in by_key]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": _without_renderings(item)} for item in kept],
    }


def _at_discharge(patient: Resource, encounter: Resource) -> Resource:
    """Return the patient as recorded at the end of the stay: a later death is not known yet."""
    if patient.get("deceasedDateTime", "") <= encounter["period"]["end"]:
        return patient
    return {name: value for name, value in patient.items() if name != "deceasedDateTime"} | {"deceasedBoolean": False}


def _without_renderings(resource: Resource) -> Resource:
    """Return the resource without rendered copies of its elements."""
    return {name: value for name, value in resource.items() if name not in ("text", "presentedForm", "media")}


def _disposition(encounter: Resource) -> str:
    codings = encounter.get("hospitalization", {}).get("dischargeDisposition", {}).get("coding", [{}])
    return str(codings[0].get("code", ""))


def _department(encounter: Resource) -> str:
    name = encounter.get("serviceType", {}).get("text", "general")
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _index_entry(encounter: Resource) -> Resource:
    attending = next(
        item["individual"]["reference"]
        for item in encounter["participant"]
        if item["type"][0]["coding"][0]["code"] == "ATND"
    )
    return {
        "encounter": encounter["id"],
        "department": _department(encounter),
        "attending": attending,
        "reason": encounter["reasonCode"][0]["text"],
        "disposition": _disposition(encounter),
    }


def _supervisors(departments: list[str]) -> Resource:
    """Return a supervisor for each department and one for all others. They are not from clinosim."""
    entries: list[Resource] = []
    for place in (*departments, ON_DUTY):
        practitioner = {"resourceType": "Practitioner", "id": f"supervisor-{place}", "active": True}
        name = {"name": [{"family": "Supervisor", "given": [place.replace("-", " ").title()]}]}
        role = {
            "resourceType": "PractitionerRole",
            "id": f"supervisor-role-{place}",
            "active": True,
            "practitioner": {"reference": f"Practitioner/supervisor-{place}"},
            "code": [{"text": "Department supervisor"}],
        }
        if place != ON_DUTY:
            role["specialty"] = [{"text": place}]
        entries += [{"resource": practitioner | name}, {"resource": role}]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


if __name__ == "__main__":
    typer.run(main)
