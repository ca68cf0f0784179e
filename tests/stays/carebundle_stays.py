"""Records that carebundle writes, another generator than our seed's, as stays with derived sheets.

It writes visits: as they come they must not be drafted. As a stay the visit is admitted, discharged and attended, and
its orders are those of the discharge; everything else stays as the generator has it: `urn:uuid:` references of a
transaction, results without ranges or flags, orders without a category or a dosage, entries in duplicate.
https://pypi.org/project/carebundle/
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from carebundle import Imperfection, generate_bundle, inject_defects, to_json

from tests.stays.derived.reading import literal, must, names, never
from tests.stays.derived.sheet import sheet
from tests.stays.elements import hl7
from tests.stays.model import Fact, Resource, Stay
from tests.stays.words import LABS, TAKEN, item, taken

SOURCE = "carebundle"
# Profile, seed, sex, days in hospital, disposition, defects.
STAYS: tuple[tuple[str, int, str, int, str, Imperfection | None], ...] = (
    ("type2_diabetes", 3, "F", 4, "home", None),
    ("type2_diabetes", 4, "M", 2, "snf", None),
    ("type2_diabetes", 5, "F", 6, "home", Imperfection(duplicate_entry=0.3)),
    ("hypertension", 1, "M", 3, "home", None),
    ("hypertension", 2, "F", 1, "home", None),
    ("hypertension", 6, "M", 9, "rehab", Imperfection(unknown_code_system=0.4)),
    ("ckd_stage3", 0, "F", 5, "home", None),
    ("ckd_stage3", 1, "M", 2, "exp", None),
    ("ckd_stage3", 8, "F", 7, "home", Imperfection(duplicate_entry=0.2, unknown_code_system=0.2)),
    ("anaemia", 0, "F", 2, "home", None),
    ("anaemia", 2, "M", 3, "aadvice", None),
    ("anaemia", 9, "F", 4, "home", None),
    ("healthy", 0, "F", 1, "home", None),
)
# Every result has one time: a value that follows itself is a duplicate entry.
TWICE_TOLD = never("medium", "laboratory", "a result told twice", item(r"(\d[\d.]*) [^,;]*, then \1 ", under=LABS))
VISITS = (("hypertension", 11), ("type2_diabetes", 12))


def stays() -> Iterator[Stay]:
    """The stays, and two visits as they were written."""
    for profile, seed, sex, days, disposition, defects in STAYS:
        name = f"carebundle-{profile}-{seed}"
        resources = _resources(profile, seed, sex, defects)
        encounter = _admitted(resources, days, disposition)
        clean = _resources(profile, seed, sex, None)
        _admitted(clean, days, disposition)
        facts = (*sheet(clean, encounter), *_orders(clean, disposition), TWICE_TOLD)
        yield Stay(name, SOURCE, "no ranges, no dosage, no categories", encounter, resources, facts)
    for profile, seed in VISITS:
        resources = _resources(profile, seed, "F", None)
        visit = next(r["id"] for r in resources if r["resourceType"] == "Encounter")
        yield Stay(f"carebundle-visit-{seed}", SOURCE, "a visit as it was written", visit, resources, expect="no-draft")


def _resources(profile: str, seed: int, sex: str, defects: Imperfection | None) -> tuple[Resource, ...]:
    """The entries of the transaction as a server keeps them: with ids, and references that name them."""
    bundle = json.loads(to_json(generate_bundle(profile=profile, seed=seed, sex=sex)))
    if defects is not None:
        bundle, _ = inject_defects(bundle, defects, seed=seed)
        bundle["entry"] = [entry for entry in bundle["entry"] if _once(entry, bundle["entry"])]
    types = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle["entry"]}
    return tuple(
        _resolved(entry["resource"], types) | {"id": entry["fullUrl"].removeprefix("urn:uuid:")}
        for entry in bundle["entry"]
    )


def _once(entry: dict[str, Any], entries: list[dict[str, Any]]) -> bool:
    """Whether the entry may stand: of who and where there is one on a server, of what was found there may be two."""
    type = entry["resource"]["resourceType"]
    first = next(one for one in entries if one["resource"]["resourceType"] == type)
    return type not in ("Patient", "Encounter", "Practitioner") or entry is first


def _resolved(node: Any, types: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_resolved(one, types) for one in node]
    if isinstance(node, dict):
        return {name: _resolved(value, types) for name, value in node.items()}
    return f"{types[node]}/{node.removeprefix('urn:uuid:')}" if isinstance(node, str) and node in types else node


def _admitted(resources: tuple[Resource, ...], days: int, disposition: str) -> str:
    """Turns the visit into a stay of some days; its orders are written at the discharge."""
    encounter = next(r for r in resources if r["resourceType"] == "Encounter")
    doctor = next(r for r in resources if r["resourceType"] == "Practitioner")
    end = datetime.fromisoformat(encounter["period"]["start"]) + timedelta(days=days, hours=2)
    encounter["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
    encounter["type"] = [{"text": "Hospital admission"}]
    encounter["period"]["end"] = end.isoformat()
    encounter["hospitalization"] = {"dischargeDisposition": hl7("discharge-disposition", disposition)}
    attends = {"type": [hl7("v3-ParticipationType", "ATND")]}
    encounter["participant"] = [attends | {"individual": {"reference": f"Practitioner/{doctor['id']}"}}]
    for order in (r for r in resources if r["resourceType"] == "MedicationRequest"):
        order["authoredOn"] = end.isoformat()
    return str(encounter["id"])


def _orders(resources: tuple[Resource, ...], disposition: str) -> Iterator[Fact]:
    """The medicines by name and strength, and nothing about how they are taken: no order says it."""
    for order in (r for r in resources if r["resourceType"] == "MedicationRequest"):
        name = names(order["medicationCodeableConcept"])[0]
        if disposition == "exp":
            yield never("critical", "outcome", f"{name} to take at home", taken(literal(name)))
            continue
        yield must("critical", "medicine", f"{name} to take at home", taken(literal(name)))
        invented = item(literal(name), r"\b(once|twice|daily|every day|times)\b", under=TAKEN)
        yield never("critical", "dose", f"a frequency of {name}: there is none", invented)
