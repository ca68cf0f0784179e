"""List resources that a record only references: people, places, medications, devices, specimens. Pure."""

from collections.abc import Iterable, Iterator

from services.drafter.record.identity import attending_reference as attending_of
from services.drafter.source_record import SourceRecord
from shared.clinical import elements, fhir_datetime, references
from shared.clinical.elements import Resource

MAX_SPECIMENS = 20  # that are read, each by a request
MAX_AUTHORS = 40  # of notes, likewise


def referenced_resources(record: SourceRecord) -> Iterable[str]:
    """Return the references to practitioners, organizations, medications and devices."""
    named = [
        attending_of(record.encounter),
        {"reference": record.attending},
        elements.child(record.encounter, "serviceProvider"),
    ]
    for type in ("MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense"):
        named += [elements.child(item, "medicationReference") for item in record.of(type)]
    named += [elements.child(elements.child(record.encounter, "hospitalization"), "destination")]
    named += [elements.child(item, "device") for item in record.of("DeviceUseStatement")]
    named += [
        elements.child(part, "manipulated")
        for item in record.of("Procedure")
        for part in elements.children(item, "focalDevice")
    ]
    named += [
        elements.child(part, "member")
        for item in record.of("CareTeam")
        if elements.string(item, "status") in ("active", "proposed", None)
        for part in elements.children(item, "participant")
        if not elements.string(elements.child(part, "member"), "display")
    ]
    named += list(_authors(record))
    named += _request_references(record)
    named += _listed_medications(record)
    named += list(_late_specimens(record))[:MAX_SPECIMENS]
    found = (references.relative(element, record.bases) for element in named)
    return (reference for reference in found if reference and not reference.startswith("Patient/"))


def _authors(record: SourceRecord) -> Iterator[Resource]:
    """Yield the authors of notes that are only referenced; few people write them all."""
    named: dict[str, Resource] = {}
    for item in record.of("Composition", "DocumentReference", "ClinicalImpression"):
        for element in (*elements.children(item, "author"), elements.child(item, "assessor")):
            if not elements.string(element, "display"):
                named.setdefault(str(element.get("reference")), element)
    yield from list(named.values())[:MAX_AUTHORS]


def _request_references(record: SourceRecord) -> Iterator[Resource]:
    """Yield the requester and place of active orders without a display."""
    for item in record.of("ServiceRequest", "DeviceRequest"):
        if elements.string(item, "status") == "active":
            for name in ("performer", "locationReference", "codeReference"):
                yield from (part for part in elements.children(item, name) if not elements.string(part, "display"))


def _listed_medications(record: SourceRecord) -> Iterator[Resource]:
    """Yield the Medications that medication lists name; orders and statements are searched for."""
    named = [elements.child(entry, "item") for item in record.of("List") for entry in elements.children(item, "entry")]
    named += [
        element
        for item in record.of("Composition")
        for section in elements.children(item, "section")
        for element in elements.children(section, "entry")
    ]
    yield from (item for item in named if (references.relative(item, record.bases) or "").startswith("Medication/"))


def _references_of(found: Iterable[Resource], bases: frozenset[str]) -> Iterable[str]:
    for item in found:
        named = [elements.child(item, "practitioner")] if item.get("resourceType") == "PractitionerRole" else []
        named += [elements.child(part, "itemReference") for part in elements.children(item, "ingredient")]
        yield from (reference for element in named if (reference := references.relative(element, bases)))


def _late_specimens(record: SourceRecord) -> Iterator[Resource]:
    """Yield specimens of reports without an encounter that were issued after the stay's last known moment.

    The time of collection tells whether such a report is the stay's (`record/stay_attribution.py`).
    """
    ended = fhir_datetime.parse(elements.child(record.encounter, "period").get("end"))
    ends = [time for time in (ended.begins if ended else None, record.occurred_at) if time is not None]
    for item in record.of("DiagnosticReport", "Observation"):
        issued = fhir_datetime.parse(item.get("issued") or item.get("effectiveDateTime"))
        if item.get("encounter") or issued is None or (ends and issued.ends <= min(ends)):
            continue
        yield from elements.children(item, "specimen")
