"""The patient's condition: functional and cognitive status, code status, cause of death."""

import re
from collections.abc import Callable, Iterator

from services.drafter.record.code_status import is_code_status
from services.drafter.record.observation_values import format_value
from services.drafter.record.plans import is_activity
from services.drafter.record.scope import StayScope
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import ContextEntry

# LOINC and SNOMED CT of what tells how somebody can live at home.
_FUNCTION = frozenset(
    [
        "96761-2",
        "9269-2",
        "38227-5",
        "59460-6",
        "72106-8",
        "72172-0",
        "75246-9",
        "89247-1",
        "88020-3",
        "54635-4",
        "9271-8",
        "9272-6",
        "9274-2",
        "80288-4",
        "45454-2",
        "95419-8",
        "72133-2",
    ]
)
_FUNCTION_WORDS = re.compile(
    r"barthel|\badl\b|activities of daily|glasgow coma|\bgcs\b|consciousness|orientation|cogniti|mini.?mental"
    r"|\bmmse\b|moca\b|delirium|confusion|karnofsky|ecog|frailty|functional|mobil|ambulat|gait|walking|mental status"
    r"|braden|fall risk|continen|swallow|dysphagia|apgar|rankin|nihss|pain severity|wound|ulcer|stoma"
    r"|zelfredzaam|loopvermogen|bewusstsein|weight.?bearing|smok|tobacco",
    re.IGNORECASE,
)
_FUNCTION_CATEGORIES = frozenset(
    {"functional-status", "cognitive-status", "functional-mental-status", "disability-status"}
)
_DEATH = frozenset({"69453-9"})  # LOINC: cause of death
_DEATH_WORDS = re.compile(r"cause of death|todesursache|doodsoorzaak|cause du d[ée]c[èe]s", re.IGNORECASE)
RESUSCITATION = frozenset({"304251008"})  # SNOMED CT: resuscitation status; other codes are known by their names
_REQUESTED = {"active": "requested", "completed": "request completed"}
_AUTOPSY = re.compile(r"autops|post.?mortem|medical examiner|coroner|obduction|obduktion|obductie", re.IGNORECASE)


def functional_status(observations: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield the last value of each measure of function, cognition or wounds, and of diet and activity."""
    yield from _latest_values(observations, scope, _is_function)


def other_observations(observations: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield the last values of observations in no other list: scores, assessments, social history."""

    def is_other_finding(item: Resource) -> bool:
        elsewhere = _is_function(item) or _is_activity(item) or _is_cause_of_death(item) or is_code_status(item)
        return not elsewhere and not elements.codes(item.get("code")) & RESUSCITATION

    yield from _latest_values(observations, scope, is_other_finding)


def diet_and_activity(observations: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield the last recorded diet and activity."""
    yield from _latest_values(observations, scope, _is_activity)


def _is_activity(item: Resource) -> bool:
    return not _is_function(item) and _has_name(item, is_activity) and "valueQuantity" not in item


def _is_cause_of_death(item: Resource) -> bool:
    coded = elements.loinc_codes(item.get("code")) & _DEATH
    return bool(coded) or _has_name(item, lambda text: _DEATH_WORDS.search(text) is not None)


def _is_function(item: Resource) -> bool:
    codes = elements.codes(item.get("code"))
    if is_code_status(item) or codes & RESUSCITATION:
        return False
    categories = elements.codes(item.get("category"))
    if categories & {"laboratory", "imaging"}:
        return False
    return bool(codes & _FUNCTION or categories & _FUNCTION_CATEGORIES) or _has_name(
        item, lambda text: _FUNCTION_WORDS.search(text) is not None
    )


def _has_name(item: Resource, matches: Callable[[str], bool]) -> bool:
    return any(matches(text) for text in elements.displays(item.get("code")))


def _latest_values(
    observations: list[Resource], scope: StayScope, wanted: Callable[[Resource], bool]
) -> Iterator[ContextEntry]:
    latest: dict[str, tuple[FhirDateTime, ContextEntry]] = {}
    for item in observations:
        time = scope.first_time(item, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")
        name = elements.concept_or_code(item.get("code"))
        words = value_and_parts(item)
        if not wanted(item) or elements.string(item, "status") in ("cancelled", "registered"):
            continue
        if words is None or not scope.usable(item, name, time) or time is None or name is None:
            continue
        entry = scope.entry(item, f"{name}: {words}", time)
        key = elements.code(item.get("code")) or name
        if key not in latest or latest[key][0].begins <= time.begins:
            latest[key] = (time, entry)
    yield from (entry for _, entry in latest.values())


def value_and_parts(item: Resource) -> str | None:
    parts = []
    for part in elements.children(item, "component"):
        name, words = elements.concept_or_code(part.get("code")), format_value(part)
        parts += [f"{name} {words}"] if name and words else []
    own = format_value(item)
    text = elements.join_distinct([own, *parts, *elements.annotations(item)])
    return text or None


def outcome_of_death(
    observations: list[Resource],
    conditions: list[Resource],
    requests: list[Resource],
    notes: list[ContextEntry],
    scope: StayScope,
) -> Iterator[ContextEntry]:
    """Yield cause of death and autopsy, from observations, requests and the death certificate."""
    for item in observations:
        words = value_and_parts(item)
        valid = (
            elements.string(item, "status") not in ("cancelled", "entered-in-error")
            and scope.belongs(item) is not False
        )
        if words and valid and _is_cause_of_death(item):
            yield scope.entry(item, f"Cause of death: {words}")
    for item in conditions:
        due = [
            text
            for part in elements.children(item, "category")
            for text in elements.displays(part)
            if _DEATH_WORDS.search(text)
        ]
        name = elements.concept_or_code(item.get("code"))
        if due and name and scope.belongs(item):
            yield scope.entry(item, f"Cause of death: {name}")
    for item in requests:
        name, status = elements.concept_or_code(item.get("code")), elements.string(item, "status")
        if name and _AUTOPSY.search(name) and status in ("active", "completed") and scope.belongs(item) is not False:
            words = "not to be performed" if elements.boolean(item, "doNotPerform") else _REQUESTED[status]
            yield scope.entry(item, f"{name} ({words})")
    yield from (note for note in notes if _DEATH_WORDS.search(note.text) or _AUTOPSY.search(note.text))
