"""The input of a discharge summary: one stay's record up to the discharge, typed and compact. Stored by digest."""

from datetime import date, datetime
from typing import Literal

from shared.contracts.draft import OpenPoint
from shared.contracts.events import DocumentKind, StayReferences
from shared.contracts.model import Model

Flag = Literal["low", "high", "abnormal", "critical", "critically low", "critically high"]
# on-hold: paused; stopped: ended by an order or a status; avoid: an order not to give it.
OrderStatus = Literal["active", "on-hold", "stopped", "avoid"]


class ContextEntry(Model):
    """One entry of the record. `source` is the FHIR reference that it was read from."""

    text: str
    source: str
    time: datetime | None = None
    on: str | None = None  # the day as it is printed, with no more precision than the record has: `2026-06`


class Patient(Model):
    """The patient of the document."""

    source: str
    name: str
    mrn: str | None = None
    birth_date: date | None = None  # where the record has the day
    birth: str | None = None  # as the record has it: `1950`
    sex: str | None = None


class Diagnosis(ContextEntry):
    """A diagnosis of the stay or a problem of the patient. `acquired`: it began after the admission."""

    code: str | None = None  # ICD-10-CM or SNOMED CT, as the record has it
    role: Literal["principal", "comorbidity", "problem", "admission"]
    certainty: Literal["confirmed", "suspected", "ruled-out"] = "confirmed"
    acquired: bool = False


class Allergy(ContextEntry):
    """An allergy, or the record's statement that there is none, which has no names."""

    names: tuple[str, ...] = ()  # of the substance, as the record gives them
    codes: tuple[str, ...] = ()  # `system|code`


class Medicine(ContextEntry):
    """An order. `name` is the record's, `dose` the full directions; the other fields are parts of them."""

    name: str
    dose: str
    amount: str = ""
    route: str = ""
    frequency: str = ""
    reason: str = ""
    note: str = ""
    status: OrderStatus = "active"
    ingredients: tuple[str, ...] = ()  # by which a brand and its generic are one medicine
    substances: tuple[str, ...] = ()  # other names of it and of its ingredients, as the record gives them
    codes: tuple[str, ...] = ()  # `system|code`
    products: tuple[str, ...] = ()  # those of the codes that stand for a product, with its strength
    normal: str = ""  # the order for comparison: equal strings are equal orders
    maybe_before: str = ""  # why it may have been taken at home, where no list of the record says so
    ended: str = ""  # when the course was over, before the discharge
    replaces: tuple[str, ...] = ()  # references of orders: `priorPrescription`
    stands_for: tuple[str, ...] = ()  # references of orders that this entry carries out or reports
    question: str = ""  # what the record leaves open about the order, for the physician to confirm
    doubt: bool = False  # the order's words and its structure give different amounts or frequencies
    lacks: tuple[Literal["amount", "frequency", "limit"], ...] = ()  # what no dosage says; limit: of doses as needed
    steps: bool = False  # nothing says whether the dosages of the order follow each other, or when
    ambiguous: str = ""  # a number in the words of a dosage that may be 1250 or 1.25: `1.250`
    by_body: str = ""  # a dose that is only stated per weight or surface: `15 mg/kg`


class Measurement(Model):
    """One value of a series, with its unit."""

    value: str
    time: datetime
    flag: Flag | None = None
    source: str
    on: str | None = None


class ObservationSeries(Model):
    """The values of one measurement over the stay, reduced to those that show its course."""

    name: str
    code: str | None = None
    range: str | None = None  # reference range as text
    therapeutic: str | None = None  # the range that a treatment aims at, as text
    first: Measurement
    last: Measurement
    worst: Measurement | None = None  # the most abnormal one, where it is neither first nor last
    lowest: Measurement | None = None  # of a series without a range: the extremes between first and last
    highest: Measurement | None = None
    count: int
    judged: bool = True  # whether the record says for each value if it is normal: by a range or an interpretation


NoteKind = Literal[
    "admission", "progress", "consult", "operation", "procedure", "nursing", "emergency", "transfer", "therapy", "other"
]  # fmt: skip
# The section of a note's sentence; `other` for another heading, empty without one.
NoteSection = Literal[
    "", "complaint", "hpi", "interval", "course", "assessment", "plan", "recommendations", "diagnosis", "indication",
    "procedure", "findings", "complications", "technique", "anesthesia", "blood-loss", "specimens", "implants",
    "history", "family", "social", "medications", "allergies", "review", "vitals", "exam", "results", "code-status",
    "disposition", "people", "other",
]  # fmt: skip


class NoteSentence(Model):
    """A sentence of a note, verbatim. Repetitions in later notes are counted in `repeated`."""

    text: str
    section: NoteSection = ""
    heading: str = ""  # of the section, as the note words it
    problem: str = ""  # the heading of a problem that it stands under: `Acute kidney injury`
    repeated: int = 0  # later notes of the stay that say the same words

    @property
    def with_heading(self) -> str:
        """Return the text with its heading, where it means something else without it: `none`, `diabetes`."""
        plain = self.section in ("", "interval", "course", "assessment", "plan", "recommendations", "hpi", "exam")
        return self.text if plain or not self.heading else f"{self.heading}: {self.text}"


class Note(Model):
    """A clinical note of the stay, with the sentences that no earlier note has."""

    source: str  # FHIR reference of the Composition, DocumentReference or ClinicalImpression
    kind: NoteKind
    title: str  # as the record names it: `Cardiology consult`
    author: str | None = None
    time: datetime | None = None
    on: str | None = None
    signed: bool = True  # false for a preliminary one
    sentences: tuple[NoteSentence, ...] = ()
    copied: int = 0  # sentences that an earlier note has, too

    @property
    def citation(self) -> str:
        """Return the note's citation: `Cardiology consult, Dr. Lee, 2026-03-02 14:10`, as far as it is known."""
        when = f"{self.time:%Y-%m-%d %H:%M}" if self.time else self.on or ""
        parts = (self.title, self.author or "", when, "" if self.signed else "not signed")
        return ", ".join(part for part in parts if part)


class Identifier(Model):
    """What identifies a person of the record, as the record writes it."""

    kind: Literal["person", "organization", "number", "contact", "address"]
    text: str


class EncounterContext(Model):
    """One stay. Lists are in the record's order of importance or time."""

    version: Literal[1] = 1
    encounter: str
    encounter_status: str
    kind: DocumentKind
    why: str = ""  # which facts of the stay made it of this kind
    also: tuple[DocumentKind, ...] = ()  # other kinds that fit
    deceased: bool | None = None  # died in the stay; None in contexts written before kinds were declared
    patient: Patient
    attending: str | None = None
    attending_name: str | None = None
    organization: str | None = None
    organization_name: str | None = None
    service: str | None = None
    start: datetime | None = None
    start_on: str | None = None
    end: datetime
    end_on: str | None = None
    ongoing: bool | None = None  # the stay has not ended: `end` is when the record was read
    expected_end: datetime | None = None  # of a stay that has not ended
    disposition: str | None = None
    destination: str | None = None  # name of the place that took the patient
    died_later: str | None = None  # the day of a death after this stay, when nobody is instructed
    reasons: tuple[ContextEntry, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    family_history: tuple[ContextEntry, ...] = ()
    procedures: tuple[ContextEntry, ...] = ()
    devices: tuple[ContextEntry, ...] = ()
    immunizations: tuple[ContextEntry, ...] = ()
    allergies: tuple[Allergy, ...] = ()
    allergies_unknown: str = (
        ""  # why none are listed; empty where some are, or where the record states that there are none
    )
    home_medicines: tuple[Medicine, ...] = ()
    hospital_medicines: tuple[Medicine, ...] = ()  # ordered for the stay
    given_medicines: tuple[Medicine, ...] = ()  # recorded as given
    discharge_medicines: tuple[Medicine, ...] = ()
    other_medicines: tuple[Medicine, ...] = ()  # held, stopped, not to be given
    questions: tuple[ContextEntry, ...] = ()  # what the record's own lists of medicines leave open, in words
    labs: tuple[ObservationSeries, ...] = ()
    vitals: tuple[ObservationSeries, ...] = ()
    microbiology: tuple[ContextEntry, ...] = ()
    reports: tuple[ContextEntry, ...] = ()
    contradictions: tuple[ContextEntry, ...] = ()
    pending: tuple[ContextEntry, ...] = ()
    function: tuple[ContextEntry, ...] = ()
    observed: tuple[ContextEntry, ...] = ()  # scores, assessments and social history that stand nowhere else
    directives: tuple[ContextEntry, ...] = ()
    care_plans: tuple[ContextEntry, ...] = ()
    diet: tuple[ContextEntry, ...] = ()
    goals: tuple[ContextEntry, ...] = ()
    team: tuple[ContextEntry, ...] = ()
    services: tuple[ContextEntry, ...] = ()  # referrals and care that were ordered for after the stay
    follow_up: tuple[ContextEntry, ...] = ()
    outcome: tuple[ContextEntry, ...] = ()  # of a death: its cause, an autopsy
    notes: tuple[
        ContextEntry, ...
    ] = ()  # texts of medication lists, and in older contexts sentences of notes, as evidence
    clinical_notes: tuple[Note, ...] = ()  # oldest first
    doubts: tuple[ContextEntry, ...] = ()  # what the record leaves open, as a question to the physician
    unread: tuple[str, ...] = ()  # what could not be read in full from the EHR
    identifiers: tuple[Identifier, ...] | None = None  # None: not collected, as no endpoint needed them
    left_out: tuple[str, ...] = ()
    open_points: tuple[OpenPoint, ...] = ()

    @property
    def died(self) -> bool:
        return self.kind == "death-summary" if self.deceased is None else self.deceased

    @property
    def needs_instructions(self) -> bool:
        """Return whether there is a patient to instruct."""
        return not self.died and self.died_later is None

    @property
    def stay(self) -> StayReferences:
        """Return the references that later steps need."""
        return StayReferences(
            encounter=self.encounter,
            patient=self.patient.source,
            attending=self.attending,
            organization=self.organization,
            start=self.start,
            end=self.end,
        )
