"""Records that are broken, or only look like what they are not: they neither stop a draft nor say what is not so."""

from decimal import Decimal
from typing import Any

import pytest

from services.drafter import facts
from services.drafter.record import build_context
from services.drafter.record import stay as stays
from services.drafter.record.identity import attending_reference, resolve_practitioner
from services.drafter.source_record import SourceRecord
from shared.contracts.context import EncounterContext
from tests.unit.test_record import encounter, observation

MOTHER = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Doe"}]}


def lines(context: EncounterContext) -> str:
    """Every fact of the document and what was left out of it."""
    told = [fact.text for part in facts.render(context) for group in part.groups for fact in group.facts]
    return "\n".join([*told, *context.left_out])


def context(entries: dict[str, list[dict[str, Any]]], *, patient: dict[str, Any] = MOTHER, **more: Any) -> str:
    return lines(build_context(SourceRecord(encounter(**more), patient, {}, entries)))


def concept(*codes: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in codes]}


@pytest.mark.parametrize(
    "entry",
    [
        {"valueQuantity": {"value": Decimal("1E+999999999999"), "unit": "mg/dL"}},
        {"valueQuantity": {"value": 10**400, "unit": "mg/dL"}},
        {
            "valueQuantity": {"value": Decimal("1E+999990")},
            "referenceRange": [{"high": {"value": Decimal("1E-999990")}}],
        },
        {"status": ["final"]},
        {"valueString": "no " + "a" * 50_000 + "! detected", "valueQuantity": None},
        {"valueString": "growth", "valueQuantity": None, "interpretation": [{"text": "alert " * 10_000}]},
    ],
)
def test_no_value_stops_a_draft(entry: dict[str, Any]) -> None:
    assert context({"Observation": [observation("o", "2026-06-02", 1.0) | entry]})


@pytest.mark.parametrize("type", ["ServiceRequest", "Procedure", "MedicationRequest", "Consent", "Flag", "CareTeam"])
def test_a_status_that_is_a_list_stops_no_draft(type: str) -> None:
    assert context({type: [{"resourceType": type, "id": "x", "status": ["active"], "intent": ["order"]}]})


def test_a_rank_beyond_any_number_is_none() -> None:
    condition = {"resourceType": "Condition", "id": "c", "code": {"text": "Stroke"}}
    ranked = [{"condition": {"reference": "Condition/c"}, "rank": 10**400}]
    assert "Stroke" in context({"Condition": [condition]}, diagnosis=ranked)


def test_a_chain_of_parts_ends() -> None:
    chain = [
        {"resourceType": "Encounter", "id": f"e{n}", "partOf": {"reference": f"Encounter/e{n - 1}"}}
        for n in range(2, 2_000)
    ]
    whole = {"resourceType": "Encounter", "id": "e1"}
    assert [item["id"] for item in stays.stay_encounters(whole, chain, frozenset())] == [
        f"e{n}" for n in range(1, stays.MAX_PART_OF_DEPTH + 2)
    ]


@pytest.mark.parametrize(
    ("type", "status", "name"),
    [
        ("Condition", ("verificationStatus", "entered-in-error"), "HIV disease"),
        ("Condition", ("clinicalStatus", "resolved"), "Gastritis"),
        ("AllergyIntolerance", ("verificationStatus", "refuted"), "Aspirin"),
        ("AllergyIntolerance", ("clinicalStatus", "inactive"), "Aspirin"),
    ],
)
def test_the_standard_status_counts_wherever_it_stands(type: str, status: tuple[str, str], name: str) -> None:
    field, code = status
    entry = {"resourceType": type, "id": "x", "code": {"text": name}, field: concept(("urn:local", "17"), ("", code))}
    told = context({type: [entry]})
    assert f"{'Diagnosis' if type == 'Condition' else 'Allergy'}: {name}, " in told
    assert not any(line.startswith(name) for line in told.splitlines())


@pytest.mark.parametrize("focus", [{"reference": "Patient/baby"}, {"type": "Patient", "identifier": {"value": "2"}}])
def test_what_is_about_another_person_is_not_told_of_the_patient(focus: dict[str, Any]) -> None:
    told = context({"Observation": [observation("o", "2026-06-02", 3.2) | {"focus": [focus]}]})
    assert "3.2" not in told
    assert "about another person" in told


def test_what_is_about_a_thing_is_told() -> None:
    found = observation("o", "2026-06-02", 3.2) | {"focus": [{"reference": "Device/pump"}]}
    assert "3.2" in context({"Observation": [found]})


@pytest.mark.parametrize(
    ("disposition", "patient", "died"),
    [
        ({"text": "Transfer for deceased donor evaluation"}, {}, False),
        ({"text": "Home; SNF authorization expired"}, {}, False),
        ({"text": "Transferred, brain death excluded"}, {}, False),
        ({"text": "Home hospice, death expected"}, {}, False),
        (
            {"coding": [{"system": "urn:x:discharge-disposition", "code": "20", "display": "Home with services"}]},
            {},
            False,
        ),
        ({"coding": [{"code": "20", "display": "Rehabilitation"}]}, {}, False),
        ({"text": "Home"}, {"deceasedBoolean": True}, False),
        ({"text": "Home"}, {"deceasedDateTime": "2026-06-03T22:30:00Z"}, False),
        ({"coding": [{"code": "20"}]}, {}, True),
        ({"text": "Expired"}, {}, True),
        ({"text": "Patient died in hospital"}, {}, True),
        ({"text": "Paciente falleció"}, {}, True),
        ({"text": "Decesso"}, {}, True),
        (None, {"deceasedBoolean": True}, True),
        (None, {"deceasedDateTime": "2026-06-03T22:30:00Z"}, True),
    ],
)
def test_only_a_death_of_the_stay_makes_its_summary(disposition: Any, patient: dict[str, Any], died: bool) -> None:
    stay = encounter(hospitalization={"dischargeDisposition": disposition} if disposition else {})
    stay["period"]["end"] = "2026-06-03T14:00:00Z"
    found = build_context(SourceRecord(stay, MOTHER | patient, {}, {}))
    assert (found.kind == "death-summary") is died
    assert found.died_later is None or not died


def test_the_attending_is_the_one_in_force() -> None:
    def of(code: str, text: str, person: str, **period: str) -> dict[str, Any]:
        return {
            "type": [{"coding": [{"code": code}] if code else [], "text": text}],
            "period": period,
            "individual": {"reference": f"Practitioner/{person}"},
        }

    over = of("ATND", "attender", "first", start="2026-06-02", end="2026-06-02")
    now = of("ATND", "attender", "now", start="2026-06-01")
    assert attending_reference({"participant": [over, now]})["reference"] == "Practitioner/now"
    midwife = of("", "Birth attendant", "midwife")
    general = of("", "Médecin traitant", "general")
    hospital = of("PPRF", "", "hospital")
    assert attending_reference({"participant": [midwife, general, hospital]})["reference"] == "Practitioner/hospital"


@pytest.mark.parametrize(
    "reference",
    [
        "Practitioner/dr-1",
        "https://ehr.example/fhir/Practitioner/dr-1",
        "https://ehr.example/fhir/Practitioner/dr-1/_history/3",
        "PractitionerRole/r1",
        "https://ehr.example/fhir/PractitionerRole/r1",
    ],
)
def test_the_attending_is_known_by_one_name_however_the_record_writes_it(reference: str) -> None:
    """Whoever signs is compared with it: in another spelling the physician would be nobody's."""
    people: dict[str, dict[str, Any]] = {
        "Practitioner/dr-1": {"resourceType": "Practitioner", "id": "dr-1", "name": [{"family": "Doe"}]},
        "PractitionerRole/r1": {"resourceType": "PractitionerRole", "practitioner": {"reference": "Practitioner/dr-1"}},
    }
    bases = frozenset({"ehr.example/fhir"})
    assert resolve_practitioner({"reference": reference}, people, bases) == ("Practitioner/dr-1", "Doe")


def by_number(system: str | None, value: str, **more: Any) -> dict[str, Any]:
    named = {"value": value} | ({"system": system} if system else {})
    return observation("o", "2026-06-02", 4.4, subject={"identifier": named} | more)


NUMBERED = MOTHER | {"identifier": [{"system": "urn:oid:1.2", "value": "77"}, {"value": "K-9"}]}


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        (by_number("urn:oid:1.2", "77"), True),
        (by_number(None, "77"), True),
        (by_number("urn:oid:9.9", "K-9"), True),
        (by_number("urn:oid:1.2", "78"), False),
        (by_number("urn:oid:9.9", "77"), False),
        (by_number(None, "078"), False),
        (by_number("urn:oid:1.2", "77", type="Group"), False),
        (by_number(None, "", reference="Patient?identifier=urn:oid:1.2|77"), True),
        (by_number(None, "", reference="Patient?identifier=urn:oid:1.2|78"), False),
    ],
)
def test_a_subject_by_number_is_the_patient_only_with_the_patients_number(entry: dict[str, Any], ours: bool) -> None:
    told = build_context(SourceRecord(encounter(), NUMBERED, {}, {"Observation": [entry]}))
    assert ("Potassium 4.4" in lines(told)) == ours
    left_out = "Result: Potassium, of a patient with another number"
    assert (left_out in told.left_out) != ours
    assert any("another number" in point.text for point in told.open_points) != ours


@pytest.mark.parametrize(
    ("inner", "told", "reason"),
    [
        ({"identifier": [{"system": "urn:oid:5", "value": "1"}, {"system": "urn:oid:1.2", "value": "77"}]}, True, ""),
        ({"identifier": [{"system": "urn:oid:1.2", "value": "78"}]}, False, "of a patient with another number"),
        ({"name": [{"text": "Doe"}]}, False, "of a patient whom only the entry itself describes, without a number"),
    ],
)
def test_a_contained_subject_is_the_patient_by_its_number_or_is_asked_about(
    inner: dict[str, Any], told: bool, reason: str
) -> None:
    contained = [{"resourceType": "Patient", "id": "p"} | inner]
    entry = observation("o", "2026-06-02", 4.4, subject={"reference": "#p"}, contained=contained)
    found = build_context(SourceRecord(encounter(), NUMBERED, {}, {"Observation": [entry]}))
    assert ("Potassium 4.4" in lines(found)) == told
    assert found.left_out == (() if told else (f"Result: Potassium, {reason}",))
    assert any(reason in point.text and "Potassium" in point.text for point in found.open_points) != told
