"""Collect what identifies people in a record: names, numbers, contact details, addresses, and places of care."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.drafter.source_record import SourceRecord
from shared.clinical.elements import Resource
from shared.contracts.context import Identifier


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Their identifiers are numbers of people, devices and orders; those of other resources stand in no text.
_NUMBERED = _word_set(
    "Patient RelatedPerson Practitioner PractitionerRole Encounter EpisodeOfCare Account Coverage Device"
    " DiagnosticReport ServiceRequest ImagingStudy Specimen DocumentReference Appointment"
)
_PEOPLE = ("Practitioner", "PractitionerRole", "RelatedPerson", "Patient")
_PLACES = ("Organization", "Location", "HealthcareService")
# Elements whose Reference may have a display only.
_PERSON_ELEMENTS = _word_set(
    "author performer actor individual requester recorder asserter attester party practitioner member provider"
    " attending generalPractitioner operator interpreter informationSource source sender who assessor enterer"
)
_PLACE_ELEMENTS = _word_set("serviceProvider custodian managingOrganization organization location destination origin")
_MAIDEN_NAME = "mothersMaidenName"
MIN_NUMBER = 4  # characters


def read_identifiers(record: SourceRecord) -> tuple[Identifier, ...]:
    """Return each identifier of the record once."""
    resources = (
        record.encounter,
        record.patient,
        *record.people.values(),
        *(item for items in record.entries.values() for item in items),
    )
    return tuple(dict.fromkeys(item for resource in resources for item in _of_resource(resource)))


def _of_resource(resource: Resource) -> Iterator[Identifier]:
    type = resource.get("resourceType")
    if type in _NUMBERED:
        for item in _as_dicts(resource.get("identifier")):
            value = item.get("value")
            if isinstance(value, str) and len(value) >= MIN_NUMBER and any(map(str.isdigit, value)):
                yield Identifier(kind="number", text=value)
    if type == "Device":
        yield from (
            Identifier(kind="number", text=resource[name])
            for name in ("serialNumber", "lotNumber", "distinctIdentifier")
            if isinstance(resource.get(name), str)
        )
    if type in _PLACES and isinstance(resource.get("name"), str):
        yield Identifier(kind="organization", text=resource["name"])
    yield from _of_element(resource, "")


def _of_element(value: object, name: str) -> Iterator[Identifier]:
    if isinstance(value, list):
        for item in value:
            yield from _of_element(item, name)
    elif isinstance(value, dict):
        yield from _of_object(value, name)
        for key, item in value.items():
            if isinstance(item, dict | list):
                yield from _of_element(item, key)


def _of_object(value: Mapping[str, Any], name: str) -> Iterator[Identifier]:
    if name == "name" or "family" in value:
        yield from _human_name(value)
    if name == "telecom":
        yield from _identifier_if_text("contact", value.get("value"))
    if name in ("address", "valueAddress"):
        yield from _address_identifiers(value)
    if _MAIDEN_NAME in str(value.get("url")):
        yield from _identifier_if_text("person", value.get("valueString"))
    if (display := value.get("display")) and isinstance(display, str):
        kind = str(value.get("reference") or value.get("type") or "").split("/")
        if any(item in _PEOPLE for item in kind) or name in _PERSON_ELEMENTS:
            yield Identifier(kind="person", text=display)
        elif any(item in _PLACES for item in kind) or name in _PLACE_ELEMENTS:
            yield Identifier(kind="organization", text=display)


def _human_name(name: Mapping[str, Any]) -> Iterator[Identifier]:
    given = name.get("given")
    parts = [*(given if isinstance(given, list) else ()), name.get("family")]
    if joined := " ".join(part for part in parts if isinstance(part, str)):
        yield Identifier(kind="person", text=joined)
    yield from _identifier_if_text("person", name.get("text"))


def _address_identifiers(address: Mapping[str, Any]) -> Iterator[Identifier]:
    lines = address.get("line")
    texts = (*(lines if isinstance(lines, list) else ()), address.get("text"))
    for text in (*texts, address.get("city"), address.get("district"), address.get("postalCode")):
        yield from _identifier_if_text("address", text)


def _identifier_if_text(kind: Any, text: object) -> Iterator[Identifier]:
    if isinstance(text, str) and text.strip():
        yield Identifier(kind=kind, text=text.strip())


def _as_dicts(value: object) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict))
