"""Hypothesis strategies for whole FHIR R4 records of one inpatient stay, with the dirt of real ones.

Every resource that is named bears a name of its own (ALLERGENS, MEDICINES, TESTS, ...), so that a test can tell whose
line it reads. Ids and references hold no digits: a number that is printed comes from an element.
"""

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.support.fhir_elements import (
    END,
    JUNK,
    LATER,
    MOMENTS,
    NOTES,
    START,
    Element,
    annotations,
    coded,
    dosages,
    maybe,
    named,
    periods,
    quantities,
    ranges,
    references,
    values,
)

PATIENT, ENCOUNTER, DOCTOR = "Patient/quill", "Encounter/stay", "Practitioner/marlow"
ALLERGENS = ("Zimtpollen", "Oxalbumin", "Café-latex", "Kiwiprotein", "β-Laktamring", "Hornissengift")
MEDICINES = (
    "Abrocil",
    "Benotrix",
    "Cardovane",
    "Delumab",
    "Eprolast",
    "Fumorin",
    "Galoptin",
    "Hexaforte",
    "Ibrolone",
    "Jantuval",
    "Kelzomid",
    "Lumivar",
)
TESTS = ("Alphasin", "Betacrit", "Gammolyt", "Deltaferrin", "Epsilase", "Zetaglobin", "Etacount", "Thetarate")
OTHERS = (
    "Morbus Nordlund",
    "Rupture of the quux",
    "Tarsal widening",
    "Open quuxectomy",
    "Drain of the frob",
    "Scan of the frob",
    "Walking school",
    "Dorn vaccine",
    "Visit at the quux clinic",
    "Low frob diet",
    "Climb stairs",
    "Frob catheter",
    "Nurse at home",
    "Old quux",
    "Family quux",
    "Quux grading",
)
CONDITION_CODES = ("active", "recurrence", "inactive", "resolved", "remission")
REQUEST_STATUS = ("active", "active", "completed", "stopped", "cancelled", "on-hold", "entered-in-error", "draft")
INTENTS = ("order", "order", "original-order", "plan", "proposal", "option", "instance-order")


@dataclass(frozen=True)
class Drawn:
    """A record as the drafter gets it, and whether its Encounter is an untouched inpatient stay that has ended."""

    encounter: Element
    patient: Element
    people: dict[str, Element]
    entries: dict[str, list[Element]]
    is_stay: bool


def _base(type: str, id: str, status: str, **more: Any) -> Element:
    who = "patient" if type in ("AllergyIntolerance", "Immunization", "NutritionOrder", "Consent") else "subject"
    of_stay = {"encounter": {"reference": ENCOUNTER}}
    if type.startswith("Medication") and type != "MedicationRequest":
        of_stay = {"context": {"reference": ENCOUNTER}}
    return {"resourceType": type, "id": id, "status": status, who: {"reference": PATIENT}} | of_stay | more


@st.composite
def allergies(draw: st.DrawFn, name: str, id: str) -> Element:
    base = _base("AllergyIntolerance", id, "")
    del base["status"]
    reaction = maybe(
        manifestation=st.lists(named("rash"), max_size=2), onset=MOMENTS, description=NOTES, severity=NOTES
    )
    return (
        base
        | {"code": draw(named(name))}
        | draw(
            maybe(
                clinicalStatus=coded("active", "active", "inactive", "resolved"),
                verificationStatus=coded("confirmed", "unconfirmed", "refuted", "entered-in-error"),
                type=st.sampled_from(["allergy", "intolerance"]),
                category=st.lists(st.sampled_from(["food", "medication"]), max_size=1),
                criticality=st.sampled_from(["low", "high", "unable-to-assess"]),
                recordedDate=st.one_of(MOMENTS, LATER),
                onsetDateTime=MOMENTS,
                onsetAge=quantities(),
                onsetString=NOTES,
                lastOccurrence=MOMENTS,
                note=annotations(),
                reaction=st.lists(reaction, max_size=2),
            )
        )
    )


@st.composite
def medications(draw: st.DrawFn, type: str, name: str, id: str) -> Element:
    """A MedicationRequest, -Statement, -Administration or -Dispense of the medicine `name`."""
    statuses = {
        "MedicationRequest": REQUEST_STATUS,
        "MedicationStatement": ("active", "active", "not-taken", "on-hold", "stopped", "entered-in-error", "intended"),
        "MedicationAdministration": ("completed", "in-progress", "not-done", "stopped", "entered-in-error"),
        "MedicationDispense": ("completed", "cancelled", "declined", "stopped", "entered-in-error", "on-hold"),
    }[type]
    base = _base(type, id, draw(st.sampled_from(statuses)))
    concept = draw(named(name))
    if draw(st.booleans()):
        base |= {"medicationReference": {"reference": "#med"}}
        base |= {"contained": [{"resourceType": "Medication", "id": "med", "code": concept}]}
    else:
        base |= {"medicationCodeableConcept": concept}
    if type == "MedicationRequest":
        base["intent"] = draw(st.sampled_from(INTENTS))
    one, many = dosages(), st.lists(dosages(), max_size=2)
    details = {
        "MedicationRequest": maybe(
            doNotPerform=st.booleans(),
            category=st.lists(coded("discharge", "community", "inpatient"), max_size=1),
            authoredOn=MOMENTS,
            dosageInstruction=many,
            dispenseRequest=maybe(validityPeriod=periods(), quantity=quantities(), expectedSupplyDuration=quantities()),
            reasonCode=st.lists(named("quux pain"), max_size=1),
            statusReason=named("side effects"),
            note=annotations(),
        ),
        "MedicationStatement": maybe(dateAsserted=MOMENTS, effectivePeriod=periods(), dosage=many, note=annotations()),
        "MedicationAdministration": maybe(effectiveDateTime=MOMENTS, effectivePeriod=periods(), dosage=one),
        "MedicationDispense": maybe(
            whenHandedOver=MOMENTS, quantity=quantities(), daysSupply=quantities(), dosageInstruction=many
        ),
    }
    return base | draw(details[type])


@st.composite
def observations(draw: st.DrawFn, name: str, id: str) -> Element:
    component = st.builds(
        lambda code, value, rest: {"code": code} | value | rest, named("Part of it"), values(), _graded()
    )
    base = _base("Observation", id, draw(st.sampled_from(["final", "final", "amended", "preliminary", "cancelled"])))
    kinds = coded("laboratory", "laboratory", "vital-signs", "survey", "imaging", "exam", "social-history")
    rest = maybe(
        category=st.lists(kinds, min_size=1, max_size=1),
        effectiveDateTime=MOMENTS,
        effectiveInstant=MOMENTS,
        effectivePeriod=periods(),
        effectiveTiming=maybe(event=st.lists(MOMENTS, max_size=1)),
        issued=MOMENTS,
        component=st.lists(component, max_size=2),
        note=annotations(),
        bodySite=named("left arm"),
    )
    return base | {"code": draw(named(name))} | draw(values()) | draw(_graded()) | draw(rest)


@cache
def _graded() -> st.SearchStrategy[Element]:
    """What says whether a result is within range."""
    bounds = st.builds(
        lambda bound, text: bound | text, ranges(), maybe(text=NOTES, type=coded("normal", "therapeutic"))
    )
    return maybe(
        referenceRange=st.lists(bounds, max_size=2),
        interpretation=st.lists(coded("N", "H", "LL", "POS", "A", "IND", "S", "R"), max_size=2),
    )


@cache
def _others(names: tuple[str, ...]) -> list[st.SearchStrategy[Element]]:
    """One of each further type of resource, each under its own name."""
    dated = maybe(onsetDateTime=MOMENTS, abatementDateTime=MOMENTS, recordedDate=MOMENTS, note=annotations())
    shapes: list[tuple[str, str, tuple[str, ...], st.SearchStrategy[Element]]] = [
        ("Condition", "code", ("",), dated),
        ("Condition", "code", ("",), _judged(dated)),
        ("Condition", "code", ("",), _judged(dated)),
        ("Procedure", "code", ("completed", "not-done"), maybe(performedDateTime=MOMENTS, performedString=NOTES)),
        ("Procedure", "code", ("in-progress", "unknown"), maybe(performedPeriod=periods(), bodySite=st.just([]))),
        ("DiagnosticReport", "code", ("final", "preliminary"), maybe(conclusion=NOTES, issued=MOMENTS)),
        ("ServiceRequest", "code", ("active", "revoked"), maybe(occurrenceDateTime=LATER, patientInstruction=NOTES)),
        ("Immunization", "vaccineCode", ("completed", "not-done"), maybe(occurrenceDateTime=MOMENTS, lotNumber=NOTES)),
        ("Appointment", "serviceType", ("booked", "cancelled"), maybe(start=LATER, description=NOTES)),
        ("NutritionOrder", "code", ("active",), maybe(oralDiet=maybe(instruction=NOTES), dateTime=MOMENTS)),
        ("Goal", "description", ("",), maybe(lifecycleStatus=st.just("active"), startDate=MOMENTS)),
        ("Device", "type", ("active",), maybe(manufactureDate=MOMENTS, note=annotations())),
        ("CarePlan", "title", ("active", "draft"), maybe(description=NOTES, period=periods(), intent=st.just("plan"))),
        ("Flag", "code", ("active", "inactive"), maybe(period=periods())),
        ("FamilyMemberHistory", "relationship", ("completed",), maybe(note=annotations(), ageAge=quantities())),
        ("RiskAssessment", "code", ("final",), maybe(occurrenceDateTime=MOMENTS, basis=st.just([None]))),
    ]
    return [
        _other(*shape, name=name, index=index) for index, (shape, name) in enumerate(zip(shapes, names, strict=True))
    ]


def _judged(rest: st.SearchStrategy[Element]) -> st.SearchStrategy[Element]:
    status = maybe(
        clinicalStatus=coded(*CONDITION_CODES),
        verificationStatus=coded("confirmed", "provisional", "differential", "refuted", "entered-in-error"),
        category=st.lists(coded("encounter-diagnosis", "problem-list-item"), max_size=1),
    )
    return st.builds(lambda judged, details: judged | details, status, rest)


@st.composite
def _other(
    draw: st.DrawFn,
    type: str,
    element: str,
    statuses: tuple[str, ...],
    rest: st.SearchStrategy[Element],
    *,
    name: str,
    index: int,
) -> Element:
    base = _base(type, f"other-{chr(ord('a') + index)}", draw(st.sampled_from(statuses)))
    concept: Any = name if element == "title" else draw(named(name))
    return base | {element: [concept] if element == "serviceType" else concept} | draw(rest)


@st.composite
def encounters(draw: st.DrawFn) -> Element:
    stay = {"resourceType": "Encounter", "id": "stay", "status": "finished", "subject": {"reference": PATIENT}}
    stay |= {
        "class": {"code": draw(st.sampled_from(["IMP", "ACUTE", "NONAC"]))},
        "period": {"start": START, "end": END},
    }
    disposition = maybe(dischargeDisposition=coded("home", "exp", "snf", "20", "oth"))
    role = {"type": [{"coding": [{"code": "ATND"}]}], "individual": {"reference": DOCTOR}}
    return stay | draw(
        maybe(
            reasonCode=st.lists(named("Pain of the quux"), max_size=2),
            participant=st.just([role]),
            hospitalization=disposition,
            serviceType=named("Quux medicine"),
            diagnosis=st.lists(references("Condition/other-a").map(lambda target: {"condition": target}), max_size=2),
            length=quantities(),
        )
    )


@st.composite
def dirtied(draw: st.DrawFn, element: Element, most: int = 2) -> Element:
    """`element` with up to `most` of its inner elements taken out or replaced by something of a wrong type."""
    element = copy.deepcopy(element)
    for _ in range(draw(st.integers(0, most))):
        places = _places(element)
        if not places:
            break
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        junk = draw(st.one_of(st.just(...), JUNK))
        if junk is ...:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(junk)  # what is drawn is shared by all examples
    return element


def _places(node: Any, top: bool = True) -> list[tuple[Any, Any]]:
    """Every (holder, key) below `node`, but the type and the id: a server always gives these."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    found: list[tuple[Any, Any]] = [(node, key) for key in keys if not (top and key in ("resourceType", "id"))]
    return found + [place for key in keys for place in _places(node[key], False)]


@st.composite
def records(draw: st.DrawFn) -> Drawn:
    """A whole record. About half of the resources are as the specification wants them, the others are not."""
    medicines, tests = iter(draw(st.permutations(MEDICINES))), iter(draw(st.permutations(TESTS)))
    entries: dict[str, list[Element]] = {}

    def put(resource: st.SearchStrategy[Element]) -> None:
        found = draw(resource.flatmap(dirtied))
        entries.setdefault(found["resourceType"], []).append(found)

    for index in range(draw(st.integers(0, 3))):
        put(allergies(ALLERGENS[index + draw(st.integers(0, 1)) * 3], f"allergy-{chr(ord('a') + index)}"))
    for type, most in (("Request", 4), ("Statement", 2), ("Administration", 2), ("Dispense", 2)):
        for index in range(draw(st.integers(0, most))):
            put(medications(f"Medication{type}", next(medicines), f"{type.lower()}-{chr(ord('a') + index)}"))
    for index in range(draw(st.integers(0, 5))):
        put(observations(next(tests), f"observation-{chr(ord('a') + index)}"))
    others = _others(OTHERS)
    for index in draw(st.lists(st.integers(0, len(others) - 1), unique=True, max_size=5)):
        put(others[index])
    clean = draw(encounters())
    encounter = draw(dirtied(clean, 1))
    return Drawn(encounter, draw(patients().flatmap(dirtied)), {DOCTOR: _doctor()}, entries, encounter == clean)


@cache
def patients() -> st.SearchStrategy[Element]:
    number = {"type": {"coding": [{"code": "MR"}]}, "value": "PID-0041377"}
    details = maybe(
        birthDate=st.sampled_from(["1951-04-17", "1951", "2026-05-30", "1951-04"]),
        gender=st.sampled_from(["male", "female", "other", "unknown"]),
        deceasedBoolean=st.booleans(),
        identifier=st.just([number]),
        name=st.just([{"family": "van Quill", "given": ["Odd", "M."], "use": "official"}]),
    )
    return details.map(lambda found: {"resourceType": "Patient", "id": "quill"} | found)


def _doctor() -> Element:
    return {"resourceType": "Practitioner", "id": "marlow", "name": [{"family": "Marlow", "given": ["Ute"]}]}
