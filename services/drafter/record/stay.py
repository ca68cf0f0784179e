"""Determine which encounters form one stay, whether it gets a document, when and how it ended."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

from services.drafter.record.scope import StayScope
from shared.clinical import elements, fhir_datetime, references
from shared.clinical.elements import Resource
from shared.contracts.errors import PermanentError

# v3-ActCode: https://terminology.hl7.org/ValueSet-v3-ActEncounterCode.html
NOT_A_STAY_CLASSES = {
    "AMB": "an ambulatory visit",
    "VR": "a virtual visit",
    "HH": "home health care",
    "FLD": "care in the field",
    "PRENC": "a visit before admission",
}
STAY_CLASSES = frozenset({"IMP", "ACUTE", "NONAC", "OBSENC", "SS"})
_CALLED_STAY = re.compile(
    r"inpatient|hospital encounter|hospitali[sz]|admission|klinisch|station(ä|ae)r|opname|acute|observation", re.I
)
_CALLED_VISIT = re.compile(
    r"outpatient|out-patient|ambul|virtual|tele(health|medicine|phone|visit)|video|office|clinic visit|appointment"
    r"|home (health|visit)|poli(kli|cli)",
    re.I,
)
_CALLED_EMERGENCY = re.compile(
    r"emergency (department|room|visit|care|encounter)|^emergency$|notaufnahme|notfall(ambulanz|zentrum)"
    r"|spoedeisende|\bseh\b|urgences\b",
    re.I,
)
MIN_EMERGENCY_STAY = timedelta(hours=24)  # an emergency encounter that lasts longer was an admission
MAX_PART_OF_DEPTH = 10  # department, ward, bed: deeper nesting is invalid
MAX_EMERGENCY_GAP = timedelta(hours=6)  # between the end of emergency care and the admission that it led to

# "Expired" in hl7's discharge-disposition, NUBC's patient discharge status and v2 table 0112.
_DIED_CODES = frozenset({"exp", "20", "40", "41", "42"})
_STANDARD_DISPOSITIONS = re.compile(
    r"terminology\.hl7\.org/CodeSystem/discharge-disposition$|PatDischargeStatus|nubc|0112", re.I
)
_DISPOSITION = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
_DISPOSITIONS = {
    "home": "Home",
    "alt-home": "Alternative home",
    "other-hcf": "Other healthcare facility",
    "hosp": "Hospice",
    "long": "Long-term care",
    "aadvice": "Left against advice",
    "exp": "Expired",
    "psy": "Psychiatric hospital",
    "rehab": "Rehabilitation",
    "snf": "Skilled nursing facility",
}
_DISPOSITION_SYSTEMS = re.compile(r"^$|discharge-?(disposition|status)|PatDischargeStatus|nubc|0112", re.IGNORECASE)
_NOT_A_DEATH = re.compile(
    r"(deceased|dead) donor"
    r"|(authori[sz]ation|insurance|coverage|certificate|consent|order|licen[cs]e)s? (has |have )?expired"
    r"|expired (authori|insur|coverage|certif|consent|order|licen)|brain death (excluded|ruled out|not)"
    r"|(death|tod) (is |wird )?(expected|imminent|anticipated|erwartet)|(expected|imminent|anticipated|impending) death"
    r"|\b(no|not|nicht|kein\w*|geen|niet|pas)\b[ \w]{0,20}$",
    re.IGNORECASE,
)
_DIED = re.compile(
    r"\b(expired|deceased|died|dead|death|verstorben|gestorben|tod|overleden|décédée?|decede|d[ée]c[èe]s|falleci[óo]|fallecid[oa]|decesso|"
    r"exitus|óbito|obito|deceduto|morto|zmarł\w*|avliden|død)\b",
    re.IGNORECASE,
)
_DIED_DE = "07"  # Entlassungsgrund, first and second place: Tod
_DEATH_OBSERVATIONS = frozenset({"69453-9", "81956-5"})  # LOINC: cause of death, date and time of death


def check_is_stay(encounter: Resource, classes: frozenset[str] = STAY_CLASSES) -> None:
    """Reject a visit that gets no discharge summary.

    Raises PermanentError with the reason.
    """
    coding = elements.child(encounter, "class")
    code = (elements.string(coding, "code") or "").upper()
    if code in classes:
        return
    if code in NOT_A_STAY_CLASSES:
        raise PermanentError(
            f"the encounter is {NOT_A_STAY_CLASSES[code]} (class {code}), not a stay: no discharge summary is drafted"
        )
    if code == "EMER":
        period = elements.child(encounter, "period")
        start, end = fhir_datetime.parse(period.get("start")), fhir_datetime.parse(period.get("end"))
        if start is None or end is None or end.ends - start.begins < MIN_EMERGENCY_STAY:
            raise PermanentError("the encounter is an emergency visit of less than a day (class EMER), not a stay")
        return
    names = " ".join(
        [
            elements.string(coding, "display") or "",
            *(text for item in elements.children(encounter, "type") for text in elements.displays(item)),
        ]
    )
    if _CALLED_VISIT.search(names) and not _CALLED_STAY.search(names):
        raise PermanentError("the encounter's class and type are those of a visit, not of a stay")


def offset_of(encounter: Resource) -> tzinfo:
    """Return the offset of the encounter's own times, which applies to dates without a time."""
    period = elements.child(encounter, "period")
    for value in (period.get("end"), period.get("start")):
        moment = fhir_datetime.parse(value)
        if moment is not None and isinstance(value, str) and len(value) > len("2026-06-01"):
            return moment.begins.tzinfo or UTC
    return UTC


def ended_at(encounter: Resource, occurred_at: datetime | None, zone: tzinfo | None) -> datetime:
    """Return the stay's last moment.

    Raises PermanentError while it has none.
    """
    fallback = offset_of(encounter)
    end = fhir_datetime.parse(elements.child(encounter, "period").get("end"), zone, fallback)
    if end is not None and (elements.string(encounter, "status") == "finished" or occurred_at is not None):
        reported = occurred_at.astimezone(zone or fallback) if occurred_at is not None else None
        if reported is not None and elements.string(encounter, "status") != "finished" and end.begins > reported:
            return reported  # a planned end
        within = reported is not None and end.begins <= reported <= end.ends
        return reported if within and reported is not None and end.begins != end.ends else end.ends
    if occurred_at is None:
        finished = elements.string(encounter, "status") == "finished"
        raise PermanentError("the encounter has no end" if finished else "the encounter is not finished")
    return occurred_at.astimezone(zone or fallback)


def stay_encounters(encounter: Resource, others: Iterable[Resource], bases: frozenset[str]) -> list[Resource]:
    """Return the encounters of the stay: itself, its parts, and the emergency care that led to it.

    A part with its own discharge at another provider is a stay of its own.
    """
    encounters, latest = [encounter], [encounter]
    rest = [item for item in others if item.get("id") != encounter.get("id")]
    for _ in range(MAX_PART_OF_DEPTH):
        targets = references.reference_targets(latest, bases)
        latest = [item for item in rest if item.get("partOf") in targets and not _is_separate_stay(item, encounter)]
        taken = {id(item) for item in latest}
        rest = [item for item in rest if id(item) not in taken]
        encounters += latest
    return [*encounters, *(item for item in rest if _preceded_stay(item, encounter, bases))]


def _is_separate_stay(part: Resource, whole: Resource) -> bool:
    own = elements.child(part, "hospitalization").get("dischargeDisposition")
    here, there = elements.child(part, "serviceProvider"), elements.child(whole, "serviceProvider")
    elsewhere = bool(here and there) and elements.string(here, "reference") != elements.string(there, "reference")
    return bool(own) and elsewhere


def is_part_only(encounter: Resource, parent: Resource | None) -> bool:
    """Return whether an encounter is a part of a longer stay (a ward, intensive care) without a discharge."""
    if parent is None or _class_code(parent) in (*NOT_A_STAY_CLASSES, "EMER"):
        return False
    return not elements.child(encounter, "hospitalization").get("dischargeDisposition")


def _preceded_stay(item: Resource, encounter: Resource, bases: frozenset[str]) -> bool:
    """Return whether emergency care is the stay's parent, or ended when it began."""
    if _class_code(item) != "EMER":
        return False
    if encounter.get("partOf") in references.reference_targets([item], bases):
        return True
    ended = fhir_datetime.parse(elements.child(item, "period").get("end"))
    began = fhir_datetime.parse(elements.child(encounter, "period").get("start"))
    if ended is None or began is None:
        return False
    return began.begins - ended.ends <= MAX_EMERGENCY_GAP and ended.begins - began.ends <= MAX_EMERGENCY_GAP


def is_emergency(encounter: Resource) -> bool:
    """Return whether an encounter is emergency care: by class, else by the names of class, type and service."""
    if _class_code(encounter) in ("EMER", "E"):
        return True
    named = [elements.string(elements.child(encounter, "class"), "display") or ""]
    named += [
        text
        for field in ("type", "serviceType")
        for part in elements.children(encounter, field)
        for text in elements.displays(part)
    ]
    return any(_CALLED_EMERGENCY.search(text) for text in named)


def _class_code(encounter: Resource) -> str:
    return (elements.string(elements.child(encounter, "class"), "code") or "").upper()


def disposition(encounter: Resource, people: dict[str, Resource], bases: frozenset[str]) -> str | None:
    """Return where the patient went: the disposition in words, and the receiving place."""
    stated = elements.child(encounter, "hospitalization").get("dischargeDisposition")
    return elements.join_distinct([_disposition_name(stated), destination(encounter, people, bases)]) or None


def destination(encounter: Resource, people: dict[str, Resource], bases: frozenset[str]) -> str | None:
    """Return the name of the receiving place."""
    place = elements.child(elements.child(encounter, "hospitalization"), "destination")
    organization = people.get(references.relative(place, bases) or "", {})
    return elements.string(organization, "name") or elements.string(place, "display")


def _disposition_name(stated: object) -> str | None:
    """Return the disposition in words, which German records have only in an extension."""
    if (name := elements.concept(stated)) is not None:
        return _DISPOSITIONS.get(name.lower(), name) if _has_code(stated, name) else name
    for outer in elements.extensions(stated, "Entlassungsgrund"):
        for inner in elements.extensions(outer, "ErsteUndZweiteStelle"):
            if name := elements.string(elements.child(inner, "valueCoding"), "display"):
                return name
    for system, code in elements.coding_pairs(stated):
        if system == _DISPOSITION and code.lower() in _DISPOSITIONS:
            return _DISPOSITIONS[code.lower()]
    return elements.concept_or_code(stated)


def _has_code(stated: object, name: str) -> bool:
    """Return whether the text is only the code again: `aadvice`."""
    return any(code.lower() == name.lower() for _, code in elements.coding_pairs(stated))


def died(encounter: Resource, patient: Resource, observations: Iterable[Resource], scope: StayScope) -> bool:
    """Return whether the stay ended with the patient's death, in any form that records state it."""
    stated = elements.child(encounter, "hospitalization").get("dischargeDisposition")
    if _disposition_is_death(stated):
        return True
    went = _disposition_name(stated) is not None  # somewhere: a death is then one of the time after
    when = scope.parse_time(patient.get("deceasedDateTime"))
    if when is not None:
        last = scope.end if went and when.begins == when.ends else scope.end_of_day
        return when.begins <= last and (scope.start is None or when.ends >= scope.start.begins)
    if elements.boolean(patient, "deceasedBoolean") and not went:
        return True
    own = (
        item
        for item in observations
        if scope.belongs(item) and elements.string(item, "status") not in ("entered-in-error", "cancelled")
    )
    return any(elements.loinc_codes(item.get("code")) & _DEATH_OBSERVATIONS for item in own)


def _disposition_is_death(stated: object) -> bool:
    """Return whether the disposition itself states the death: in words, else by a code."""
    words = _words_of(stated)
    if any((match := _DIED.search(text)) and not _is_negated(text, match) for text in words):
        return True
    inner = (
        item
        for outer in elements.extensions(stated, "Entlassungsgrund")
        for item in elements.extensions(outer, "ErsteUndZweiteStelle")
    )
    if any(elements.string(elements.child(item, "valueCoding"), "code") == _DIED_DE for item in inner):
        return True
    # A local table may use these numbers for something else, and then its words say what.
    standard = _STANDARD_DISPOSITIONS if list(elements.displays(stated)) else _DISPOSITION_SYSTEMS
    return any(code in _DIED_CODES and standard.search(system) for system, code in elements.coding_pairs(stated))


def _is_negated(text: str, death: re.Match[str]) -> bool:
    return any(
        negation.start() <= death.start() < negation.end() or negation.end() == death.start()
        for negation in (*_NOT_A_DEATH.finditer(text), *_NOT_A_DEATH.finditer(text[: death.start()]))
    )


def died_later(patient: Resource, scope: StayScope) -> str | None:
    """Return the day of a death after the stay, as recorded."""
    when = scope.parse_time(patient.get("deceasedDateTime"))
    return when.text if when is not None and when.begins > scope.end else None


def _words_of(concept: object) -> list[str]:
    return [*elements.displays(concept), *(code.replace("_", " ") for code in elements.codes(concept))]
