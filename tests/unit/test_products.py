"""Whether a medicine goes on as the same product: what a name leaves unsaid of salt, release and form is asked."""

from typing import Any

import pytest

from services.drafter.record import build_context
from tests.unit.test_order_sorting import asked
from tests.unit.test_reconciliation import changes, discharge, home
from tests.unit.test_record import record

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def compared(before: str, after: str, **more: Any) -> list[tuple[str, str]]:
    return changes(home(before, "1 daily"), discharge(after, "1 daily", **more))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Lopressor 50 mg", "metoprolol succinate 50 mg"),
        ("Lopressor 50 mg", "metoprolol succinate ER 50 mg"),
        ("Toprol 50 mg", "metoprolol tartrate 50 mg"),
        ("Metoprolol 50 mg", "Metoprololsuccinat 50 mg"),
        ("Metoprolol 50 mg", "metoprololtartraat 50 mg"),
        ("metoprolol tartrate 50 mg", "Lopressor 50 mg"),
        ("Wellbutrin 150 mg", "bupropion XL 150 mg"),
        ("diclofenac 50 mg", "diclofenac sodium 50 mg"),
        ("bupropion SR 150 mg", "bupropion XL 150 mg"),
    ],
)
def test_what_one_name_does_not_say_of_the_product_is_not_clear(before: str, after: str) -> None:
    assert compared(before, after) == [(after, "unclear")]
    orders = [home(before, "1 daily"), discharge(after, "1 daily")]
    text = f"{after}, 1 daily: one of them does not say salt or release form, confirm the product (before: {before}"
    found = asked(build_context(record({"MedicationRequest": orders})))
    assert text in found or "bupropion SR" in before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Norvasc 5 mg", "amlodipine besylate 5 mg"),
        ("atorvastatin 40 mg", "atorvastatin calcium 40 mg"),
        ("Metoprolol succinate ER 50 mg", "metoprolol succinate 50 MG extended release tablet"),
        ("Metoprololsuccinat 47,5 mg retard", "Beloc-Zok metoprolol 47.5 mg"),
        ("Panadol Osteo 665 mg", "paracetamol 665 mg modified release tablet"),
    ],
)
def test_what_leaves_nothing_open_goes_on(before: str, after: str) -> None:
    assert compared(before, after) == [(after, "continued")]


@pytest.mark.parametrize(
    ("coding", "change"),
    [
        ({"code": "866427", "display": "metoprolol succinate 50 MG Extended Release Oral Tablet"}, "continued"),
        ({"code": "6918", "display": "metoprolol"}, "unclear"),
        ({"code": "866427"}, "continued"),
        ({"system": "http://www.whocc.no/atc", "code": "C07AB02"}, "unclear"),
        ({"system": "http://hl7.org/fhir/sid/ndc", "code": "00186-1090-05"}, "continued"),
    ],
)
def test_one_code_of_a_product_is_one_product(coding: dict[str, str], change: str) -> None:
    def coded(text: str) -> dict[str, Any]:
        return {"medicationCodeableConcept": {"text": text, "coding": [{"system": RXNORM} | coding]}}

    before = home("h", "1 daily", **coded("Toprol 50 mg"))
    after = discharge("d", "1 daily", **coded("metoprolol succinate 50 mg"))
    assert changes(before, after) == [("metoprolol succinate 50 mg", change)]


def dosed(text: str, route: str = "") -> dict[str, Any]:
    line = {"text": text} | ({"route": {"text": route}} if route else {})
    return {"dosageInstruction": [line]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("Hydrocortisone 1% cream", ""), ("Hydrocortisone 10 mg tablet", "")),
        (("Timolol eye drops", ""), ("Timolol 10 mg tablets", "")),
        (("Budesonide", "Inhalation"), ("Budesonide", "Oral")),
        (("Budesonid", "nasal"), ("Budesonid", "per os")),
        (("Diclofenac-Salbe", ""), ("Diclofenac Tabletten", "")),
        (("Nitroglycerin patch", ""), ("Nitroglycerin", "Sublingual")),
        (("Miconazol crème", ""), ("Miconazol vaginaal", "")),
        (("Mesalazine zetpil", ""), ("Mesalazine tablet", "")),
    ],
)
def test_different_places_are_different_medicines(before: tuple[str, str], after: tuple[str, str]) -> None:
    found = changes(
        home(before[0], "", **dosed("1 daily", before[1])), discharge(after[0], "", **dosed("1 daily", after[1]))
    )
    assert found == [(after[0], "new"), (before[0], "unclear")]


def test_a_place_that_one_side_does_not_say_is_not_clear() -> None:
    found = changes(home("Diclofenac", "1 daily"), discharge("Diclofenac gel", "1 daily"))
    assert found == [("Diclofenac gel", "unclear")]


def test_by_mouth_and_into_a_vein_are_one_medicine_that_changes() -> None:
    before = home("Furosemide", "", **dosed("40 mg daily", "Oral"))
    assert changes(before, discharge("Furosemide", "", **dosed("40 mg daily", "Intravenous"))) == [
        ("Furosemide", "changed")
    ]


def test_two_places_go_on_beside_each_other() -> None:
    found = changes(
        home("Hydrocortisone cream", "twice daily"),
        home("Hydrocortisone tablet", "10 mg daily"),
        discharge("Hydrocortisone tablet", "20 mg daily"),
        discharge("Hydrocortisone cream", "twice daily"),
    )
    assert sorted(found) == [("Hydrocortisone cream", "continued"), ("Hydrocortisone tablet", "changed")]
