"""Search parameters that R4 defines for the supported types, as data, and how each kind of parameter is matched.

https://hl7.org/fhir/R4/search.html
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

Resource = dict[str, Any]
Kind = Literal["token", "reference", "identifier", "date", "string"]
Parameter = tuple[Kind, tuple[str, ...]]

_COMMON: dict[str, Parameter] = {
    "_id": ("token", ("id",)),
    "_lastUpdated": ("date", ("meta.lastUpdated",)),
    "identifier": ("token", ("identifier",)),
}
_PATIENT: dict[str, Parameter] = {
    "patient": ("reference", ("subject", "patient", "for")),
    "subject": ("reference", ("subject", "for")),
}
_ENCOUNTER: dict[str, Parameter] = {"encounter": ("reference", ("encounter", "context.encounter"))}
_STATUS: dict[str, Parameter] = {"status": ("token", ("status",))}
_CODE: dict[str, Parameter] = {"code": ("token", ("code",)), "category": ("token", ("category",))}
_CLINICAL = _COMMON | _PATIENT | _ENCOUNTER | _CODE

PARAMETERS: dict[str, dict[str, Parameter]] = {
    "Patient": _COMMON | {"family": ("string", ("name.family",)), "birthdate": ("date", ("birthDate",))},
    "Encounter": _COMMON
    | _PATIENT
    | _STATUS
    | {"class": ("token", ("class",)), "date": ("date", ("period",)), "type": ("token", ("type",))}
    | {"appointment": ("reference", ("appointment",))},
    "Condition": _CLINICAL
    | {
        "clinical-status": ("token", ("clinicalStatus",)),
        "recorded-date": ("date", ("recordedDate",)),
        "onset-date": ("date", ("onsetDateTime", "onsetPeriod")),
    },
    "Procedure": _CLINICAL | _STATUS | {"date": ("date", ("performedDateTime", "performedPeriod"))},
    "Observation": _CLINICAL | _STATUS | {"date": ("date", ("effectiveDateTime", "effectivePeriod"))},
    "DiagnosticReport": _CLINICAL
    | _STATUS
    | {"date": ("date", ("effectiveDateTime", "effectivePeriod")), "issued": ("date", ("issued",))},
    "AllergyIntolerance": _COMMON
    | _CODE
    | {"patient": ("reference", ("patient",)), "clinical-status": ("token", ("clinicalStatus",))},
    "MedicationRequest": _CLINICAL
    | _STATUS
    | {
        "intent": ("token", ("intent",)),
        "authoredon": ("date", ("authoredOn",)),
        "medication": ("reference", ("medicationReference",)),
    },
    "MedicationStatement": _COMMON | _PATIENT | _STATUS | {"effective": ("date", ("effectiveDateTime",))},
    "Medication": _COMMON | {"code": ("token", ("code",))},
    "CarePlan": _CLINICAL | _STATUS | {"date": ("date", ("period",))},
    "CareTeam": _COMMON | _PATIENT | _ENCOUNTER | _STATUS,
    "ServiceRequest": _CLINICAL | _STATUS | {"authored": ("date", ("authoredOn",))},
    "Appointment": _COMMON
    | _STATUS
    | {
        "patient": ("reference", ("participant.actor",)),
        "date": ("date", ("start",)),
        "service-type": ("token", ("serviceType",)),
        "appointment-type": ("token", ("appointmentType",)),
        "supporting-info": ("reference", ("supportingInformation",)),
    },
    "DocumentReference": _COMMON
    | _PATIENT
    | _ENCOUNTER
    | _STATUS
    | {"type": ("token", ("type",)), "category": ("token", ("category",)), "date": ("date", ("date",))},
    "Subscription": _COMMON | _STATUS | {"url": ("string", ("channel.endpoint",))},  # of a sandbox that has them
    "Composition": _COMMON | _PATIENT | _ENCOUNTER | _STATUS | {"type": ("token", ("type",))},
    "Task": _COMMON
    | _STATUS
    | {
        "patient": ("reference", ("for",)),
        "encounter": ("reference", ("encounter",)),
        "owner": ("reference", ("owner",)),
        "focus": ("reference", ("focus",)),
        "code": ("token", ("code",)),
        "business-status": ("token", ("businessStatus",)),
    },
    "Provenance": _COMMON
    | {
        "target": ("reference", ("target",)),
        "recorded": ("date", ("recorded",)),
        "when": ("date", ("occurredDateTime",)),
    },
    "AuditEvent": _COMMON | {"date": ("date", ("recorded",)), "entity": ("reference", ("entity.what",))},
    "Device": _COMMON | {"type": ("token", ("type",))},
    "Practitioner": _COMMON | {"family": ("string", ("name.family",))},
    "PractitionerRole": _COMMON
    | {
        "practitioner": ("reference", ("practitioner",)),
        "organization": ("reference", ("organization",)),
        "specialty": ("token", ("specialty",)),
        "role": ("token", ("code",)),
    },
    "Organization": _COMMON | {"name": ("string", ("name",))},
    "Location": _COMMON | {"name": ("string", ("name",))},
    "FamilyMemberHistory": _COMMON | {"patient": ("reference", ("patient",))},
}
INCLUDES = {"MedicationRequest:medication": "medicationReference", "Task:owner": "owner"}

# Elements without which R4 does not accept what we write.
REQUIRED: dict[str, tuple[str, ...]] = {
    "Task": ("status", "intent"),
    "DocumentReference": ("status", "content"),
    "Provenance": ("target", "recorded", "agent"),
    "AuditEvent": ("type", "recorded", "agent", "source"),
    "Encounter": ("status", "class"),
}


def find_parameter(type: str, name: str) -> Parameter | None:
    """Return the parameter `name` of a type, also with the modifier `:identifier` on references; None if unknown."""
    base, colon, modifier = name.partition(":")
    found = PARAMETERS[type].get(base)
    if found is None or not colon:
        return found
    return ("identifier", found[1]) if found[0] == "reference" and modifier == "identifier" else None


def values(resource: Resource, path: str) -> Iterator[Any]:
    """Yield every value at a dotted path; lists on the path are expanded."""
    nodes: list[Any] = [resource]
    for name in path.split("."):
        nodes = [
            item
            for node in nodes
            if isinstance(node, dict) and name in node
            for item in (node[name] if isinstance(node[name], list) else [node[name]])
        ]
    yield from nodes


def matches(resource: Resource, parameter: Parameter, wanted: str) -> bool:
    """Return whether one parameter matches; commas in `wanted` separate alternatives."""
    kind, paths = parameter
    found = [value for path in paths for value in values(resource, path)]
    return bool(found) and any(_MATCHERS[kind](value, item) for item in _alternatives(wanted) for value in found)


@lru_cache(maxsize=1024)  # a search asks the same of each resource
def _alternatives(wanted: str) -> list[str]:
    return re.split(r"(?<!\\),", wanted)


def sort_resources(found: list[Resource], by: str | None) -> list[Resource]:
    """Return `found` sorted by `_sort`, of which only `_lastUpdated` is supported."""
    if by not in ("_lastUpdated", "-_lastUpdated"):
        return found
    return sorted(found, key=lambda item: item.get("meta", {}).get("lastUpdated", ""), reverse=by.startswith("-"))


@lru_cache(maxsize=1024)
def _wanted_token(wanted: str) -> tuple[str, bool, str]:
    """Return the system, whether one is asked for, and the code."""
    *systems, code = (re.sub(r"\\(.)", r"\1", part) for part in re.split(r"(?<!\\)\|", wanted))
    return "|".join(systems), bool(systems), code


def known_identifiers(wanted: str) -> tuple[str, ...]:
    """Return the identifiers of a search, each `system|value`; empty where one of them has no system or no value."""
    found = [_wanted_token(item) for item in _alternatives(wanted)]
    return tuple(f"{system}|{code}" for system, _, code in found) if all(item[0] and item[2] for item in found) else ()


def _token(value: Any, wanted: str) -> bool:
    system, bar, code = _wanted_token(wanted)
    return any(
        code in ("", item_code) and (not bar or system == item_system) for item_system, item_code in _tokens(value)
    )


def _tokens(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for coding in value.get("coding") or [value]:
            yield coding.get("system", ""), coding.get("code", coding.get("value", ""))
    else:
        yield "", str(value)


def _reference(value: Any, wanted: str) -> bool:
    reference = value.get("reference", "") if isinstance(value, dict) else ""
    return bool(reference) and (reference == wanted or reference.rpartition("/")[2] == wanted)


def _identifier(value: Any, wanted: str) -> bool:
    """Match the identifier within a Reference, not that of its target."""
    named = value.get("identifier") if isinstance(value, dict) else None
    return isinstance(named, dict) and _token(named, wanted)


def _string(value: Any, wanted: str) -> bool:
    return str(value).lower().startswith(wanted.lower())


def _date(value: Any, wanted: str) -> bool:
    match = re.fullmatch(r"(eq|ne|gt|ge|lt|le|sa|eb)?(\d.*)", wanted)
    if match is None:
        return False
    low, high = period_of_date(match[2])
    start, end = period_of(value)
    comparisons: dict[str, bool] = {
        "eq": low <= start and end <= high,
        "ne": not (low <= start and end <= high),
        "gt": end > high,
        "ge": end >= low,
        "lt": start < low,
        "le": start <= high,
        "sa": start > high,
        "eb": end < low,
    }
    return comparisons[match[1] or "eq"]


def period_of(value: Any) -> tuple[datetime, datetime]:
    """Return the first and last instant of a date, dateTime or Period."""
    if isinstance(value, dict):
        start = period_of_date(value["start"])[0] if "start" in value else datetime.min.replace(tzinfo=UTC)
        end = period_of_date(value["end"])[1] if "end" in value else datetime.max.replace(tzinfo=UTC)
        return start, end
    return period_of_date(str(value))


def period_of_date(text: str) -> tuple[datetime, datetime]:
    """Return the first and last instant of a FHIR date of any precision."""
    for pattern, step in (("%Y", 366), ("%Y-%m", 31), ("%Y-%m-%d", 1)):
        try:
            start = datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
        return start, start + timedelta(days=step) - timedelta(microseconds=1)
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment, moment


_MATCHERS: dict[Kind, Callable[[Any, str], bool]] = {
    "token": _token,
    "reference": _reference,
    "identifier": _identifier,
    "string": _string,
    "date": _date,
}
