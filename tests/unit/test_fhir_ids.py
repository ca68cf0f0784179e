"""FHIR ids that are parts of a path: none of them leads anywhere else."""

import re

import pytest
from pydantic import TypeAdapter, ValidationError

from services.ingest.notifications import tasks_in
from shared.clinical.references import parse_url
from shared.contracts.ehr import FhirId
from shared.contracts.subjects import FHIR_ID

GOOD = ["1", "a.b-c", ".hidden", "x" * 64, "." + "x" * 63, "-", "a.."]
BAD = [".", "..", "..x", "x" * 65, "." + "x" * 64, "a/b", "a\n", "\na", "ä", "a b"]


@pytest.mark.parametrize("id", GOOD)
def test_an_id_of_fhir_is_taken(id: str) -> None:
    assert re.fullmatch(FHIR_ID, id)
    assert TypeAdapter(FhirId).validate_python(id) == id
    assert str(parse_url(f"Practitioner/{id}")) == f"Practitioner/{id}"


@pytest.mark.parametrize("id", BAD)
def test_what_would_lead_elsewhere_is_none(id: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(FhirId).validate_python(id)
    assert parse_url(f"Practitioner/{id}") is None or id in ("a\n", "\na", "a/b"), "the first two are trimmed"
    body = {"resourceType": "Bundle", "entry": [{"fullUrl": f"https://ehr.example/Task/{id}"}]}
    assert tasks_in(body) == []


def test_a_reference_that_climbs_names_nobody() -> None:
    assert parse_url("Practitioner/../../x") is None
    assert parse_url("Practitioner/..") is None
    assert parse_url("Practitioner/%2e%2e") is None
