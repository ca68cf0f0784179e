"""A value is judged only by a range that is surely its own: the person's, in its unit, and read as it was written."""

from typing import Any

import pytest

from services.drafter.record import build_context
from services.drafter.record.interpretation import judgement_of
from services.drafter.record.reference_ranges import RangeSubject
from services.drafter.source_record import SourceRecord
from tests.unit.test_record import encounter, observation
from tests.unit.test_untrusted_record import lines

MAN, WOMAN = RangeSubject("male", 40.0), RangeSubject("female", 40.0)


def measured(value: float, unit: str, *ranges: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "unit": unit}, "referenceRange": list(ranges)} | more


def between(low: float, high: float, unit: str = "", **more: Any) -> dict[str, Any]:
    return {"low": {"value": low, "unit": unit}, "high": {"value": high, "unit": unit}} | more


@pytest.mark.parametrize(
    ("result", "person", "expected"),
    [
        (measured(250_000, "/uL", {"text": "150,000-400,000"}), MAN, None),
        (measured(8_000, "/uL", {"text": "4,500 - 11,000 /uL"}), MAN, None),
        (measured(12.5, "g/dL", {"text": "13-17 (M), 12-15 (F)"}), WOMAN, None),
        (measured(50, "ng/mL", {"text": "18-65 years: 15-150"}), MAN, None),
        (measured(80, "umol/L", between(0.6, 1.2, "mg/dL")), MAN, None),
        (measured(8, "mg/L", {"text": "0-0.5 mg/dL"}), MAN, None),
        (measured(0.3, "mg/dL", {"text": "0-0.5 mg/dL (fasting)"}), MAN, "normal"),
        (measured(0.04, "ng/mL", {"text": "<0.04"}), MAN, "high"),
        (measured(0.04, "ng/mL", {"text": "<=0.04"}), MAN, "normal"),
        (measured(0.03, "ng/mL", {"text": "<0.04"}), MAN, "normal"),
        (measured(250, "10^9/L", {"text": "150-400 10^9/L"}), MAN, "normal"),
        (
            measured(11.5, "g/dL", between(13, 17, "g/dL"), between(11, 14, appliesTo=[{"text": "pregnant"}])),
            MAN,
            "low",
        ),
        (
            measured(12.5, "g/dL", between(13, 17, appliesTo=[{"text": "male"}]), between(12, 15)),
            WOMAN,
            "normal",
        ),
        (
            measured(
                7.1,
                "mmol/L",
                between(3.5, 5.1),
                between(2.5, 6.5, type={"text": "critical"}),
                interpretation=[{"coding": [{"code": "H"}]}],
            ),
            MAN,
            "critically high",
        ),
    ],
)
def test_a_value_is_judged_by_its_own_range(result: dict[str, Any], person: RangeSubject, expected: str | None) -> None:
    assert judgement_of(result, person) == expected


@pytest.mark.parametrize(
    "words",
    [
        "None detected",
        "Detected: none",
        "nachgewiesen: nein",
        "Absence of growth",
        "Culture without growth",
        "No evidence of significant bacterial growth",
    ],
)
def test_a_negation_is_no_finding(words: str) -> None:
    assert judgement_of({"valueString": words}, MAN) is None


@pytest.mark.parametrize("words", ["Detected", "Growth of Escherichia coli", "SARS-CoV-2 detected, no other virus"])
def test_a_finding_is_one(words: str) -> None:
    assert judgement_of({"valueString": words}, MAN) == "abnormal"


@pytest.mark.parametrize(
    ("value", "range", "expected"),
    [
        ({"valueString": "11.200"}, between(4000, 10000), None),
        ({"valueString": "1.250"}, between(150, 400), None),
        ({"valueString": "11.200"}, {"text": "4.000-10.000"}, "high"),
        ({"valueString": "8.200"}, {"text": "4.000-10.000"}, "normal"),
        ({"valueString": "1.015"}, {"text": "1.005-1.030"}, "normal"),
        ({"valueString": "1.015"}, between(1.005, 1.030), "normal"),
        ({"valueQuantity": {"value": 5000}}, {"text": "4.000-10.000"}, None),
        ({"valueQuantity": {"value": 1.015}}, {"text": "1.005-1.030"}, "normal"),
        ({"valueString": "0.125"}, between(0.1, 0.2), "normal"),
    ],
)
def test_a_number_that_may_be_thousands_is_judged_where_both_readings_agree(
    value: dict[str, Any], range: dict[str, Any], expected: str | None
) -> None:
    assert judgement_of(value | {"referenceRange": [range]}, MAN) == expected


def aimed(low: float, high: float, code: str = "treatment") -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"
    return between(low, high, "mg/L", type={"coding": [{"system": system, "code": code}]})


def told(name: str, value: float, *ranges: dict[str, Any]) -> str:
    level = observation(
        "o",
        "2026-06-02T08:00:00Z",
        value,
        code={"text": name},
        valueQuantity={"value": value, "unit": "mg/L"},
        referenceRange=list(ranges),
    )
    found = build_context(
        SourceRecord(encounter(), {"resourceType": "Patient", "id": "p1"}, {}, {"Observation": [level]})
    )
    return next(line for line in lines(found).splitlines() if line.startswith(name))


@pytest.mark.parametrize("code", ["treatment", "therapeutic"])
def test_a_drug_level_is_held_against_the_therapeutic_range(code: str) -> None:
    assert told("Vancomycin", 24, aimed(10, 20, code)) == (
        "Vancomycin 24 mg/L (high) on 2026-06-02; therapeutic range 10-20 mg/L"
    )
    assert told("Vancomycin", 15, aimed(10, 20, code)) == "Vancomycin 15 mg/L (therapeutic range 10-20 mg/L)"
    assert "(low)" in told("Digoxin", 0.3, aimed(0.8, 2, code), between(0, 0.5, "mg/L"))


def test_a_therapeutic_range_in_words_is_one() -> None:
    assert "therapeutic range 10-20 mg/L" in told(
        "Theophylline", 15, between(10, 20, "mg/L", type={"text": "Therapeutic"})
    )


def test_nobody_judges_a_value_of_which_its_ranges_differ() -> None:
    one = told("INR", 2.5, between(0.9, 1.1, "mg/L"), aimed(2, 3))
    assert one == "INR 2.5 mg/L on 2026-06-02; reference 0.9-1.1 mg/L; therapeutic range 2-3 mg/L"
    assert "(high)" in told("INR", 5.5, between(0.9, 1.1, "mg/L"), aimed(2, 3))
