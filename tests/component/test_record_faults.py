"""Inputs on which drafts were wrong once: each must be told right. The inputs are shared data, not committed here."""

import json
from pathlib import Path

import pytest

from services.drafter import document_header, facts
from services.drafter.record import build_context
from services.drafter.source_record import SourceRecord
from shared.contracts.context import EncounterContext

FAULTS = Path(__file__).parents[3] / "shared/data/faults"


def drafted(number: str) -> tuple[EncounterContext, dict[str, list[str]]]:
    """The context of a fault's input and its facts by heading."""
    folder = next(FAULTS.glob(f"{number}-*"), None)
    if folder is None:
        pytest.skip("../shared/data/faults is not there")
    found = json.loads((folder / "input.json").read_text())
    context = build_context(SourceRecord(found["encounter"], found["patient"], {}, found["entries"]))
    groups = [group for part in facts.render(context) for group in part.groups]
    return context, {group.title: [fact.text for fact in group.facts] for group in groups}


def test_every_digit_of_doses_and_results_stays() -> None:
    _, groups = drafted("01")
    assert groups["Medications to take at home"] == [
        "Levothyroxine, 0.125 mg oral",
        "Digoxin, 0.0625 mg",
        "Fentanyl patch, 0.025 mg",
    ]
    assert groups["Laboratory results within range (last values)"] == ["Troponin T 0.004 µg/L"]
    assert groups["Laboratory results, no reference range given or not comparable"] == ["pH 7.345 on 2026-06-02"]


def test_what_the_record_does_not_judge_is_not_within_range() -> None:
    _, groups = drafted("03")
    assert groups["Laboratory results within range (last values)"] == ["None recorded"]
    assert [
        text.partition(" on ")[0] for text in groups["Laboratory results, no reference range given or not comparable"]
    ] == [
        "Potassium 7.1 mmol/L",
        "Hemoglobin 5.2 g/dL",
    ]
    assert "SARS-CoV-2 RNA Detected" in groups["Abnormal laboratory results"][0]


def test_every_dosage_of_an_order_is_told() -> None:
    _, groups = drafted("05")
    assert groups["Medications to take at home"] == [
        "Prednisone, 40 mg daily for 5 days; then 20 mg daily for 5 days; then stop",
        "Insulin glargine, 20 units in the morning; and 10 units at bedtime",
    ]


def test_two_orders_of_one_medicine_are_two() -> None:
    _, groups = drafted("07")
    assert groups["Medications to take at home"] == [
        "Insulin, 10 units before breakfast",
        "Insulin, 6 units before dinner",
        "Morphine, 15 mg SR twice daily",
        "morphine, 5 mg IR as needed",
    ]


def test_what_is_not_to_be_given_is_not_to_be_taken() -> None:
    context, groups = drafted("08")
    assert groups["Medications to take at home"] == ["None recorded"]
    assert groups["Medications not to take"] == ["Do not take: Ibuprofen, 400 mg three times daily"]
    assert context.left_out == ("Medication order: Metformin, a proposal, not an order",)


def test_a_death_that_is_told_by_a_code_of_another_table_is_a_death() -> None:
    context, groups = drafted("10")
    assert context.died
    assert "Medications to take at home" not in groups


def test_versioned_references_name_the_stay() -> None:
    _, groups = drafted("11")
    assert groups["Principal diagnosis"] == ["Pulmonary embolism"]
    assert groups["Abnormal laboratory results"][0].startswith("Potassium 7.1 mmol/L (high)")
    assert groups["Medications to take at home"] == ["Apixaban, 5 mg twice daily"]


def test_loinc_counts_wherever_it_stands_among_the_codes() -> None:
    _, groups = drafted("13")
    assert groups["Last vital signs"] == ["Heart rate 131 /min", "Blood pressure 80/40 mmHg"]


def test_a_date_is_a_whole_day() -> None:
    _, groups = drafted("14")
    assert groups["Abnormal laboratory results"][0].startswith("Potassium 7.1")
    assert groups["Procedures"] == ["Central line removal, 2026-06-04"]
    assert groups["Medications to take at home"] == ["Apixaban, 5 mg twice daily"]


def test_a_social_security_number_is_no_record_number_and_an_old_name_no_name() -> None:
    context, _ = drafted("16")
    assert document_header.header(context)[0].text == "Patient: Ann Doe, born 1950-02-03, female, MRN not recorded"
