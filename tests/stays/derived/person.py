"""Facts about the person: who, when, why, diagnoses, family, allergies, how the patient left."""

import base64
import re
from collections.abc import Iterator

from tests.stays.derived.reading import UNKNOWN, Record, any_name, codes, literal, moment, must, names, never
from tests.stays.model import Fact, Pattern, Resource
from tests.stays.words import (
    ALLERGIES,
    CODE_STATUS,
    DIAGNOSES,
    DISPOSITION,
    FAMILY,
    FUNCTION,
    HOME,
    PRINCIPAL,
    PROCEDURES,
    REASON,
    VITALS,
    day,
    item,
    number,
)

LAST_HOURS = 12 * 3600  # an oxygen flow this close to the discharge says that the patient left with oxygen
DISPOSITIONS = {"home": r"\bhome", "exp": r"died|expired|death"}


def identity(record: Record) -> Iterator[Fact]:
    """Name, MRN, both days, the attending."""
    patient = next(record.of("Patient"))
    name = patient["name"][0]
    yield must("critical", "identity", "the patient's name", literal(" ".join([*name["given"], name["family"]])))
    mrn = next((i["value"] for i in patient.get("identifier", ()) if "MR" in codes(i.get("type"))), None)
    if mrn:
        yield must("critical", "identity", "the MRN", literal(mrn))
    days = f"{day(f'{record.start:%Y-%m-%d}')}.*{day(f'{record.end:%Y-%m-%d}')}"
    yield must("high", "dates", "the days of admission and discharge", days)
    for participant in record.encounter.get("participant", ()):
        if "ATND" in codes(participant.get("type")) and (doctor := record.read(participant.get("individual"))):
            yield must("high", "care team", "the attending", literal(doctor["name"][0]["family"]))


def reason(record: Record) -> Iterator[Fact]:
    """The complaint that the emergency department wrote down."""
    for visit in record.of("Encounter"):
        if visit["class"]["code"] == "EMER" and moment(visit["period"]["end"]) == record.start:
            for complaint in visit.get("reasonCode", ()):
                yield must(
                    "high", "reason", f"complaint: {complaint['text']}", item(literal(complaint["text"]), under=REASON)
                )


def diagnoses(record: Record) -> Iterator[Fact]:
    """Those of the stay, those of the problem list that began before its end, and never one of later."""
    yield never("critical", "diagnosis", "a code without a name as a diagnosis", literal(UNKNOWN))
    for condition in record.of("Condition"):
        name, began = next(iter(names(condition["code"])), None), condition.get("onsetDateTime")
        if name is None or not began:
            continue
        told = any_name(condition["code"])
        if record.names_stay(condition):
            yield must("critical", "diagnosis", name, item(told, under=(*DIAGNOSES, *REASON, *PRINCIPAL)))
        elif codes(condition.get("clinicalStatus")) == ["active"] and "problem-list-item" in codes(
            condition["category"]
        ):
            if moment(began) < record.end:
                yield must("high", "diagnosis", name, item(told, under=(*DIAGNOSES, *PRINCIPAL)))
        elif moment(began) > record.end:
            yield never("critical", "diagnosis", f"{name}, of a later visit", item(f"^({told})$", under=DIAGNOSES))


def principal(record: Record) -> Iterator[Fact]:
    """The discharge diagnosis of the first rank is the principal one."""
    for entry in record.encounter.get("diagnosis", ()):
        if entry.get("rank") == 1 and "DD" in codes(entry.get("use")) and (found := record.read(entry["condition"])):
            told = item(any_name(found["code"]), under=PRINCIPAL)
            yield must("critical", "diagnosis", f"{names(found['code'])[0]} is the principal diagnosis", told)


def complications(record: Record) -> Iterator[Fact]:
    """What a progress note calls a complication, which is coded nowhere."""
    for note in record.of_stay("DocumentReference"):
        for content in note.get("content", ()):
            written = base64.b64decode(content["attachment"].get("data", "")).decode()
            for found in re.findall(r"Complications noted \(([^)]+)\)", written):
                for complication in found.split(", "):
                    yield must("high", "diagnosis", f"complication: {complication}", item(literal(complication)))


def family(record: Record) -> Iterator[Fact]:
    """Conditions of relatives."""
    for member in record.of("FamilyMemberHistory"):
        for condition in member.get("condition", ()):
            relative = any_name(member["relationship"])
            told = item(relative, any_name(condition["code"]), under=FAMILY)
            yield must(
                "medium", "family history", f"{names(member['relationship'])[0]}: {names(condition['code'])[0]}", told
            )


def allergies(record: Record) -> Iterator[Fact]:
    """Every allergy, whenever the chart was last touched; that there is none where the record says so."""
    for allergy in record.of("AllergyIntolerance"):
        if "716186003" in codes(allergy["code"]):
            none = r"no known|none known|\bnkd?a\b"
            yield must("critical", "allergy", "no known allergies", item(none, under=ALLERGIES))
        elif codes(allergy.get("clinicalStatus")) == ["active"]:
            name = names(allergy["code"])[0]
            yield must("critical", "allergy", name, item(any_name(allergy["code"]), under=ALLERGIES))


def procedures(record: Record) -> Iterator[Fact]:
    """What was done; the generator's own labels are not names."""
    yield never("high", "procedure", "a raw label of the generator", r"\b(bronchodilator|urinary_catheter|splint): ")
    for procedure in record.of_stay("Procedure"):
        if procedure["status"] == "completed" and (found := names(procedure["code"])):
            name = found[0].partition(": ")[2] or found[0]
            yield must("critical", "procedure", name, item(literal(name), under=(*PROCEDURES, "in hospital", "device")))


def leaving(record: Record) -> Iterator[Fact]:
    """Where to, and how: function, consciousness, resuscitation status, oxygen."""
    if record.disposition in DISPOSITIONS:
        left = item(DISPOSITIONS[record.disposition], under=DISPOSITION)
        yield must("critical", "disposition", f"disposition {record.disposition}", left)
    if record.died:
        yield must("critical", "outcome", "a death summary", Pattern("death summary", ("title",)))
        yield never("critical", "outcome", "medicines to take at home", Pattern("", HOME))
    for code, what, under in (
        ("96761-2", "Barthel", FUNCTION),
        ("80288-4", "consciousness", (*FUNCTION, *VITALS)),
        ("304251008", "resuscitation", CODE_STATUS),
    ):
        if last := _last(record, code):
            value = (
                number(str(last["valueInteger"])) if "valueInteger" in last else any_name(last["valueCodeableConcept"])
            )
            said = item(value, under=under) if what == "resuscitation" else item(what, value, under=under)
            told = f"{what}: {last.get('valueInteger') or names(last['valueCodeableConcept'])[0]}"
            yield must(*(("critical", "code status") if what == "resuscitation" else ("high", "function")), told, said)
    oxygen = _last(record, "3151-8")
    if oxygen and (record.end - moment(oxygen["effectiveDateTime"])).total_seconds() < LAST_HOURS and not record.died:
        flow = f"{oxygen['valueQuantity']['value']:g}"
        yield must("critical", "vital sign", f"oxygen at {flow} L/min at last", item("oxygen", number(flow)))


def _last(record: Record, code: str) -> Resource | None:
    found = (
        one
        for one in record.of_stay("Observation")
        if code in codes(one["code"]) and moment(one["effectiveDateTime"]) <= record.end
    )
    return max(found, key=lambda one: moment(one["effectiveDateTime"]), default=None)
