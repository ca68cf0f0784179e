"""What identifies people is collected from a record, wherever it stands."""

from services.drafter.record.identifiers import read_identifiers
from services.drafter.source_record import SourceRecord
from shared.contracts.context import EncounterContext, Identifier

PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "identifier": [{"value": "00881234"}, {"value": "123-45-6789"}, {"value": "none"}],
    "name": [
        {"family": "Example", "given": ["Robin", "Q."], "text": "Robin Example"},
        {"use": "maiden", "family": "Före"},
    ],
    "telecom": [{"system": "phone", "value": "555-0143"}],
    "address": [{"line": ["1 Elm Road"], "city": "Tillson", "postalCode": "61109", "country": "US"}],
    "contact": [{"name": {"text": "Kim Contact"}, "telecom": [{"value": "555-0188"}], "address": {"city": "Norwood"}}],
    "generalPractitioner": [{"display": "Dr. Display Only"}],
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Maiden"}
    ],
    "gender": "female",
}
ENCOUNTER = {
    "resourceType": "Encounter",
    "identifier": {"value": "VN-4711"},
    "participant": [{"individual": {"reference": "Practitioner/d", "display": "Ada Attending"}}],
    "serviceProvider": {"display": "Brightwater Hospital"},
    "location": [{"location": {"reference": "Location/w", "display": "Ward Seven"}}],
}


def found(**entries: object) -> set[tuple[str, str]]:
    record = SourceRecord(dict(ENCOUNTER), dict(PATIENT), {})
    record.entries = {name: [item] for name, item in entries.items()}  # type: ignore[list-item]
    return {(item.kind, item.text) for item in read_identifiers(record)}


def test_names_numbers_contacts_and_addresses_are_collected() -> None:
    assert found() == {
        *(("number", text) for text in ("00881234", "123-45-6789", "VN-4711")),
        *(("person", text) for text in ("Robin Q. Example", "Robin Example", "Före", "Kim Contact", "Maiden")),
        *(("person", text) for text in ("Dr. Display Only", "Ada Attending")),
        *(("contact", text) for text in ("555-0143", "555-0188")),
        *(("address", text) for text in ("1 Elm Road", "Tillson", "61109", "Norwood")),
        *(("organization", text) for text in ("Brightwater Hospital", "Ward Seven")),
    }


def test_people_of_entries_are_collected_and_clinical_words_are_not() -> None:
    observation = {
        "resourceType": "Observation",
        "identifier": [{"value": "result-123456"}],
        "code": {"coding": [{"code": "718-7", "display": "Hemoglobin"}]},
        "performer": [{"display": "Lee, Jordan"}],
        "subject": {"reference": "Patient/p", "display": "Example, Robin"},
    }
    device = {"resourceType": "Device", "serialNumber": "PJN4471902", "type": {"text": "Pacemaker"}}
    relative = {"resourceType": "RelatedPerson", "name": [{"family": "Kessler", "given": ["Annalise"]}]}
    new = found(Observation=observation, Device=device, RelatedPerson=relative) - found()
    assert new == {
        ("person", "Lee, Jordan"),
        ("person", "Example, Robin"),
        ("number", "PJN4471902"),
        ("person", "Annalise Kessler"),
    }


def test_a_record_of_an_earlier_version_has_no_identifiers_and_is_stored_as_before() -> None:
    fields = EncounterContext.model_fields
    assert fields["identifiers"].default is None
    stored = Identifier(kind="person", text="Robin").model_dump_json()
    assert Identifier.read(stored.encode()).text == "Robin"
