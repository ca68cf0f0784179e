"""Build the context of a stay from its record."""

from datetime import datetime

from services.drafter import kinds
from services.drafter.kinds import KindRegistry
from services.drafter.record import (
    clinical_notes,
    identity,
    stay,
    stay_attribution,
)
from services.drafter.record.context_builder import ContextBuilder
from services.drafter.record.scope import StayScope
from services.drafter.source_record import SourceRecord
from shared.clinical import elements, fhir_datetime, references
from shared.clinical.elements import Resource
from shared.contracts.context import EncounterContext


def build_context(
    record: SourceRecord, known: KindRegistry | None = None, department: str | None = None
) -> EncounterContext:
    """Return the context of a record for the known kinds of documents and the stay's department.

    Raises PermanentError when the encounter is no stay, or has not ended.
    """
    stay.check_is_stay(record.encounter)
    end = stay.ended_at(record.encounter, record.occurred_at, record.zone)
    encounters = stay.stay_encounters(record.encounter, record.of("Encounter"), record.bases)
    scope = _stay_scope(record, encounters, end)
    entries = _entries_of(record, scope)
    scope.origins = stay_attribution.entries_of_stay(entries, record.people, scope, record.bases)
    patient = identity.read_patient(record.patient, scope, elements.child(record.encounter, "serviceProvider"))
    builder = ContextBuilder(record, entries, encounters, scope, patient)
    return builder.build(known or kinds.load_shipped_kinds(), department)


def notes_to_fetch(record: SourceRecord) -> list[Resource]:
    """Return documents of the stay whose text must be fetched, or parsed from another format.

    Raises PermanentError as `build_context` does.
    """
    end = stay.ended_at(record.encounter, record.occurred_at, record.zone)
    scope = _stay_scope(record, stay.stay_encounters(record.encounter, record.of("Encounter"), record.bases), end)
    return list(clinical_notes.documents_to_fetch(_entries_of(record, scope)["DocumentReference"], scope))


def _stay_scope(record: SourceRecord, encounters: list[Resource], end: datetime) -> StayScope:
    fallback = stay.offset_of(record.encounter)
    return StayScope(
        encounters=references.reference_targets(encounters, record.bases),
        start=fhir_datetime.parse(elements.child(record.encounter, "period").get("start"), record.zone, fallback),
        end=end,
        end_of_day=fhir_datetime.day_bounds(end, record.zone)[1],
        zone=record.zone,
        fallback=fallback,
    )


def _entries_of(record: SourceRecord, scope: StayScope) -> dict[str, list[Resource]]:
    """Return the entries about this patient, or about a record that was merged with theirs."""
    patients = identity.patient_targets([record.patient, *record.of("Patient")], record.bases)
    return {type: list(identity.entries_about(record.of(type), patients, scope)) for type in record.entries}
