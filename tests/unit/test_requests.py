"""Referrals, oxygen and nutrition are told with their urgency, side, rate, end and performer."""

from typing import Any

import pytest

from services.drafter.record import build_context
from tests.unit.test_record import ENC, record


def service(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": "s",
        "status": "active",
        "intent": "order",
        "encounter": ENC,
        "authoredOn": "2026-06-03",
        "code": {"text": "Referral to orthopedics"},
    } | more


def told(resource: dict[str, Any], **others: list[dict[str, Any]]) -> str:
    (entry,) = build_context(record({resource["resourceType"]: [resource], **others})).services
    return entry.text


LEFT = {
    "url": "http://hl7.org/fhir/StructureDefinition/BodyStructure-Laterality",
    "valueCodeableConcept": {"text": "left"},
}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"priority": "urgent"}, ", urgent"),
        ({"priority": "asap"}, ", as soon as possible"),
        ({"priority": "stat"}, ", immediately (stat)"),
        ({"bodySite": [{"text": "Left knee"}]}, ", Left knee"),
        ({"bodySite": [{"text": "Knee", "extension": [LEFT]}]}, ", Knee, left"),
        ({"quantityQuantity": {"value": 2, "unit": "L/min"}}, ", 2 L/min"),
        (
            {"quantityRange": {"low": {"value": 1, "unit": "L/min"}, "high": {"value": 2, "unit": "L/min"}}},
            ", 1-2 L/min",
        ),
        (
            {"quantityRatio": {"numerator": {"value": 2, "unit": "L"}, "denominator": {"value": 1, "unit": "min"}}},
            ", 2 L/min",
        ),
        ({"occurrencePeriod": {"start": "2026-06-10", "end": "2026-07-10"}}, ", from 2026-06-10 until 2026-07-10"),
        ({"occurrencePeriod": {"start": "2026-06-03", "end": "2026-07-10"}}, ", from 2026-06-03 until 2026-07-10"),
        ({"occurrencePeriod": {"end": "2026-07-10"}}, ", until 2026-07-10"),
        ({"occurrenceDateTime": "2026-06-10"}, ", on 2026-06-10"),
        ({"performerType": {"text": "Knee surgeon"}}, ", Knee surgeon"),
        ({"performer": [{"display": "Dr. Bone"}]}, ", Dr. Bone"),
        ({"locationReference": [{"display": "Clinic B"}]}, ", at Clinic B"),
        ({"reasonReference": [{"reference": "Condition/c"}]}, ", for Torn meniscus"),
        ({"asNeededBoolean": True}, ", as needed"),
    ],
)
def test_a_referral_says_all_of_its_details(more: dict[str, Any], words: str) -> None:
    condition = {"resourceType": "Condition", "id": "c", "code": {"text": "Torn meniscus"}}
    assert told(service(**more), Condition=[condition]) == f"Referral to orthopedics{words}"


def test_a_routine_referral_has_no_urgency() -> None:
    assert told(service(priority="routine")) == "Referral to orthopedics"


def test_oxygen_says_its_flow_and_its_end() -> None:
    oxygen = service(resourceType="DeviceRequest", code=None, codeCodeableConcept={"text": "Home oxygen concentrator"})
    oxygen["parameter"] = [{"code": {"text": "Flow rate"}, "valueQuantity": {"value": 2, "unit": "L/min"}}]
    oxygen["occurrencePeriod"] = {"start": "2026-06-04", "end": "2026-12-04"}
    oxygen["performer"] = {"display": "Oxy Supplies"}
    words = "Home oxygen concentrator, Flow rate 2 L/min, from 2026-06-04 until 2026-12-04, Oxy Supplies"
    assert told(oxygen) == words


def test_a_device_that_is_referred_to_is_named() -> None:
    device = {"resourceType": "Device", "id": "d", "deviceName": [{"name": "AirCurve 10"}]}
    request = service(resourceType="DeviceRequest", code=None, codeReference={"reference": "Device/d"})
    assert told(request, Device=[device]) == "AirCurve 10"


def diet(**more: Any) -> str:
    order = {
        "resourceType": "NutritionOrder",
        "id": "n",
        "status": "active",
        "encounter": ENC,
        "dateTime": "2026-06-03",
    }
    (entry,) = build_context(record({"NutritionOrder": [order | more]})).diet
    return entry.text


DAILY = {"repeat": {"frequency": 3, "period": 1, "periodUnit": "d"}}


def test_tube_feeding_says_product_rate_and_limit() -> None:
    formula = {
        "baseFormulaType": {"text": "High-protein formula"},
        "baseFormulaProductName": "Nutrison 1.2",
        "routeofAdministration": {"text": "Nasogastric tube"},
        "caloricDensity": {"value": 1.2, "unit": "kcal/mL"},
        "administration": [{"rateQuantity": {"value": 75, "unit": "mL/h"}, "schedule": DAILY}],
        "maxVolumeToDeliver": {"value": 1800, "unit": "mL"},
        "administrationInstruction": "Head of the bed at 30 degrees",
    }
    assert diet(enteralFormula=formula) == (
        "Nutrison 1.2 (High-protein formula), 1.2 kcal/mL, Nasogastric tube, at 75 mL/h three times daily, "
        "at most 1800 mL, Head of the bed at 30 degrees"
    )
    ratio = {"numerator": {"value": 75, "unit": "mL"}, "denominator": {"value": 1, "unit": "h"}}
    assert diet(enteralFormula={"administration": [{"rateRatio": ratio}]}) == "at 75 mL/h"


def test_an_oral_diet_says_type_texture_and_nutrients() -> None:
    oral = {
        "type": [{"text": "Dysphagia diet"}],
        "texture": [{"modifier": {"text": "Minced"}, "foodType": {"text": "meat"}}],
        "nutrient": [{"modifier": {"text": "Sodium"}, "amount": {"value": 2, "unit": "g"}}],
        "fluidConsistencyType": [{"text": "Mildly thick"}],
        "schedule": [DAILY],
    }
    found = diet(oralDiet=oral, excludeFoodModifier=[{"text": "grapefruit"}])
    assert found == "Dysphagia diet, Minced (meat), Sodium 2 g, Mildly thick, three times daily, without grapefruit"


def test_a_supplement_says_how_much_and_how_often() -> None:
    supplement = {
        "type": {"text": "Protein drink"},
        "productName": "Ensure Plus",
        "quantity": {"value": 200, "unit": "mL"},
    }
    found = diet(supplement=[supplement | {"schedule": [DAILY]}])
    assert found == "Ensure Plus (Protein drink), 200 mL, three times daily"


def test_a_performer_that_is_only_referred_to_is_named() -> None:
    people = {
        "PractitionerRole/r": {"resourceType": "PractitionerRole", "practitioner": {"reference": "Practitioner/b"}},
        "Practitioner/b": {"resourceType": "Practitioner", "name": [{"family": "Bone", "prefix": ["Dr."]}]},
    }
    made = record({"ServiceRequest": [service(performer=[{"reference": "PractitionerRole/r"}])]})
    made.people = people
    (entry,) = build_context(made).services
    assert entry.text == "Referral to orthopedics, Dr. Bone"
