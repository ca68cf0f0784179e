"""Read adverse events, detected issues and questionnaires of the stay.

https://hl7.org/fhir/R4/adverseevent.html, https://hl7.org/fhir/R4/detectedissue.html
"""

import re
from collections.abc import Iterator, Mapping

from services.drafter.record.scope import AFTER_DISCHARGE, IN_ERROR, StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry, Diagnosis

_OF_ALLERGY = ", and whether an allergy or intolerance is to be recorded"
# What happens without a medicine or a substance.
_BY_NO_MEDICINE = re.compile(
    r"\b(falls?|fell|slipp\w+|sturz\w*|gefallen|vallen|gevallen|chute)\b|pressure (ulcer|injur|sore)|d[eé][ck]ubitus"
    r"|elopement|wrong (site|side|patient)|retained (foreign|surgical)",
    re.IGNORECASE,
)
_ASKED_SEVERITIES = ("high", "moderate")


def adverse_events(
    resources: list[Resource], known: Mapping[str, Resource], scope: StayScope, bases: frozenset[str]
) -> Iterator[Diagnosis]:
    """Yield adverse events of the stay as diagnoses; near misses are listed as left out.

    `known` are the resources by `Type/id` that a suspect or a resulting condition may be.
    """
    for item in resources:
        time = scope.first_time(item, "date", "detected", "recordedDate")
        name = elements.concept_or_code(item.get("event")) or elements.join_distinct(
            _reference_name(part, known, bases) for part in elements.children(item, "resultingCondition")
        )
        if elements.string(item, "actuality") == "potential":
            if scope.is_of_stay(item, time):
                scope.leave_out(item, name, "which did not happen to the patient")
        elif time is None and scope.belongs(item) is None:
            scope.leave_out(item, name, "without a date", important=True)
        elif scope.usable(item, name or None, time, important=True):
            details = elements.join_distinct(_of_event(item, known, bases), "; ")
            text = f"Adverse event: {name} ({details})" if details else f"Adverse event: {name}"
            yield Diagnosis(**scope.entry(item, text, time).model_dump(), role="comorbidity", acquired=True)


def _of_event(item: Resource, known: Mapping[str, Resource], bases: frozenset[str]) -> list[str | None]:
    """Return `serious; severe; outcome: resolved; suspected: Amoxicillin (probable)`."""
    serious, severity, outcome = (elements.concept(item.get(name)) for name in ("seriousness", "severity", "outcome"))
    suspects = []
    for part in elements.children(item, "suspectEntity"):
        name = _reference_name(elements.child(part, "instance"), known, bases)
        causes = elements.children(part, "causality")
        sure = elements.join_distinct(elements.concept(cause.get("assessment")) for cause in causes)
        suspects.append(f"{name} ({sure.lower()})" if name and sure else name)
    suspected = elements.join_distinct(suspects)
    return [
        serious.lower() if serious else None,
        severity.lower() if severity else None,
        f"outcome: {outcome.lower()}" if outcome else None,
        f"suspected: {suspected}" if suspected else None,
    ]


def confirmation_points(events: list[Diagnosis]) -> Iterator[ContextEntry]:
    """Yield questions on adverse events: they may need a recorded allergy or another medicine."""
    for item in events:
        asked = "" if _BY_NO_MEDICINE.search(item.text) and "suspected:" not in item.text else _OF_ALLERGY
        text = f"{item.text}: confirm{asked}"
        yield ContextEntry(text=text, source=item.source)


def detected_issues(
    resources: list[Resource], known: Mapping[str, Resource], scope: StayScope, bases: frozenset[str]
) -> Iterator[ContextEntry]:
    """Yield high, moderate or ungraded issues as questions; others are listed as left out."""
    for item in resources:
        time = scope.first_time(item, "identifiedDateTime", "identifiedPeriod")
        status, severity = elements.string(item, "status"), elements.string(item, "severity")
        implicated = elements.join_distinct(
            _reference_name(part, known, bases) for part in elements.children(item, "implicated")
        )
        name = elements.join_distinct([elements.concept_or_code(item.get("code")), implicated or None], ": ") or None
        if status in (IN_ERROR, "cancelled"):
            scope.leave_out(item, name, "entered in error" if status == IN_ERROR else "cancelled")
        elif time is not None and time.begins > scope.end:
            scope.leave_out(item, name, AFTER_DISCHARGE)
        elif time is not None and not scope.is_within_stay(time):
            scope.leave_out(item, name, "from before this stay")
        elif severity is not None and severity not in _ASKED_SEVERITIES:
            scope.leave_out(item, name, f"of severity {severity}")
        else:
            actions = [elements.concept(part.get("action")) for part in elements.children(item, "mitigation")]
            done = elements.join_distinct(actions)
            more = [elements.string(item, "detail"), f"recorded action: {done}" if done else None]
            text = elements.join_distinct([name or "an issue that nothing names", *more], "; ")
            yield ContextEntry(
                text=f"The chart warns ({severity or 'severity not recorded'}): {text}", source=source(item)
            )


def leave_out_questionnaires(resources: list[Resource], scope: StayScope) -> None:
    """Name the answered questionnaires of the stay; their content is not read."""
    answered: list[tuple[str, Resource]] = []
    for item in resources:
        time, title = scope.first_time(item, "authored"), _questionnaire_title(item)
        if elements.string(item, "status") == IN_ERROR:
            scope.leave_out(item, title, "entered in error")
        elif scope.is_of_stay(item, time):
            answered.append((f"{title} of {time.text if time else 'no recorded date'}", item))
        elif time is None and scope.belongs(item) is None:
            answered.append((f"{title} without a date", item))
    if answered:
        names = elements.join_distinct(sorted(name for name, _ in answered), "; ")
        scope.leave_out(answered[0][1], names, "whose answers are not read")


def _questionnaire_title(item: Resource) -> str:
    """Return the display of the canonical URL, a contained Questionnaire's title, or the end of the URL."""
    shown = [
        elements.string(part, "valueString") for part in elements.extensions(item.get("_questionnaire"), "display")
    ]
    contained = [
        elements.string(part, "title") or elements.string(part, "name")
        for part in elements.children(item, "contained")
        if part.get("resourceType") == "Questionnaire"
    ]
    url = (elements.string(item, "questionnaire") or "").partition("|")[0].rstrip("/")
    tail = url.rpartition("/")[2]
    named = [*shown, *contained, tail if tail and not tail.startswith("#") else None]
    return next((name for name in named if name), "without a title")


def _reference_name(part: Resource, known: Mapping[str, Resource], bases: frozenset[str]) -> str | None:
    """Return the name of a reference: its display, else that of the referenced resource."""
    if display := elements.string(part, "display"):
        return display
    referenced = known.get(references.relative(part, bases) or "", {})
    medication = known.get(references.relative(referenced.get("medicationReference"), bases) or "", {})
    fields = (referenced.get("code"), referenced.get("medicationCodeableConcept"), medication.get("code"))
    return next((name for field in fields if (name := elements.concept_or_code(field))), None)
