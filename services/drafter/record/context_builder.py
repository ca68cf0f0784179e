"""Assemble the parts of a stay's context."""

from collections.abc import Iterable, Iterator

from services.drafter import kinds
from services.drafter.kinds import KindChoice, KindRegistry, required_elements
from services.drafter.kinds.classify import clarifying_question
from services.drafter.record import (
    allergies,
    clinical_notes,
    code_status,
    diagnoses,
    directives,
    functional_status,
    identity,
    incidents,
    note_excerpts,
    nutrition,
    open_points,
    plans,
    procedures,
    service_requests,
    stay,
)
from services.drafter.record.diagnosis_roles import DiagnosisRoles
from services.drafter.record.features import read_features
from services.drafter.record.medication import MedicationLists, read_medication
from services.drafter.record.results import ResultReader
from services.drafter.record.scope import StayScope, excluded_lines, source
from services.drafter.source_record import SourceRecord
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Patient


class ContextBuilder:
    """Build the context of one stay."""

    def __init__(
        self,
        record: SourceRecord,
        entries: dict[str, list[Resource]],
        encounters: list[Resource],
        scope: StayScope,
        patient: Patient,
    ) -> None:
        self._record = record
        self._entries = entries
        self._encounters = encounters
        self._scope = scope
        self._patient = patient
        self._results = ResultReader(record, self._resources_of_type, scope, patient)
        self._devices = record.people | {source(item): item for item in self._resources_of_type("Device")}

    def _resources_of_type(self, type: str) -> list[Resource]:
        return self._entries.get(type, [])

    def build(self, known: KindRegistry, department: str | None) -> EncounterContext:
        """Return the context with its open points. `known` are the declared kinds of documents."""
        record = self._record
        death_recorded = stay.died(
            record.encounter, record.patient, self._resources_of_type("Observation"), self._scope
        )
        died = death_recorded or record.died
        destination = stay.destination(record.encounter, record.people, record.bases)
        features = read_features(record, self._scope, died=died, destination=destination, department=department)
        choice = kinds.classify(known, features)
        context = self._read_context(choice, died=died, destination=destination)
        return self._with_open_points(context, choice, death_recorded=death_recorded)

    def _read_context(self, choice: KindChoice, *, died: bool, destination: str | None) -> EncounterContext:
        """Return the context without open points. What each reader leaves out is listed in the order of the calls."""
        record, scope, encounter = self._record, self._scope, self._record.encounter
        bases = record.bases
        passages = note_excerpts.read_note_excerpts(*self._documents(), scope, record.texts)
        notes = clinical_notes.read_notes(
            (item for items in self._documents() for item in items), record.texts, record.people, scope, bases
        )
        measurements = self._results.measurements()
        others = self._results.not_measured()
        reports = self._results.reports()
        allergy_list = allergies.read_allergies(self._resources_of_type("AllergyIntolerance"), scope)
        medication = self._medication(passages)
        attending, attending_name = identity.resolve_practitioner(
            record.attending or identity.attending_reference(encounter), record.people, bases
        )
        organization, organization_name = self._organization()
        directives_in_force, directive_doubts = self._directives()
        complications, incident_doubts = self._incidents()
        cultures = self._results.cultures(measurements.pending)
        return EncounterContext(
            encounter=source(encounter),
            encounter_status=str(encounter.get("status", "")),
            kind=choice.kind.name,
            why=choice.why,
            also=tuple(kind.name for kind in choice.also),
            deceased=died,
            patient=self._patient,
            attending=attending,
            attending_name=attending_name,
            organization=organization,
            organization_name=organization_name,
            service=elements.concept(encounter.get("serviceType")),
            start=scope.start.begins if scope.start else None,
            start_on=scope.start.text if scope.start else None,
            end=scope.end,
            end_on=f"{scope.end:%Y-%m-%d}",
            ongoing=True if record.ongoing and encounter.get("status") != "finished" else None,
            disposition=stay.disposition(encounter, record.people, bases),
            destination=destination,
            died_later=None if died else stay.died_later(record.patient, scope),
            reasons=self._reasons(passages),
            diagnoses=(*self._diagnoses(passages), *complications),
            family_history=tuple(diagnoses.family_history(self._resources_of_type("FamilyMemberHistory"), scope)),
            procedures=self._procedures(passages),
            devices=self._devices_in_place(),
            immunizations=tuple(procedures.immunizations(self._resources_of_type("Immunization"), scope)),
            allergies=allergy_list.entries,
            allergies_unknown=self._why_no_allergies(allergy_list.unknown),
            home_medicines=medication.lists["home"],
            hospital_medicines=medication.lists["hospital"],
            given_medicines=medication.lists["given"],
            discharge_medicines=medication.lists["discharge"],
            other_medicines=medication.lists["other"],
            questions=medication.questions,
            labs=tuple(measurements.labs),
            vitals=tuple(measurements.vitals),
            microbiology=(*cultures, *reports.cultures),
            reports=tuple(reports.entries),
            contradictions=(*measurements.contradictions, *reports.contradictions),
            pending=_distinct_entries([*measurements.pending, *reports.pending, *self._results.requested()]),
            function=tuple(functional_status.functional_status(others, scope)),
            observed=tuple(functional_status.other_observations(others, scope)),
            directives=directives_in_force,
            doubts=(*directive_doubts, *incident_doubts),
            care_plans=tuple(plans.care_plans(self._resources_of_type("CarePlan"), scope)),
            diet=(
                *nutrition.ordered_diets(self._resources_of_type("NutritionOrder"), scope),
                *functional_status.diet_and_activity(others, scope),
            ),
            goals=tuple(plans.goals(self._resources_of_type("Goal"), scope)),
            team=_distinct_entries(plans.care_team(self._resources_of_type("CareTeam"), record.people, scope, bases)),
            services=(*self._services(), *procedures.aftercare_points(self._resources_of_type("Procedure"), scope)),
            follow_up=self._follow_up(),
            outcome=self._outcome(died, passages),
            notes=(
                *note_excerpts.document_evidence(passages, {item.source for item in notes}),
                *medication.evidence,
            ),
            clinical_notes=notes,
            unread=tuple(open_points.RESOURCE_NAMES.get(item.type, item.type) for item in record.unread),
        )

    def _with_open_points(
        self, context: EncounterContext, choice: KindChoice, *, death_recorded: bool
    ) -> EncounterContext:
        """Return the context with what was left out of it, and the questions that it leaves open."""
        record, left_out = self._record, self._scope.left_out
        questions = open_points.open_points(
            context, left_out, record, handed_over=choice.is_transfer_of_care, death_recorded=death_recorded
        )
        return context.model_copy(
            update={
                "left_out": (*open_points.unread_lines(record), *excluded_lines(left_out)),
                "open_points": (
                    *clarifying_question(choice),
                    *questions,
                    *required_elements.missing_element_points((choice.kind, *choice.also), context),
                ),
            }
        )

    def _organization(self) -> tuple[str | None, str | None]:
        """Return reference and name of the hospital; the reference only where the Organization was read."""
        provider = elements.child(self._record.encounter, "serviceProvider")
        organization = references.relative(provider, self._record.bases)
        resource = self._record.people.get(organization or "")
        name = elements.string(resource, "name") or elements.string(provider, "display")
        return organization if organization in self._record.people else None, name

    def _follow_up(self) -> tuple[ContextEntry, ...]:
        """Return the appointments by time; those without a time come last."""
        return tuple(
            sorted(
                plans.appointments(self._resources_of_type("Appointment"), self._scope),
                key=lambda item: (item.time is None, item.time and item.time.timestamp()),
            )
        )

    def _documents(self) -> tuple[list[Resource], list[Resource], list[Resource]]:
        return (
            self._resources_of_type("Composition"),
            self._resources_of_type("DocumentReference"),
            self._resources_of_type("ClinicalImpression"),
        )

    def _why_no_allergies(self, stated: str) -> str:
        unread = any(item.type == "AllergyIntolerance" for item in self._record.unread)
        return "Could not be read from the EHR: ask the patient" if unread else stated

    def _reasons(self, passages: list[note_excerpts.NoteExcerpt]) -> tuple[ContextEntry, ...]:
        stated = diagnoses.admission_reasons(self._encounters, self._resources_of_type("Condition"), self._record.bases)
        return _distinct_entries([*stated, *note_excerpts.complaints(passages)])

    def _diagnoses(self, passages: list[note_excerpts.NoteExcerpt]) -> tuple[Diagnosis, ...]:
        roles = DiagnosisRoles(self._encounters, self._record.bases)
        recorded = list(diagnoses.read_diagnoses(self._resources_of_type("Condition"), roles, self._scope))
        named = [
            Diagnosis(**item.model_dump(), role="comorbidity", acquired=True)
            for item in note_excerpts.complications(passages)
        ]
        return (*recorded, *named)

    def _procedures(self, passages: list[note_excerpts.NoteExcerpt]) -> tuple[ContextEntry, ...]:
        recorded = procedures.read_procedures(
            self._resources_of_type("Procedure"), self._devices, self._scope, self._record.bases
        )
        return (*recorded, *note_excerpts.operations(passages))

    def _devices_in_place(self) -> tuple[ContextEntry, ...]:
        found = procedures.devices_in_place(
            self._resources_of_type("Device"),
            self._resources_of_type("DeviceUseStatement"),
            self._devices,
            self._scope,
            self._record.bases,
        )
        return _distinct_entries(found)

    def _incidents(self) -> tuple[list[Diagnosis], list[ContextEntry]]:
        """Return adverse events, and what they, chart warnings and questionnaires ask of the physician."""
        known = self._record.people | {source(item): item for entries in self._entries.values() for item in entries}
        bases = self._record.bases
        events = list(incidents.adverse_events(self._resources_of_type("AdverseEvent"), known, self._scope, bases))
        issues = incidents.detected_issues(self._resources_of_type("DetectedIssue"), known, self._scope, bases)
        incidents.leave_out_questionnaires(self._resources_of_type("QuestionnaireResponse"), self._scope)
        return events, [*incidents.confirmation_points(events), *issues]

    def _medication(self, passages: list[note_excerpts.NoteExcerpt]) -> MedicationLists:
        known = self._record.people | {source(item): item for item in self._resources_of_type("Medication")}
        return read_medication(self._resources_of_type, known, passages, self._record.bases, self._scope)

    def _directives(self) -> tuple[tuple[ContextEntry, ...], tuple[ContextEntry, ...]]:
        """Return directives in force, and where they contradict each other."""
        scope = self._scope
        current, doubts = code_status.current_statements(
            [
                *directives.observed_code_status(self._resources_of_type("Observation"), scope),
                *directives.code_status_orders(self._resources_of_type("ServiceRequest"), scope),
                *directives.consent_directives(self._resources_of_type("Consent"), scope),
                *directives.active_flags(self._resources_of_type("Flag"), scope),
            ],
            scope,
        )
        return _distinct_entries(
            [*current, *directives.directive_documents(self._resources_of_type("DocumentReference"), scope)]
        ), tuple(doubts)

    def _services(self) -> Iterator[ContextEntry]:
        known = self._devices | {source(item): item for item in self._resources_of_type("Condition")}
        orders = [*self._resources_of_type("ServiceRequest"), *self._resources_of_type("DeviceRequest")]
        return service_requests.ordered_services(orders, self._scope, known, self._record.bases)

    def _outcome(self, died: bool, passages: list[note_excerpts.NoteExcerpt]) -> tuple[ContextEntry, ...]:
        if not died:
            return ()
        stated = functional_status.outcome_of_death(
            self._resources_of_type("Observation"),
            self._resources_of_type("Condition"),
            self._resources_of_type("ServiceRequest"),
            note_excerpts.death_certificates(passages),
            self._scope,
        )
        return _distinct_entries(stated)


def _distinct_entries(entries: Iterable[ContextEntry]) -> tuple[ContextEntry, ...]:
    """Return entries with different texts, in order."""
    by_text: dict[str, ContextEntry] = {}
    for entry in entries:
        by_text.setdefault(entry.text, entry)
    return tuple(by_text.values())
