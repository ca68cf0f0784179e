"""Identify patient and attending: current names, medical record number, practitioner references."""

import re
from collections.abc import Iterator

from services.drafter.record.scope import StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.references import ReferenceTargets
from shared.contracts.context import Patient

# National, insurance and social numbers: never a hospital's own. Parts of identifier systems.
_NOT_OURS = re.compile(
    r"ssn|2\.16\.840\.1\.113883\.4\.[13]\b|driver|licen[cs]e|passport|bsn|kvid|kvnr|pkv|iknr|ihi"
    r"|medicare|dva|medicaid"
    r"|nhs-?number|insurance|insur|ahv|nir\b|insee|cpf|aadhaar|personnummer|beneficiary|/npi|social",
    re.IGNORECASE,
)
_MRN = re.compile(
    r"\b(mrn|m\.r\.n\.|medical[ -]record([ -](number|no\.?))?|patient(en)?nummer|ur number|urn|hospital number)\b", re.I
)
# https://terminology.hl7.org/CodeSystem-v2-0203.html, and the German identifier types.
_OTHER_IDENTIFIER_TYPES = frozenset(
    [
        "SS",
        "SB",
        "DL",
        "PPN",
        "NI",
        "NH",
        "MC",
        "MA",
        "AN",
        "VN",
        "FIN",
        "HC",
        "WC",
        "TAX",
        "PEN",
        "DVA",
        "KVZ10",
        "GKV",
        "PKV",
        "NIIP",
        "JHN",
        "CZ",
        "BC",
        "MB",
        "SN",
    ]
)
ATTENDING = ("ATND", "PPRF", "ADM", "DIS")  # v3-ParticipationType, the first that is there
_ATTENDS = re.compile(r"\battending|behandeln|behandelaar|hoofdbehand|responsible", re.IGNORECASE)


def read_patient(resource: Resource, scope: StayScope, provider: Resource) -> Patient:
    """Return name, number, birth date and sex as currently recorded."""
    born = scope.parse_time(resource.get("birthDate"))
    return Patient(
        source=source(resource),
        name=elements.person_name(resource, at=scope.end) or "Name not recorded",
        mrn=record_number(resource, provider, scope),
        birth_date=born.begins.date() if born and born.is_day else None,
        birth=born.text if born else None,
        sex=elements.string(resource, "gender"),
    )


def record_number(resource: Resource, provider: Resource, scope: StayScope) -> str | None:
    """Return the medical record number: typed MR or called MRN, this hospital's first; never a national number."""

    def rank(item: Resource) -> tuple[int, bool, int]:
        assigner = elements.string(elements.child(item, "assigner"), "reference")
        other = bool(assigner and provider and assigner != elements.string(provider, "reference"))
        use = {"usual": 0, "official": 1, "old": 9}.get(str(item.get("use")), 2)
        return _identifier_rank(item), other, use

    usable = [
        item
        for item in elements.children(resource, "identifier")
        if elements.string(item, "value") and not _is_outdated(item, scope)
    ]
    numbers = sorted((item for item in usable if _identifier_rank(item) < len(_KINDS)), key=rank)
    return elements.string(numbers[0], "value") if numbers else None


_KINDS = ("typed MR", "called MRN", "typed internal")


def _identifier_rank(item: Resource) -> int:
    """Return how surely an identifier is the hospital's record number: 0 most, `len(_KINDS)` not at all."""
    type, system = item.get("type"), elements.string(item, "system") or ""
    codes = elements.codes(type)
    texts = " ".join(elements.displays(type))
    if "MR" in codes:
        return 0
    if _MRN.search(texts):
        return 1
    if codes & _OTHER_IDENTIFIER_TYPES or _NOT_OURS.search(f"{system} {texts}"):
        return len(_KINDS)
    if codes & {"PI", "PT", "PN"}:
        return 2
    return 1 if re.search(r"mrn|medical-?record", system, re.IGNORECASE) else len(_KINDS)


def _is_outdated(item: Resource, scope: StayScope) -> bool:
    end = scope.parse_time(elements.child(item, "period").get("end"))
    return item.get("use") == "old" or (end is not None and end.ends < scope.end)


def attending_reference(encounter: Resource) -> Resource:
    """Return the Reference of the attending: the last current one; empty where nobody is named."""
    participants = elements.children(encounter, "participant")
    for code in ATTENDING:
        matching = [
            item
            for item in participants
            if code in elements.codes(item.get("type")) or (code == "ATND" and _has_attending_title(item))
        ]
        if matching:
            return elements.child(max(matching, key=_participation_order), "individual")
    return {}


def _participation_order(participant: Resource) -> tuple[str, str]:
    """Return the sort key of participants: by end, then start; one without an end is current."""
    period = elements.child(participant, "period")
    return elements.string(period, "end") or "9999", elements.string(period, "start") or ""


def _has_attending_title(participant: Resource) -> bool:
    names = (text for type in elements.children(participant, "type") for text in elements.displays(type))
    return any(_ATTENDS.search(text) for text in names)


def resolve_practitioner(
    reference: Resource | str | None, people: dict[str, Resource], bases: frozenset[str]
) -> tuple[str | None, str | None]:
    """Return reference and name of a person; of a PractitionerRole its Practitioner's."""
    element = {"reference": reference} if isinstance(reference, str) else reference or {}
    named = references.relative(element, bases)
    person = people.get(named or "")
    display = elements.string(element, "display")
    if person is not None and person.get("resourceType") == "PractitionerRole":
        role = elements.child(person, "practitioner")
        inner, name = resolve_practitioner(role, people, bases) if role else (None, None)
        return inner or named, name or display
    name = elements.person_name(person, prefixes=True) if person else None
    return named, name or _given_name_first(display)


_TITLES = re.compile(r"(MD|DO|PhD|RN|NP|PA|FRCP|MBBS|Dr\.?)\b.*")


def _given_name_first(display: str | None) -> str | None:
    """Return `Ostrowski, Kamil` → `Kamil Ostrowski`, `Lee, Jo, DO` → `Jo Lee, DO`; titles stay."""
    if display is None:
        return None
    family, comma, given = display.partition(", ")
    titles = _TITLES.fullmatch(given)
    name, second, last = given.partition(", ")
    if second and _TITLES.fullmatch(last) and " " not in family:
        return f"{name} {family}, {last}"
    return f"{given} {family}" if comma and not titles and " " not in family else display


def patient_targets(resources: list[Resource], bases: frozenset[str]) -> ReferenceTargets:
    """Return the records of one patient: the surviving one and those merged into it."""
    return references.reference_targets(resources, bases)


_CODES = ("code", "medicationCodeableConcept", "vaccineCode", "type", "category")  # what an entry may be named by


def entries_about(resources: list[Resource], patients: ReferenceTargets, scope: StayScope) -> Iterator[Resource]:
    """Yield the entries about the patient, without those of another subject.

    An identifier as subject matches by system and value, by value alone where one side has no system; otherwise the
    entry is listed as left out, as the number may be unknown. The same applies to a contained Patient. A newborn's
    weight in the mother's record, with the child as focus, is listed as left out.
    """
    for item in resources:
        subjects = [
            one
            for name in ("subject", "patient")
            for part in elements.children(item, name)
            for one in _contained_identifiers(part, item)
        ]
        numbered = [part for part in subjects if not _is_literal(part) and references.identifiers_of(part)]
        named = [part for part in subjects if part.get("reference") and part not in numbered]
        inner = [part for part in named if str(part["reference"]).startswith("#")]
        if named and not inner and not any(part in patients for part in named):
            continue
        name = next((text for field in _CODES if (text := elements.concept_or_code(item.get(field)))), None)
        if inner:
            scope.leave_out(
                item, name, "of a patient whom only the entry itself describes, without a number", important=True
            )
        elif not named and numbered and not any(_has_patient_identifier(part, patients) for part in numbered):
            scope.leave_out(item, name, "of a patient with another number", important=True)
        elif all(part in patients for part in elements.children(item, "focus") if _is_person(part)):
            yield item
        else:
            scope.leave_out(item, name, "about another person")


def _contained_identifiers(subject: Resource, item: Resource) -> list[Resource]:
    """Return the identifiers of a contained Patient or Group, one each; else the reference itself."""
    reference = elements.string(subject, "reference") or ""
    if not reference.startswith("#"):
        return [subject]
    contained = [part for part in elements.children(item, "contained") if part.get("id") == reference[1:]]
    numbers = [
        {"identifier": number, "type": part.get("resourceType")}
        for part in contained
        for number in elements.children(part, "identifier")
        if number.get("value")
    ]
    return [*numbers] or [subject]


def _is_literal(subject: Resource) -> bool:
    """Return whether it names a resource by its id, not by an identifier as `Patient?identifier=…` does."""
    return "?" not in (elements.string(subject, "reference") or "?")


def _has_patient_identifier(subject: Resource, patients: ReferenceTargets) -> bool:
    """Return whether an identifier is one of the patient's; another system is another number."""
    if (elements.string(subject, "type") or "Patient") != "Patient":
        return False
    return any(
        value == known and (system == other or not system or not other)
        for system, value in references.identifiers_of(subject)
        for other, known in patients.all_identifiers
    )


def _is_person(reference: Resource) -> bool:
    literal = references.parse(reference)
    type = literal.type if literal is not None and literal.type else elements.string(reference, "type")
    return type in ("Patient", "RelatedPerson")


def merged_into(resource: Resource, bases: frozenset[str]) -> Iterator[str]:
    """Yield references of the records that replaced a patient's record."""
    yield from _linked_patients(resource, ("replaced-by",), bases)


def merged_from(resource: Resource, bases: frozenset[str]) -> Iterator[str]:
    """Yield references of the records that a patient's record replaced."""
    yield from _linked_patients(resource, ("replaces",), bases)


def _linked_patients(resource: Resource, types: tuple[str, ...], bases: frozenset[str]) -> Iterator[str]:
    for link in elements.children(resource, "link"):
        other = references.relative(link.get("other"), bases)
        if link.get("type") in types and other and other.startswith("Patient/"):
            yield other
