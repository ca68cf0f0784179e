"""Read allergies and intolerances. They belong to the patient, not to the stay: none is dropped for its date."""

import re
from dataclasses import dataclass

from services.drafter.record import no_known_allergies
from services.drafter.record.scope import IN_ERROR, StayScope
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import Allergy

_NOT_ASKED = frozenset({"no-allergy-info", "1631000175102", "asked-unknown", "unknown"})
_NOT_ASKED_WORDS = re.compile(
    r"not asked|not on file|no information|unable to (obtain|assess)|unknown allerg|not assessed|nicht erhoben",
    re.IGNORECASE,
)
_EXCEPTION = re.compile(r"\b(except|excluding|other than|apart from|besides|sauf|außer|behalve|salvo)\b", re.IGNORECASE)
_UNCERTAIN_STATUSES = frozenset({"unconfirmed", "presumed"})


@dataclass(frozen=True, slots=True)
class AllergyList:
    """Active allergies, or the statement that there are none; else `unknown` says why nothing is listed."""

    entries: tuple[Allergy, ...]
    unknown: str = ""


def read_allergies(resources: list[Resource], scope: StayScope) -> AllergyList:
    """Return active, unrefuted allergies; statements of absence only while nothing contradicts them."""
    active: list[tuple[Resource, Allergy]] = []
    absent: list[tuple[Resource, str, FhirDateTime | None]] = []
    asked = True
    for item in resources:
        name = _substance_name(item)
        recorded = scope.first_time(item, "recordedDate", "onsetDateTime", "onsetPeriod", "lastOccurrence")
        if not _is_valid(item, name, scope):
            continue
        if name is not None and _is_absence(item, name):
            absent.append((item, name, recorded))
        elif name is not None and _is_unasked(item, name):
            asked = False
        elif _is_inactive(item):
            scope.leave_out(item, name, "no longer active")
        else:
            entry = scope.entry(item, _describe(item, name, recorded, scope), recorded)
            active.append(
                (item, Allergy(**entry.model_dump(), names=_substance_names(item), codes=_substance_codes(item)))
            )
    entries = [entry for _, entry in active]
    for item, name, recorded in absent:
        if any(no_known_allergies.contradicts(item, name, other, _substance_name(other) or "") for other, _ in active):
            when = f" of {recorded.text}" if recorded else ""
            scope.leave_out(item, f"the statement “{name}”{when}", "which the allergies of the record contradict")
        else:
            # Some systems close such a statement with the encounter: it is included, with its status.
            closed = "recorded as no longer active: ask the patient" if _is_inactive(item) else None
            more = elements.join_distinct([closed, _recorded_later(recorded, scope)], "; ")
            entry = scope.entry(item, f"{name} ({more})" if more else name, recorded)
            entries.append(Allergy(**entry.model_dump()))
    if not entries:
        return AllergyList((), "" if asked else "Not asked, or no information: ask the patient")
    partly = not active and all(no_known_allergies.is_partial(item, name) for item, name, _ in absent)
    return AllergyList(
        tuple(entries), "Only some are said to be absent: ask the patient about others" if partly else ""
    )


def _substance_name(item: Resource) -> str | None:
    """Return the substance of the entry, else of its reactions."""
    substances = [elements.concept(reaction.get("substance")) for reaction in elements.children(item, "reaction")]
    return (
        elements.concept(item.get("code"))
        or elements.join_distinct(substances)
        or elements.concept_or_code(item.get("code"))
    )


def _substance_names(item: Resource) -> tuple[str, ...]:
    """Return every name of the substance, in the entry and its reactions."""
    substances = [reaction.get("substance") for reaction in elements.children(item, "reaction")]
    return tuple(dict.fromkeys(name for part in (item.get("code"), *substances) for name in elements.displays(part)))


def _substance_codes(item: Resource) -> tuple[str, ...]:
    return tuple(sorted(f"{system}|{code}" for system, code in elements.coding_pairs(item.get("code"))))


def _is_valid(item: Resource, name: str | None, scope: StayScope) -> bool:
    stated = elements.codes(item.get("verificationStatus"))
    if stated & {"refuted", IN_ERROR}:
        scope.leave_out(item, name, "entered in error" if IN_ERROR in stated else "refuted")
        return False
    return True


def _is_absence(item: Resource, name: str) -> bool:
    """Return whether an entry states that there is none; `none except penicillin` states that there is one."""
    return not _EXCEPTION.search(name) and no_known_allergies.states_no_allergy(item, name)


def _is_unasked(item: Resource, name: str) -> bool:
    """Return whether an entry states that nobody asked. One with a reaction is an allergy."""
    if elements.children(item, "reaction") or elements.string(item, "criticality") == "high":
        return False
    if _NOT_ASKED_WORDS.search(name):
        return True
    named = next(elements.displays(item.get("code")), None)  # a name beside a code for "unknown" is a name
    unknown = named is None or re.search(r"unknown|unbekannt|onbekend", named, re.IGNORECASE) is not None
    return unknown and bool(elements.codes(item.get("code")) & _NOT_ASKED)


def _is_inactive(item: Resource) -> bool:
    return bool(elements.codes(item.get("clinicalStatus")) & {"inactive", "resolved"})


def _describe(item: Resource, name: str | None, recorded: FhirDateTime | None, scope: StayScope) -> str:
    """Return `Penicillin V (anaphylaxis, severe; high criticality)`."""
    reactions = [
        elements.join_distinct([*_manifestations(part), elements.string(part, "severity")])
        for part in elements.children(item, "reaction")
    ]
    criticality = {"high": "high criticality", "unable-to-assess": "criticality not assessed"}.get(
        str(item.get("criticality"))
    )
    more = [
        *reactions,
        criticality,
        *(elements.codes(item.get("verificationStatus")) & _UNCERTAIN_STATUSES),
        "intolerance" if item.get("type") == "intolerance" else None,
        *elements.annotations(item),
        _recorded_later(recorded, scope),
    ]
    text = elements.join_distinct(more, "; ")
    return f"{name or 'Substance not recorded'} ({text})" if text else name or "Substance not recorded"


def _recorded_later(recorded: FhirDateTime | None, scope: StayScope) -> str | None:
    return f"recorded {recorded.text}, after the discharge" if recorded and recorded.begins > scope.end_of_day else None


def _manifestations(reaction: Resource) -> list[str | None]:
    names = [elements.concept_or_code(item) for item in elements.children(reaction, "manifestation")]
    description = elements.string(reaction, "description")
    described = description is not None and any(name and name.lower() in description.lower() for name in names)
    return [description] if described else [*names, description]
