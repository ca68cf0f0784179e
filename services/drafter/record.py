"""From what an EHR returned to what a summary may use. Pure: keeps what is usable, and names what is not and why."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.drafter import reading
from services.drafter.context import Diagnosis, EncounterContext, Entry, Medicine, Patient
from services.drafter.series import series
from services.drafter.sieve import Sieve, source
from shared.contracts.failures import PermanentError

if TYPE_CHECKING:
    from services.drafter.extract import Record

Resource = dict[str, Any]

NO_ALLERGY = ("716186003", "409137002", "428607008")  # SNOMED CT: no known (drug, food) allergy


def build_context(record: "Record") -> EncounterContext:
    """The context of a record. Raises PermanentError when the stay has not ended."""
    encounter = record.encounter
    period = reading.child(encounter, "period")
    end = reading.moment(period.get("end")) or record.occurred_at
    if end is None or (encounter.get("status") != "finished" and record.occurred_at is None):
        raise PermanentError("the encounter is not finished")
    sieve = Sieve(f"Encounter/{encounter['id']}", end)
    attending = record.attending or _attending(encounter)
    organization = reading.reference(encounter.get("serviceProvider"))
    medicines = list(_medicines(record, sieve))
    hospitalization = reading.child(encounter, "hospitalization")
    observations = record.entries.get("Observation", [])
    return EncounterContext(
        encounter=sieve.encounter,
        encounter_status=str(encounter.get("status", "")),
        kind="death-summary" if died(record, end) else "discharge-summary",
        patient=_patient(record.patient),
        attending=attending,
        attending_name=_name_of(record, attending) or _display(encounter, attending),
        organization=organization if organization in record.people else None,
        organization_name=reading.words(record.people.get(organization or ""), "name"),
        service=reading.concept(encounter.get("serviceType")),
        start=reading.moment(period.get("start")),
        end=end,
        disposition=reading.concept(hospitalization.get("dischargeDisposition")),
        reasons=tuple(_reasons(encounter)),
        diagnoses=tuple(_diagnoses(record, sieve)),
        procedures=tuple(_procedures(record, sieve)),
        allergies=tuple(_allergies(record, sieve)),
        home_medicines=_distinct(medicine for kind, medicine in medicines if kind == "home"),
        hospital_medicines=_distinct(medicine for kind, medicine in medicines if kind == "hospital"),
        discharge_medicines=_distinct(medicine for kind, medicine in medicines if kind == "discharge"),
        labs=tuple(series(observations, sieve, "laboratory")),
        vitals=tuple(series(observations, sieve, "vital-signs")),
        reports=tuple(_reports(record, sieve)),
        care_plans=tuple(_care_plans(record, sieve)),
        follow_up=tuple(_appointments(record, sieve)),
        left_out=tuple(sorted(sieve.left_out)),
    )


def died(record: "Record", end: datetime) -> bool:
    """`exp` is Expired in HL7's discharge-disposition; some records only say it on the patient."""
    disposition = reading.child(record.encounter, "hospitalization").get("dischargeDisposition")
    deceased = reading.moment(record.patient.get("deceasedDateTime"))
    start = reading.moment(reading.child(record.encounter, "period").get("start"))
    during = deceased is not None and start is not None and start <= deceased <= end
    return "exp" in reading.codes(disposition) or during


def _patient(patient: Resource) -> Patient:
    numbers = [item for item in reading.items(patient.get("identifier")) if reading.words(item, "value")]
    mrn = next((item["value"] for item in numbers if "MR" in reading.codes(item.get("type"))), None)
    born = reading.moment(patient.get("birthDate"))
    return Patient(
        source=source(patient),
        name=reading.person_name(patient) or "Name not recorded",
        mrn=mrn or (numbers[0]["value"] if numbers else None),
        birth_date=born.date() if born else None,
        sex=reading.words(patient, "gender"),
    )


def _attending(encounter: Resource) -> str | None:
    for participant in reading.items(encounter.get("participant")):
        if "ATND" in reading.codes(participant.get("type")):
            return reading.reference(participant.get("individual"))
    return None


def _name_of(record: "Record", reference: str | None) -> str | None:
    found = record.people.get(reference or "")
    return reading.person_name(found) if found else None


def _display(encounter: Resource, reference: str | None) -> str | None:
    for participant in reading.items(encounter.get("participant")):
        individual = reading.child(participant, "individual")
        if reading.reference(individual) == reference:
            return reading.words(individual, "display")
    return None


def _reasons(encounter: Resource) -> Iterator[Entry]:
    for reason in reading.items(encounter.get("reasonCode")):
        if text := reading.concept(reason):
            yield Entry(text=text, source=f"Encounter/{encounter['id']}")


def _diagnoses(record: "Record", sieve: Sieve) -> Iterator[Diagnosis]:
    """The stay's own diagnoses by rank, then the patient's other problems."""
    ranks = {
        reading.reference(item.get("condition")): (reading.number(item, "rank") or 99, _is_discharge(item))
        for item in reading.items(record.encounter.get("diagnosis"))
    }
    known = {source(item) for item in record.entries.get("Condition", [])}
    sieve.left_out += [f"{reference}: is not in the record" for reference in ranks if reference not in known]
    ordered = sorted(record.entries.get("Condition", []), key=lambda item: ranks.get(source(item), (99, False))[0])
    for item in ordered:
        named, rank = source(item) in ranks, ranks.get(source(item), (99, False))
        onset = reading.first_moment(item, "onsetDateTime", "onsetPeriod")
        # A problem of the stay counts even where a later visit touched its record; others count from when they began.
        time = onset if named or onset else reading.moment(item.get("recordedDate"))
        text = reading.concept(item.get("code"))
        inactive = reading.code(item.get("clinicalStatus")) in ("inactive", "resolved", "remission")
        own = reading.reference(item.get("encounter")) == sieve.encounter
        if inactive and not (named or own):
            continue
        if sieve.usable(item, text, time, dated=False, own=not named) and text:
            principal = named and (rank[1] or rank[0] == 1)
            role: Any = "principal" if principal else "comorbidity" if named or own else "problem"
            yield Diagnosis(text=text, source=source(item), time=onset, code=reading.code(item.get("code")), role=role)


def _is_discharge(diagnosis: Resource) -> bool:
    return "DD" in reading.codes(diagnosis.get("use"))


def _procedures(record: "Record", sieve: Sieve) -> Iterator[Entry]:
    for item in record.entries.get("Procedure", []):
        time = reading.first_moment(item, "performedDateTime", "performedPeriod")
        text = reading.concept(item.get("code"))
        if sieve.usable(item, text, time) and text:
            yield Entry(text=text, source=source(item), time=time)


def _allergies(record: "Record", sieve: Sieve) -> Iterator[Entry]:
    for item in record.entries.get("AllergyIntolerance", []):
        absent = bool(reading.codes(item.get("code")) & set(NO_ALLERGY))
        if reading.code(item.get("clinicalStatus")) in ("inactive", "resolved") and not absent:
            continue
        text = reading.concept(item.get("code"))
        time = reading.first_moment(item, "recordedDate", "onsetDateTime")
        reactions = [
            words
            for reaction in reading.items(item.get("reaction"))
            for manifestation in reading.items(reaction.get("manifestation"))
            if (words := reading.concept(manifestation))
        ]
        if sieve.usable(item, text, time, dated=False, own=False) and text:
            yield Entry(text=f"{text} ({', '.join(reactions)})" if reactions else text, source=source(item), time=time)


def _medicines(record: "Record", sieve: Sieve) -> Iterator[tuple[str, Medicine]]:
    for item in [*record.entries.get("MedicationRequest", []), *record.entries.get("MedicationStatement", [])]:
        time = reading.first_moment(item, "authoredOn", "effectiveDateTime", "effectivePeriod", "dateAsserted")
        name, kind = _medicine_name(record, item), _medicine_kind(item, sieve, time)
        ended = item.get("status") in ("stopped", "on-hold") and kind == "discharge"
        if kind is None or ended:
            continue
        if sieve.usable(item, name, time, dated=kind != "home", own=kind != "home") and name:
            words = reading.dose(item)
            text = f"{name}, {words}" if words else name
            yield kind, Medicine(text=text, source=source(item), time=time, name=name, dose=words)


def _medicine_name(record: "Record", item: Resource) -> str | None:
    if name := reading.concept(item.get("medicationCodeableConcept")):
        return name
    reference = reading.reference(item.get("medicationReference")) or ""
    if reference.startswith("#"):
        contained = [part for part in reading.items(item.get("contained")) if part.get("id") == reference[1:]]
        return reading.concept(contained[0].get("code")) if contained else None
    return reading.concept((record.people.get(reference) or {}).get("code"))


def _medicine_kind(item: Resource, sieve: Sieve, time: datetime | None) -> str | None:
    """home, hospital or discharge; None for orders that are no part of this stay."""
    own = reading.reference(item.get("encounter")) == sieve.encounter
    categories = reading.codes(item.get("category"))
    if item["resourceType"] == "MedicationStatement" or "community" in categories:
        return "home" if own or item.get("status") in ("active", "unknown", "intended") else None
    if "discharge" in categories:
        return "discharge" if own else None
    if own:
        return "hospital"
    return "home" if item.get("status") == "active" and time is not None and time < sieve.end else None


def _distinct(medicines: Iterator[Medicine]) -> tuple[Medicine, ...]:
    """The latest order of each medicine, in the order they were first seen."""
    latest: dict[str, Medicine] = {}
    for medicine in medicines:
        key = medicine.name.lower()
        earlier = latest.setdefault(key, medicine)
        if medicine.time is not None and (earlier.time is None or medicine.time >= earlier.time):
            latest[key] = medicine
    return tuple(latest.values())


def _reports(record: "Record", sieve: Sieve) -> Iterator[Entry]:
    """Imaging and other reports with a conclusion; laboratory panels are shown as their results."""
    for item in record.entries.get("DiagnosticReport", []):
        if "LAB" in reading.codes(item.get("category")):
            continue
        conclusion = reading.words(item, "conclusion")
        time = reading.first_moment(item, "effectiveDateTime", "effectivePeriod")
        if conclusion is None:
            sieve.left_out.append(f"{source(item)}: has no conclusion")
        elif sieve.usable(item, reading.concept(item.get("code")), time):
            name = reading.concept(item.get("code"))
            yield Entry(text=f"{name}: {conclusion}", source=source(item), time=time)


def _care_plans(record: "Record", sieve: Sieve) -> Iterator[Entry]:
    for item in record.entries.get("CarePlan", []):
        time = reading.first_moment(item, "created", "period")
        activities = [
            words
            for activity in reading.items(item.get("activity"))
            if (words := reading.words(reading.child(activity, "detail"), "description"))
        ]
        title = reading.words(item, "description") or reading.words(item, "title")
        text = "; ".join([title, *activities] if title else activities)
        if sieve.usable(item, text, time, dated=False):
            yield Entry(text=text, source=source(item))


def _appointments(record: "Record", sieve: Sieve) -> Iterator[Entry]:
    """Visits to come that were arranged before the patient left."""
    for item in record.entries.get("Appointment", []):
        made, start = reading.moment(item.get("created")), reading.moment(item.get("start"))
        text = (
            reading.concept(reading.child(item, "serviceType")) or reading.words(item, "description") or "Appointment"
        )
        if start is None or start <= sieve.end:
            continue
        if sieve.usable(item, text, made, dated=True, own=False):
            yield Entry(text=text, source=source(item), time=start)
