"""Where a patient went, in words, however the record says it."""

from typing import Any

import pytest

from services.drafter.record.stay import disposition

HL7 = "http://terminology.hl7.org/CodeSystem/discharge-disposition"


def stated(**concept: Any) -> str | None:
    return disposition({"hospitalization": {"dischargeDisposition": concept}}, {}, frozenset())


@pytest.mark.parametrize(
    ("concept", "words"),
    [
        ({"coding": [{"system": HL7, "code": "snf"}]}, "Skilled nursing facility"),
        ({"coding": [{"system": HL7, "code": "aadvice", "display": "aadvice"}]}, "Left against advice"),
        ({"text": "rehab", "coding": [{"system": "urn:local", "code": "REHAB"}]}, "Rehabilitation"),
        ({"text": "home", "coding": [{"system": HL7, "code": "home", "display": "Home"}]}, "Home"),
        ({"text": "Home with parents", "coding": [{"system": HL7, "code": "home"}]}, "Home with parents"),
        ({"text": "long"}, "long"),  # no code says that the word is one
        ({"coding": [{"system": "urn:local", "code": "snf"}]}, "code snf (urn:local)"),
    ],
)
def test_a_code_in_the_place_of_words_is_told_in_words(concept: dict[str, Any], words: str) -> None:
    assert stated(**concept) == words
