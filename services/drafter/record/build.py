"""Builds the context of a stay from its record."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from services.drafter import kinds
from services.drafter.kinds import Kinds, required
from services.drafter.kinds.classify import question
from services.drafter.record import (
    allergies,
    clinical_notes,
    code_status,
    condition,
    diagnoses,
    directives,
    identity,
    incidents,
    microbiology,
    notes,
    nutrition,
    open_points,
    origin,
    plans,
    procedures,
    requests,
    stay,
)
from services.drafter.record.medication import Told, medication
from services.drafter.record.observations import Measurements, is_measured, measurements
from services.drafter.record.ranges import Person
from services.drafter.record.reports import Reports, pending_requests, reports
from services.drafter.record.roles import Roles
from services.drafter.record.scope import Scope, source, told
from services.drafter.record.signals import signals
from services.drafter.source_record import SourceRecord
from shared.clinical import elements, moments, references
from shared.clinical.elements import Resource
from shared.contracts.context import Diagnosis, EncounterContext, Entry, Patient


def build_context(record: SourceRecord, known: Kinds | None = None, department: str | None = None) -> EncounterContext:
    """The context of a record. `known` are the kinds of documents that there are, `department` is the stay's.

    Raises PermanentError when the encounter is no stay, or has not ended.
    """
    stay.check_is_stay(record.encounter)
    end = stay.ended_at(record.encounter, record.occurred_at, record.zone)
    encounters = stay.parts(record.encounter, record.of("Encounter"), record.bases)
    scope = _scope(record, encounters, end)
    entries = _entries_of(record, scope)
    scope.origins = origin.of_stay(entries, record.people, scope, record.bases)
    patient = identity.patient(record.patient, scope, elements.child(record.encounter, "serviceProvider"))
    builder = _Builder(record, entries, encounters, scope, patient)
    return builder.build(known or kinds.shipped(), department)


def notes_to_fetch(record: SourceRecord) -> list[Resource]:
    """Documents of the stay whose text has to be fetched, or read by more than rules.

    Raises PermanentError as `build_context` does.
    """
    end = stay.ended_at(record.encounter, record.occurred_at, record.zone)
    scope = _scope(record, stay.parts(record.encounter, record.of("Encounter"), record.bases), end)
    return list(clinical_notes.to_fetch(_entries_of(record, scope)["DocumentReference"], scope))


def _scope(record: SourceRecord, encounters: list[Resource], end: datetime) -> Scope:
    fallback = stay.offset_of(record.encounter)
    return Scope(
        encounters=references.targets(encounters, record.bases),
        start=moments.read(elements.child(record.encounter, "period").get("start"), record.zone, fallback),
        end=end,
        end_of_day=moments.day_of(end, record.zone)[1],
        zone=record.zone,
        fallback=fallback,
    )


def _entries_of(record: SourceRecord, scope: Scope) -> dict[str, list[Resource]]:
    """The entries that are about this patient, or about a record that was merged with theirs."""
    patients = identity.patients([record.patient, *record.of("Patient")], record.bases)
    return {type: list(identity.about(record.of(type), patients, scope)) for type in record.entries}


class _Builder:
    """Puts the parts of one context together."""

    def __init__(
        self,
        record: SourceRecord,
        entries: dict[str, list[Resource]],
        encounters: list[Resource],
        scope: Scope,
        patient: Patient,
    ) -> None:
        self._record = record
        self._entries = entries
        self._encounters = encounters
        self._scope = scope
        self._patient = patient
        self._microbiology = microbiology.Microbiology(
            self._of("Observation"), self._of("DiagnosticReport"), record.bases
        )
        self._devices = record.people | {source(item): item for item in self._of("Device")}

    def _of(self, type: str) -> list[Resource]:
        return self._entries.get(type, [])

    def build(self, known: Kinds, department: str | None) -> EncounterContext:
        record, scope, encounter = self._record, self._scope, self._record.encounter
        bases = record.bases
        died = stay.died(encounter, record.patient, self._of("Observation"), scope)
        destination = stay.destination(encounter, record.people, bases)
        choice = kinds.classify(
            known, signals(record, scope, died=died, destination=destination, department=department)
        )
        passages = notes.passages(*self._documents(), scope, record.texts)
        written = clinical_notes.notes(
            (item for items in self._documents() for item in items), record.texts, record.people, scope, bases
        )
        found = self._measurements()
        others = self._not_measured()
        studied = self._reports()
        allergy = allergies.allergies(self._of("AllergyIntolerance"), scope)
        told_medicines = self._medication(passages)
        lists = told_medicines.lists
        attending, attending_name = identity.practitioner(
            record.attending or identity.attending(encounter), record.people, bases
        )
        provider = elements.child(encounter, "serviceProvider")
        organization = references.relative(provider, bases)
        stated, doubts = self._directives()
        happened, warnings = self._incidents()
        cultures = list(self._microbiology.cultures(scope, found.pending))
        context = EncounterContext(
            encounter=source(encounter),
            encounter_status=str(encounter.get("status", "")),
            kind=choice.kind.name,
            why=choice.why,
            also=tuple(kind.name for kind in choice.also),
            deceased=died,
            patient=self._patient,
            attending=attending,
            attending_name=attending_name,
            organization=organization if organization in record.people else None,
            organization_name=elements.words(record.people.get(organization or ""), "name")
            or elements.words(provider, "display"),
            service=elements.concept(encounter.get("serviceType")),
            start=scope.start.begins if scope.start else None,
            start_on=scope.start.text if scope.start else None,
            end=scope.end,
            end_on=f"{scope.end:%Y-%m-%d}",
            disposition=stay.disposition(encounter, record.people, bases),
            destination=destination,
            died_later=None if died else stay.died_later(record.patient, scope),
            reasons=self._reasons(passages),
            diagnoses=(*self._diagnoses(passages), *happened),
            family_history=tuple(diagnoses.family_history(self._of("FamilyMemberHistory"), scope)),
            procedures=(
                *procedures.procedures(self._of("Procedure"), self._devices, scope, bases),
                *notes.operations(passages),
            ),
            devices=_each_once(
                procedures.devices_in_place(
                    self._of("Device"), self._of("DeviceUseStatement"), self._devices, scope, bases
                )
            ),
            immunizations=tuple(procedures.immunizations(self._of("Immunization"), scope)),
            allergies=allergy.entries,
            allergies_unknown=self._why_no_allergies(allergy.unknown),
            home_medicines=lists["home"],
            hospital_medicines=lists["hospital"],
            given_medicines=lists["given"],
            discharge_medicines=lists["discharge"],
            other_medicines=lists["other"],
            questions=told_medicines.questions,
            labs=tuple(found.labs),
            vitals=tuple(found.vitals),
            microbiology=(*cultures, *studied.cultures),
            reports=tuple(studied.entries),
            contradictions=tuple([*found.contradictions, *studied.contradictions]),
            pending=_each_once([*found.pending, *studied.pending, *self._requested()]),
            function=tuple(condition.function(others, scope)),
            observed=tuple(condition.others(others, scope)),
            directives=stated,
            doubts=(*doubts, *warnings),
            care_plans=tuple(plans.care_plans(self._of("CarePlan"), scope)),
            diet=(
                *nutrition.diet(self._of("NutritionOrder"), scope),
                *condition.activity(others, scope),
            ),
            goals=tuple(plans.goals(self._of("Goal"), scope)),
            team=_each_once(plans.team(self._of("CareTeam"), record.people, scope, bases)),
            services=(
                *self._services(),
                *procedures.aftercare(self._of("Procedure"), scope),
            ),
            follow_up=tuple(
                sorted(
                    plans.appointments(self._of("Appointment"), scope),
                    key=lambda item: (item.time is None, item.time and item.time.timestamp()),
                )
            ),
            outcome=self._outcome(died, passages),
            notes=(
                *notes.evidence(passages, {item.source for item in written}),
                *told_medicines.evidence,
            ),
            clinical_notes=written,
            unread=tuple(open_points.NAMES.get(item.type, item.type) for item in record.unread),
        )
        return context.model_copy(
            update={
                "left_out": (*open_points.unread(record), *told(scope.left_out)),
                "open_points": (
                    *question(choice),
                    *open_points.open_points(context, scope.left_out, record, handed_over=choice.handed_over),
                    *required.open_points((choice.kind, *choice.also), context),
                ),
            }
        )

    def _documents(self) -> tuple[list[Resource], list[Resource], list[Resource]]:
        return self._of("Composition"), self._of("DocumentReference"), self._of("ClinicalImpression")

    def _why_no_allergies(self, stated: str) -> str:
        unread = any(item.type == "AllergyIntolerance" for item in self._record.unread)
        return "Could not be read from the EHR: ask the patient" if unread else stated

    def _measurements(self) -> Measurements:
        return measurements(self._of("Observation"), self._scope, self._person(), self._microbiology.taken)

    def _person(self) -> Person:
        born = self._scope.moment(self._record.patient.get("birthDate"))
        years = (self._scope.end - born.begins).days / 365.25 if born is not None else None
        return Person(self._patient.sex, years)

    def _reports(self) -> Reports:
        shown = frozenset(source(item) for item in self._of("Observation"))
        return reports(self._of("DiagnosticReport"), self._of("ImagingStudy"), shown, self._scope, self._record.bases)

    def _requested(self) -> list[Entry]:
        results = [
            item for type in ("DiagnosticReport", "Observation", "ImagingStudy", "Procedure") for item in self._of(type)
        ]
        return list(pending_requests(self._of("ServiceRequest"), results, self._scope, self._record.bases))

    def _reasons(self, passages: list[notes.Passage]) -> tuple[Entry, ...]:
        stated = diagnoses.reasons(self._encounters, self._of("Condition"), self._record.bases)
        return _each_once([*stated, *notes.complaints(passages)])

    def _diagnoses(self, passages: list[notes.Passage]) -> tuple[Diagnosis, ...]:
        roles = Roles(self._encounters, self._record.bases)
        found = list(diagnoses.diagnoses(self._of("Condition"), roles, self._scope))
        named = [
            Diagnosis(**item.model_dump(), role="comorbidity", acquired=True) for item in notes.complications(passages)
        ]
        return (*found, *named)

    def _incidents(self) -> tuple[list[Diagnosis], list[Entry]]:
        """Adverse events, and what they and the chart's warnings ask of the physician; questionnaires are named."""
        known = self._record.people | {source(item): item for entries in self._entries.values() for item in entries}
        bases = self._record.bases
        events = list(incidents.adverse_events(self._of("AdverseEvent"), known, self._scope, bases))
        issues = incidents.detected_issues(self._of("DetectedIssue"), known, self._scope, bases)
        incidents.questionnaires(self._of("QuestionnaireResponse"), self._scope)
        return events, [*incidents.to_confirm(events), *issues]

    def _medication(self, passages: list[notes.Passage]) -> Told:
        known = self._record.people | {source(item): item for item in self._of("Medication")}
        return medication(self._of, known, passages, self._record.bases, self._scope)

    def _not_measured(self) -> list[Resource]:
        """Observations that are neither results nor vital signs: of some stays few among thousands."""
        taken = self._microbiology.taken
        return [item for item in self._of("Observation") if source(item) not in taken and not is_measured(item)]

    def _directives(self) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """Those that hold, and where they contradict each other."""
        scope = self._scope
        told, doubts = code_status.in_force(
            [
                *directives.of_observations(self._of("Observation"), scope),
                *directives.of_requests(self._of("ServiceRequest"), scope),
                *directives.of_consents(self._of("Consent"), scope),
                *directives.of_flags(self._of("Flag"), scope),
            ],
            scope,
        )
        return _each_once([*told, *directives.of_documents(self._of("DocumentReference"), scope)]), tuple(doubts)

    def _services(self) -> Iterator[Entry]:
        known = self._devices | {source(item): item for item in self._of("Condition")}
        orders = [*self._of("ServiceRequest"), *self._of("DeviceRequest")]
        return requests.services(orders, self._scope, known, self._record.bases)

    def _outcome(self, died: bool, passages: list[notes.Passage]) -> tuple[Entry, ...]:
        if not died:
            return ()
        stated = condition.outcome_of_death(
            self._of("Observation"),
            self._of("Condition"),
            self._of("ServiceRequest"),
            notes.deaths(passages),
            self._scope,
        )
        return _each_once(stated)


def _each_once(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Entries of different words, in their order."""
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(entry.text, entry)
    return tuple(found.values())
