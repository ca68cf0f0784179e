"""The reader's aid: what of a sentence stands in the resources that it cites."""

from tests.stays.beside import Beside
from tests.stays.model import Stay

RESOURCES = (
    {
        "resourceType": "Procedure",
        "id": "p",
        "code": {"text": "Left hip hemiarthroplasty"},
        "performedDateTime": "2026-07-12",
    },
    {"resourceType": "MedicationRequest", "id": "m", "medicationReference": {"reference": "Medication/a/_history/2"}},
    {"resourceType": "Medication", "id": "a", "code": {"text": "Enoxaparin 40 mg"}},
)
BESIDE = Beside(Stay("s", "test", "", "e", RESOURCES))


def test_a_sentence_that_its_resource_says_leaves_nothing() -> None:
    assert BESIDE.missing("Procedure: Left hip hemiarthroplasty (2026-07-12).", ["Procedure/p"]) == ()


def test_what_a_cited_resource_refers_to_is_read_too() -> None:
    assert BESIDE.missing("Started: Enoxaparin 40 mg.", ["MedicationRequest/m"]) == ()


def test_a_name_a_side_and_a_number_of_nowhere_are_named() -> None:
    assert BESIDE.missing("Procedure: Right hip arthrodesis, 350 mL.", ["Procedure/p"]) == (
        "Right",
        "arthrodesis",
        "350",
    )


def test_another_resources_words_do_not_count() -> None:
    assert BESIDE.missing("Started: Enoxaparin 40 mg.", ["Procedure/p"]) == ("Enoxaparin", "40")
