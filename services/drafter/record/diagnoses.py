"""Read diagnoses with role, certainty and onset; reasons for admission; family history."""

from collections.abc import Iterator
from typing import Any, Literal

from services.drafter.record.diagnosis_roles import DiagnosisRoles
from services.drafter.record.scope import AFTER_DISCHARGE, IN_ERROR, OF_ANOTHER_ENCOUNTER, StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import ContextEntry, Diagnosis

Certainty = Literal["confirmed", "suspected", "ruled-out"]

# https://terminology.hl7.org/CodeSystem-condition-ver-status.html
_CERTAINTY: dict[str, Certainty] = {
    "unconfirmed": "suspected",
    "provisional": "suspected",
    "differential": "suspected",
    "refuted": "ruled-out",
}
# ICD-10-GM Diagnosesicherheit: V suspected, A excluded; Z is a state after, G confirmed.
_GERMAN: dict[str, Certainty] = {"V": "suspected", "A": "ruled-out"}
# States that are not simply active, the most telling first: a system may give one beside the broader `inactive`.
_STATES = ("remission", "resolved", "inactive", "recurrence", "relapse")
_NOT_PRESENT_ON_ADMISSION = frozenset({"N", "n", "no"})  # present-on-admission indicator
_UNSPECIFIED_SITES = ("not specified", "unspecified", "unknown")


def read_diagnoses(conditions: list[Resource], roles: DiagnosisRoles, scope: StayScope) -> Iterator[Diagnosis]:
    """Yield the stay's own diagnoses by rank, then the patient's other problems."""
    for reference in roles.unread_references({source(item) for item in conditions}):
        scope.leave_out(
            {"resourceType": "Condition", "id": reference.partition("/")[2]},
            None,
            "which the record does not have",
            important=True,
        )
    for item in sorted(conditions, key=lambda item: roles.sort_key_of(source(item))):
        name, named = _condition_name(item), roles.is_named(source(item))
        onset = scope.first_time(item, "onsetDateTime", "onsetPeriod")
        if _is_usable(item, name, onset, named, scope) and name is not None:
            yield _read_diagnosis(item, name, onset, roles, scope)


def _is_usable(item: Resource, name: str | None, onset: FhirDateTime | None, named: bool, scope: StayScope) -> bool:
    own = named or bool(scope.belongs(item))
    recorded = scope.first_time(item, "recordedDate", "assertedDate")  # the latter is what it was called before R4
    if IN_ERROR in elements.codes(item.get("verificationStatus")):
        scope.leave_out(item, name, "entered in error")
    elif name is None:
        scope.leave_out(item, None, "which nothing names", important=own)
    elif own:
        return True
    elif certainty(item) == "ruled-out":
        scope.leave_out(item, name, "ruled out before this stay")
    elif _is_over(item, scope):
        scope.leave_out(item, name, _why_over(item, scope))
    elif scope.is_after(item, onset):
        scope.leave_out(item, name, AFTER_DISCHARGE)
    elif recorded is not None and recorded.begins > scope.end_of_day:
        scope.leave_out(item, name, "recorded after the discharge")
    elif (
        scope.belongs(item) is False
        and "encounter-diagnosis" in elements.codes(item.get("category"))
        and _without_status(item)
    ):
        scope.leave_out(item, name, OF_ANOTHER_ENCOUNTER)
    else:
        return True
    return False


def _clinical_state(item: Resource) -> str | None:
    """Return the state of a diagnosis that is not simply active: `resolved` differs from `remission`."""
    status = item.get("clinicalStatus")
    stated = {
        *(code.lower() for code in elements.codes(status)),
        *(text.lower() for text in elements.displays(status) if "not " not in text.lower()),
    }
    return next((state for state in _STATES if any(state in text for text in stated)), None)


def _is_over(item: Resource, scope: StayScope) -> bool:
    """Return whether a diagnosis had ended when the stay began. One in remission has not."""
    state, abated = _clinical_state(item), scope.first_time(item, "abatementDateTime", "abatementPeriod")
    if abated is not None and scope.start is not None and abated.ends >= scope.start.begins:
        return False  # it was there in the stay
    return state in ("resolved", "inactive") or (state is None and abated is not None)


def _why_over(item: Resource, scope: StayScope) -> str:
    """Return why it had ended; before the stay only where the record dates the end: `recordedDate` does not."""
    if _clinical_state(item) == "inactive":
        return "recorded as inactive"
    abated = scope.first_time(item, "abatementDateTime", "abatementPeriod")
    return "resolved, the record does not say when" if abated is None else "resolved before this stay"


def _without_status(item: Resource) -> bool:
    """Return whether a diagnosis of another encounter ended with it: an acute one does not persist."""
    return not elements.codes(item.get("clinicalStatus"))


def _read_diagnosis(
    item: Resource, name: str, onset: FhirDateTime | None, roles: DiagnosisRoles, scope: StayScope
) -> Diagnosis:
    reference = source(item)
    own = roles.is_named(reference) or bool(scope.belongs(item))
    role: Any = "comorbidity" if own else "problem"
    if reference == roles.principal and certainty(item) != "ruled-out":
        role = "principal"
    elif roles.only_on_admission(reference):
        role = "admission"
    entry = scope.entry(item, _describe(item, name, scope), onset)
    return Diagnosis(
        **entry.model_dump(),
        code=elements.code(item.get("code")),
        role=role,
        certainty=certainty(item),
        acquired=own and role != "principal" and _began_in_hospital(item, onset, scope),
    )


def certainty(item: Resource) -> Certainty:
    """Return `confirmed`, unless the status or the German certainty extension states otherwise."""
    if german := next((_GERMAN[code] for code in _german_certainty(item) if code in _GERMAN), None):
        return german
    stated = elements.codes(item.get("verificationStatus"))  # a local code may stand before the standard one
    return next((value for code, value in _CERTAINTY.items() if code in stated), "confirmed")


def _german_certainty(item: Resource) -> list[str]:
    return [
        elements.string(elements.child(extension, "valueCoding"), "code") or ""
        for coding in elements.codings(item.get("code"))
        for extension in elements.extensions(coding, "diagnosesicherheit")
    ]


def _condition_name(item: Resource) -> str | None:
    name = elements.concept_or_code(item.get("code"))
    return f"State after: {name}" if name and "Z" in _german_certainty(item) else name


def _describe(item: Resource, name: str, scope: StayScope) -> str:
    """Return the name with site, severity, stage, and that it has resolved."""
    sites = [text for site in elements.children(item, "bodySite") if (text := elements.concept(site))]
    sites = [text.removesuffix(" structure") for text in sites if not text.lower().endswith(_UNSPECIFIED_SITES)]
    sites += [text for part in elements.lateralities(item) if (text := elements.concept(part))]
    more = [text for text in sites if text.lower() not in name.lower()]
    severity = elements.concept(item.get("severity"))
    stages = [text for stage in elements.children(item, "stage") if (text := elements.concept(stage.get("summary")))]
    more += [severity.lower()] if severity and severity.lower() not in name.lower() else []
    more += [text for text in stages if text.lower() not in name.lower()]
    more += [text] if (text := _describe_end(item, scope)) else []
    return f"{name} ({', '.join(more)})" if more else name


def _describe_end(item: Resource, scope: StayScope) -> str | None:
    """Return `resolved 2026-06-03`, `in remission since 2024`, `inactive`; nothing from after the discharge."""
    state, abated = _clinical_state(item), scope.first_time(item, "abatementDateTime", "abatementPeriod")
    if abated is not None and scope.is_after({}, abated):
        return None if state in ("resolved", None) else "in remission" if state == "remission" else state
    when = abated.text if abated else ""
    if state == "remission":
        return f"in remission since {when}" if when else "in remission"
    if state is None and abated is not None:
        state = "resolved"
    return elements.join_distinct([state, when if state in ("resolved", "inactive") else None], " ") or None


def _began_in_hospital(item: Resource, onset: FhirDateTime | None, scope: StayScope) -> bool:
    """Return whether it began in hospital: by indicator, by words, or by onset after the day of admission."""
    for extension in elements.extensions(item, "present-on-admission", "presentOnAdmission", "poa"):
        value = extension.get("valueBoolean", extension.get("valueCode"))
        codes = elements.codes(extension.get("valueCodeableConcept")) or elements.codes(extension.get("valueCoding"))
        return value is False or value in _NOT_PRESENT_ON_ADMISSION or bool(codes & _NOT_PRESENT_ON_ADMISSION)
    evidence = [
        text
        for part in elements.children(item, "evidence")
        for code in elements.children(part, "code")
        for text in elements.displays(code)
    ]
    if any("in-hospital complication" in text.lower() or "hospital-acquired" in text.lower() for text in evidence):
        return True
    return (
        onset is not None
        and onset.is_day
        and scope.start is not None
        and onset.begins.date() > scope.start.begins.date()
    )


def admission_reasons(
    encounters: list[Resource], conditions: list[Resource], bases: frozenset[str]
) -> Iterator[ContextEntry]:
    """Yield complaints of the stay and of preceding emergency care, and what they refer to."""
    known = {source(item): item for item in conditions}
    for encounter in encounters:
        for reason in elements.children(encounter, "reasonCode"):
            if text := elements.concept_or_code(reason):
                yield ContextEntry(text=text, source=source(encounter))
        for reference in elements.children(encounter, "reasonReference"):
            referenced = known.get(references.relative(reference, bases) or "")
            text = _condition_name(referenced) if referenced else elements.string(reference, "display")
            if text:
                yield ContextEntry(text=text, source=source(referenced or encounter))


def family_history(resources: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield `mother: Type 2 diabetes (at 50 years)`; it is never the patient's own."""
    for item in resources:
        relation = elements.concept(item.get("relationship")) or elements.string(item, "name") or "relative"
        status = elements.string(item, "status")
        if status in ("entered-in-error", "health-unknown"):
            scope.leave_out(item, relation, "entered in error" if status == "entered-in-error" else "health unknown")
            continue
        conditions = [_family_condition(part) for part in elements.children(item, "condition")]
        text = elements.join_distinct([*conditions, *elements.annotations(item)])
        if text:
            yield scope.entry(item, f"{relation}: {text}")


def _family_condition(condition: Resource) -> str | None:
    name = elements.concept_or_code(condition.get("code"))
    outcome = elements.concept(condition.get("outcome"))
    age = elements.number(condition.get("onsetAge"))
    unit = elements.string(condition.get("onsetAge"), "unit") or "years"
    more = elements.join_distinct(
        [
            f"at {elements.format_number(age, trailing_zeros=False)} {unit}" if age is not None else None,
            outcome,
            *elements.annotations(condition),
        ]
    )
    return f"{name} ({more})" if name and more else name
