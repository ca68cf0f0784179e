"""Renders the facts of a stay, part by part: nothing is written by a model, nothing that is empty is left unsaid."""

from collections.abc import Iterable
from datetime import datetime

from services.drafter.context import EncounterContext, Entry, Medicine, Series, compare
from shared.contracts.draft import Fact, Group, Part

MOST_NORMAL_LABS = 6  # named; the others are counted, so that the abnormal ones stand out


def render(context: EncounterContext) -> tuple[Part, ...]:
    """The six parts that the Joint Commission requires, with their facts; the narrative comes later."""
    return (
        Part(code="reason-for-hospitalization", title="Reason for hospitalization", groups=_reason(context)),
        Part(code="significant-findings", title="Significant findings", groups=_findings(context)),
        Part(code="procedures-and-treatment", title="Procedures and treatment", groups=_treatment(context)),
        _condition(context),
        _instructions(context),
        Part(code="attending-signature", title="Attending physician", groups=_signature(context)),
    )


def header(context: EncounterContext) -> tuple[Fact, ...]:
    """Who and when: the lines above the parts."""
    patient = context.patient
    born = f"born {patient.birth_date:%Y-%m-%d}" if patient.birth_date else "date of birth not recorded"
    identity = [patient.name, born, patient.sex or "sex not recorded", f"MRN {patient.mrn or 'not recorded'}"]
    ended = "died" if context.died else "discharged"
    stay = [f"Admitted {_day(context.start)}", f"{ended} {_day(context.end)}"]
    place = [part for part in dict.fromkeys((context.service, context.organization_name)) if part]
    return (
        Fact(text=f"Patient: {', '.join(identity)}", source=patient.source),
        Fact(text=f"Stay: {', '.join([*stay, *place])}", source=context.encounter),
    )


def age(context: EncounterContext) -> int | None:
    """Completed years at the end of the stay."""
    born = context.patient.birth_date
    if born is None:
        return None
    end = context.end.date()
    return end.year - born.year - ((end.month, end.day) < (born.month, born.day))


def length_of_stay(context: EncounterContext) -> int | None:
    """Calendar days from admission to the end; one at least."""
    return max((context.end.date() - context.start.date()).days, 1) if context.start else None


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else "date not recorded"


def _group(title: str, facts: Iterable[Fact], empty: str = "None recorded") -> Group:
    found = tuple(facts)
    return Group(title=title, facts=found or (Fact(text=empty, source=""),))


def _entries(entries: Iterable[Entry], *, dated: bool = False) -> list[Fact]:
    """One fact for each different text; repeats carry their number."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.text, []).append(entry)
    return [
        Fact(
            text=(f"{text.rstrip('.')}, {_day(same[0].time)}" if dated and same[0].time else text)
            + (f" ({len(same)} times)" if len(same) > 1 else ""),
            source=same[0].source,
        )
        for text, same in found.items()
    ]


def _reason(context: EncounterContext) -> tuple[Group, ...]:
    principal = [item for item in context.diagnoses if item.role == "principal"]
    others = [item for item in context.diagnoses if item.role != "principal"]
    return (
        _group("Reason for admission", _entries(context.reasons)),
        _group("Principal diagnosis", _entries(principal)),
        _group("Other diagnoses and problems", _entries(others)),
    )


def _findings(context: EncounterContext) -> tuple[Group, ...]:
    abnormal = [item for item in context.labs if _is_abnormal(item)]
    normal = [item for item in context.labs if not _is_abnormal(item)]
    named = ", ".join(f"{_short(item.name)} {item.last.value}" for item in normal[:MOST_NORMAL_LABS])
    more = f", and {len(normal) - MOST_NORMAL_LABS} more" if len(normal) > MOST_NORMAL_LABS else ""
    within = [Fact(text=f"{named}{more}", source=normal[0].last.source)] if normal else []
    return (
        _group("Abnormal laboratory results", (Fact(text=_course(item), source=item.last.source) for item in abnormal)),
        _group("Laboratory results within range (last values)", within),
        _group("Imaging and other reports", _entries(context.reports, dated=True)),
    )


def _is_abnormal(series: Series) -> bool:
    return any(item is not None and item.flag for item in (series.first, series.last, series.worst))


def _short(name: str) -> str:
    """LOINC's long names without specimen and method: `Potassium [Moles/volume] in Serum or Plasma` → `Potassium`."""
    return name.split(" [")[0].split(" in ")[0].strip() or name


def _course(series: Series) -> str:
    """`Creatinine 1.9 mg/dL (high), then 1.2 mg/dL; reference 0.6-1.2 mg/dL`."""
    points = [series.first]
    if series.worst is not None:
        points.append(series.worst)
    if series.count > 1:
        points.append(series.last)
    words = ", then ".join(f"{item.value}{f' ({item.flag})' if item.flag else ''}" for item in points)
    reference = f"; reference {series.range}" if series.range else ""
    return f"{_short(series.name)} {words} on {_day(series.last.time)}{reference}"


def _treatment(context: EncounterContext) -> tuple[Group, ...]:
    groups = [
        _group("Procedures", _entries(context.procedures, dated=True)),
        _group("Medications given in hospital", _medicines(context.hospital_medicines)),
        _group("Allergies", _entries(context.allergies)),
    ]
    if context.died:
        return (*groups, _group("Home medications before admission", _medicines(context.home_medicines)))
    return (*groups, *_medication_changes(context))


def _medication_changes(context: EncounterContext) -> tuple[Group, ...]:
    if not context.discharge_medicines:
        return (
            _group("Home medications before admission", _medicines(context.home_medicines)),
            _group("Discharge medications", (), "No discharge prescriptions recorded: confirm with the patient"),
        )
    lists = compare(context.home_medicines, context.discharge_medicines)
    changed = (
        Fact(text=f"{item.after.text} (before: {item.before.dose or 'dose not recorded'})", source=item.after.source)
        for item in lists.changed
    )
    return (
        _group("Medications started", _medicines(lists.started)),
        _group("Medications changed", changed),
        _group("Medications continued", _medicines(lists.continued)),
        _group("Medications stopped (home medications without a discharge prescription)", _medicines(lists.stopped)),
    )


def _medicines(medicines: Iterable[Medicine]) -> list[Fact]:
    return [Fact(text=medicine.text, source=medicine.source) for medicine in medicines]


def _condition(context: EncounterContext) -> Part:
    vitals = [
        Fact(
            text=f"{item.name} {item.last.value}"
            + (f" ({item.last.flag})" if item.last.flag else "")
            + (f"; on admission {item.first.value}" if item.count > 1 else ""),
            source=item.last.source,
        )
        for item in context.vitals
    ]
    disposition = (Fact(text=text, source=context.encounter) for text in [context.disposition] if text)
    if context.died:
        death = Fact(text=f"The patient died during this stay, {_day(context.end)}", source=context.encounter)
        groups = (_group("Outcome", (death,)), _group("Last vital signs", vitals))
        return Part(code="condition-at-discharge", title="Outcome of the stay", groups=groups)
    groups = (_group("Discharged to", disposition), _group("Last vital signs", vitals))
    return Part(code="condition-at-discharge", title="Condition at discharge", groups=groups)


def _instructions(context: EncounterContext) -> Part:
    code = "patient-and-family-instructions"
    if context.died:
        none = Fact(text="No patient instructions: the patient died", source=context.encounter)
        return Part(code=code, title="Information for the family", groups=(_group("Instructions", (none,)),))
    follow_up = [
        Fact(text=f"{item.text}, {_day(item.time)}" if item.time else item.text, source=item.source)
        for item in context.follow_up
    ]
    groups = (
        _group("Medications to take at home", _medicines(context.discharge_medicines)),
        _group("Follow-up", follow_up, "No follow-up visit recorded: arrange or confirm"),
        _group("Care plan", _entries(context.care_plans)),
    )
    return Part(code=code, title="Instructions for patient and family", groups=groups)


def _signature(context: EncounterContext) -> tuple[Group, ...]:
    # What is signed is exactly what was seen, so these words are true before and after the signature.
    name = context.attending_name or context.attending or "not recorded"
    facts = (
        Fact(text=f"Attending: {name}", source=context.attending or ""),
        Fact(text="Countersignature: see the authenticator of this document", source=""),
    )
    return (_group("Signature", facts),)
