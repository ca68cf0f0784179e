"""What a discharge summary may draw on: one stay's record up to the discharge, typed and compact. Stored by digest."""

from datetime import date, datetime
from typing import Literal

from shared.contracts.events import DocumentKind, Stay
from shared.contracts.model import Model

Flag = Literal["low", "high", "abnormal", "critical"]


class Entry(Model):
    """One thing of the record. `source` is the FHIR reference it was read from."""

    text: str
    source: str
    time: datetime | None = None


class Patient(Model):
    """Who the document is about."""

    source: str
    name: str
    mrn: str | None = None
    birth_date: date | None = None
    sex: str | None = None


class Diagnosis(Entry):
    code: str | None = None  # ICD-10-CM or SNOMED CT, as the record has it
    role: Literal["principal", "comorbidity", "problem"]


class Medicine(Entry):
    """An order. `name` is what the record calls it, `dose` how it is to be taken."""

    name: str
    dose: str


class MedicineChange(Model):
    """A home medicine that leaves with another dose."""

    before: Medicine
    after: Medicine


class Measurement(Model):
    """One value of a series, with its unit."""

    value: str
    time: datetime
    flag: Flag | None = None
    source: str


class Series(Model):
    """All values of one measurement over the stay, reduced to the ones that tell its course."""

    name: str
    code: str | None = None
    range: str | None = None  # reference range as text
    first: Measurement
    last: Measurement
    worst: Measurement | None = None  # the most abnormal one, where it is neither first nor last
    count: int


class EncounterContext(Model):
    """One stay. Lists are in the record's order of importance or time."""

    version: Literal[1] = 1
    encounter: str
    encounter_status: str
    kind: DocumentKind
    patient: Patient
    attending: str | None = None
    attending_name: str | None = None
    organization: str | None = None
    organization_name: str | None = None
    service: str | None = None
    start: datetime | None = None
    end: datetime
    disposition: str | None = None
    reasons: tuple[Entry, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    procedures: tuple[Entry, ...] = ()
    allergies: tuple[Entry, ...] = ()
    home_medicines: tuple[Medicine, ...] = ()
    hospital_medicines: tuple[Medicine, ...] = ()
    discharge_medicines: tuple[Medicine, ...] = ()
    labs: tuple[Series, ...] = ()
    vitals: tuple[Series, ...] = ()
    reports: tuple[Entry, ...] = ()
    care_plans: tuple[Entry, ...] = ()
    follow_up: tuple[Entry, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def died(self) -> bool:
        return self.kind == "death-summary"

    @property
    def stay(self) -> Stay:
        """The references that later steps need."""
        return Stay(
            encounter=self.encounter,
            patient=self.patient.source,
            attending=self.attending,
            organization=self.organization,
            start=self.start,
            end=self.end,
        )


class Medicines(Model):
    """Home and discharge lists compared."""

    started: tuple[Medicine, ...] = ()
    changed: tuple[MedicineChange, ...] = ()
    continued: tuple[Medicine, ...] = ()
    stopped: tuple[Medicine, ...] = ()


def compare(home: tuple[Medicine, ...], discharge: tuple[Medicine, ...]) -> Medicines:
    """What changes for the patient. Names are compared without case; doses by their numbers and units."""
    before = {medicine.name.lower(): medicine for medicine in home}
    after = {medicine.name.lower(): medicine for medicine in discharge}
    both = [(before[name], after[name]) for name in after if name in before]
    return Medicines(
        started=tuple(medicine for name, medicine in after.items() if name not in before),
        changed=tuple(
            MedicineChange(before=old, after=new) for old, new in both if _strength(old.dose) != _strength(new.dose)
        ),
        continued=tuple(new for old, new in both if _strength(old.dose) == _strength(new.dose)),
        stopped=tuple(medicine for name, medicine in before.items() if name not in after),
    )


def _strength(dose: str) -> str:
    """`5 mg PO daily` → `5mg`: what is compared is the amount, as free text differs between orders."""
    words = dose.lower().replace(" ", "")
    digits = [index for index, char in enumerate(words) if char.isdigit()]
    if not digits:
        return ""
    end = digits[0]
    while end < len(words) and (words[end].isdigit() or words[end] == "."):
        end += 1
    unit = "".join(char for char in words[end : end + 3] if char.isalpha())
    return f"{float(words[digits[0] : end].rstrip('.')):g}{unit[:2]}"
