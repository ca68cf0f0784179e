"""Cultures as trees of observations; broken trees neither hang nor vanish."""

from typing import Any

import pytest

from services.drafter.record import build_context
from services.drafter.source_record import SourceRecord
from tests.unit.test_record import ENC, encounter


def result(id: str, name: str, *members: str, **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "encounter": ENC,
        "code": {"text": name},
        "effectiveDateTime": "2026-06-02T08:00:00Z",
        "hasMember": [{"reference": f"Observation/{member}"} for member in members],
    }
    return found | more


def told(*observations: dict[str, Any]) -> list[str]:
    record = SourceRecord(encounter(), {"resourceType": "Patient", "id": "p1"}, {}, {"Observation": list(observations)})
    return [item.text for item in build_context(record).microbiology]


def test_a_culture_is_told_with_its_organisms_and_their_susceptibilities() -> None:
    resistant = {"interpretation": [{"coding": [{"code": "R"}]}]}
    tree = [
        result("c", "Urine culture", "o", valueString=">100,000 CFU/mL"),
        result("o", "Organism", "s", valueCodeableConcept={"text": "Escherichia coli"}),
        result("s", "Gentamicin", **resistant),
    ]
    assert told(*tree) == ["Urine culture: >100,000 CFU/mL; Organism: Escherichia coli (Gentamicin resistant)"]


def test_what_is_no_part_of_a_culture_stays_a_result() -> None:
    panel = result("p", "Admission tests", "k", "c")
    culture = result("c", "Blood culture", valueString="No growth")
    potassium = result("k", "Potassium", valueQuantity={"value": 4.1, "unit": "mmol/L"})
    assert told(panel, culture, potassium) == ["Admission tests; Blood culture: No growth"]


def test_a_circle_is_told_once() -> None:
    assert told(
        result("a", "Culture", "b", valueString="Candida"), result("b", "Isolate", "a", valueString="Candida")
    ) == ["Culture: Candida; Isolate: Candida"]


def test_a_chain_of_thousands_is_cut_and_raises_nothing() -> None:
    chain = [result(f"m{n}", "Culture", f"m{n + 1}", valueString=f"step {n}") for n in range(3000)]
    (text,) = told(*chain)
    assert text.startswith("Culture: step 0; Culture: step 1;")


def test_cultures_of_one_time_stand_in_the_same_order_whatever_ids_a_server_gives() -> None:
    for first, second in (("a", "b"), ("b", "a")):
        blood = result(first, "Blood culture", valueString="No growth")
        urine = result(second, "Urine culture", valueString="No growth")
        assert told(urine, blood) == ["Blood culture: No growth", "Urine culture: No growth"]


def answer(code: str, **more: Any) -> dict[str, Any]:
    """An answer of which a code reads as a susceptibility, too."""
    return {"valueCodeableConcept": {"coding": [{"code": code, "display": more.pop("display", "")}]}} | more


@pytest.mark.parametrize("code", ["S", "I", "R", "NS", "SDD"])
@pytest.mark.parametrize(
    "name",
    ["HIV 1+2 antibody", "Tobacco use", "Insulin resistance (HOMA-IR)", "Sodium", "Vancomycin trough"],
)
def test_a_code_alone_makes_no_susceptibility(name: str, code: str) -> None:
    assert not told(result("o", name, **answer(code)))
    assert not told(result("o", name, valueString="x", interpretation=[{"coding": [{"code": code}]}]))
    assert not told(result("o", "Panel", component=[{"code": {"text": name}} | answer(code)]))


def test_words_alone_make_none() -> None:
    assert not told(result("o", "Growth hormone", valueCodeableConcept={"text": "Resistant"}))


@pytest.mark.parametrize(
    "tree",
    [
        (result("o", "Ampicillin [Susceptibility]", **answer("R")),),
        (result("o", "Cefotaxime", interpretation=[{"coding": [{"code": "S"}]}]),),
        (
            result("p", "Bacterium", "o", valueCodeableConcept={"text": "Klebsiella pneumoniae"}),
            result("o", "AMX", interpretation=[{"coding": [{"code": "R"}]}]),
        ),
        (result("o", "Escherichia coli", component=[{"code": {"text": "CIP"}} | answer("I")]),),
    ],
)
def test_an_antibiotic_or_an_organism_makes_one(tree: tuple[dict[str, Any], ...]) -> None:
    assert len(told(*tree)) == 1
