"""Plans after the stay: appointments, care plans, activity, goals, the care team."""

import re
from collections.abc import Iterator

from services.drafter.record import quantities
from services.drafter.record.reports import strip_markup
from services.drafter.record.scope import StayScope
from services.drafter.record.timing import format_timing
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry

_DEAD_ENDS = {
    "cancelled": "cancelled",
    "noshow": "not attended",
    "entered-in-error": "entered in error",
    "waitlist": "on a waiting list",
}
NOT_ORDERS = {"proposal": "a proposal, not an order", "option": "an option, not an order"}
CLOSED = {
    "revoked": "revoked",
    "cancelled": "cancelled",
    "entered-in-error": "entered in error",
    "draft": "a draft",
    "on-hold": "on hold",
    "stopped": "stopped",
    "abandoned": "abandoned",
    "rejected": "rejected",
}
_RESUSCITATION = re.compile(r"resus|reanim", re.IGNORECASE)  # resuscitation fluids are no diet
_ACTIVITY = re.compile(
    r"diet|activit|exercise|weight[- ]bearing|lifting|fluid|bed ?rest|nutrition|mobili[sz]", re.IGNORECASE
)


def appointments(resources: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield future appointments, also those made after the discharge on that day."""
    for item in resources:
        start = scope.first_time(item, "start") or scope.first_time(elements.child(item, "requestedPeriod"), "start")
        made = scope.parse_time(item.get("created"))
        name = _appointment_name(item)
        reason = _DEAD_ENDS.get(str(item.get("status")))
        if start is not None and start.ends <= scope.end:
            continue  # a visit of before is no follow-up
        if made is not None and made.begins > scope.end_of_day:
            reason = reason or "made after the day of the discharge"
        if reason is not None:
            scope.leave_out(item, name, reason)
        else:
            where = [_participant_name(part) for part in elements.children(item, "participant")]
            status = {"proposed": "proposed", "pending": "not confirmed yet"}.get(str(item.get("status")))
            at = f"at {start.begins:%H:%M}" if start is not None and not _date_only(item) else None
            details = elements.join_distinct(
                [elements.join_distinct(where), at, status, elements.string(item, "patientInstruction")]
            )
            yield scope.entry(item, f"{name} ({details})" if details else name, start)


def _appointment_name(item: Resource) -> str:
    names = [
        elements.concept(part)
        for field in ("serviceType", "appointmentType", "reasonCode", "specialty")
        for part in elements.children(item, field)
    ]
    description = elements.string(item, "description")
    return elements.join_distinct([next((name for name in names if name), None), description], ": ") or "Appointment"


def _participant_name(participant: Resource) -> str | None:
    actor = elements.child(participant, "actor")
    if (elements.string(actor, "reference") or "").rpartition("/")[0].endswith("Patient") or elements.string(
        actor, "type"
    ) == "Patient":
        return None
    return elements.string(actor, "display")


def _date_only(item: Resource) -> bool:
    return len(elements.string(item, "start") or "") <= len("2026-06-01")


def care_plans(resources: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield plans with their activities, from any element that names them."""
    for item in resources:
        time = scope.first_time(item, "created", "period")
        status, intent = str(item.get("status")), str(item.get("intent"))
        activities = [text for part in elements.children(item, "activity") if (text := _format_activity(part))]
        categories = [elements.concept(part) for part in elements.children(item, "category")]
        title = elements.string(item, "title") or elements.string(item, "description")
        narrative = None if activities or title else strip_markup(str(elements.child(item, "text").get("div") or ""))
        name = (
            elements.join_distinct(
                [
                    title or (elements.join_distinct(categories) if activities else None),
                    narrative,
                    *activities,
                    *elements.annotations(item),
                ],
                "; ",
            )
            or None
        )
        reason = CLOSED.get(status) or NOT_ORDERS.get(intent)
        if reason is not None and scope.belongs(item) is not False:
            scope.leave_out(item, name, reason)
        elif status in ("completed", "unknown") and scope.belongs(item) is not True:
            continue
        elif scope.belongs(item) is None and time is not None and not scope.is_after(item, time):
            if name is not None:
                yield scope.entry(item, name)
        elif name is not None and scope.usable(item, name, time):
            yield scope.entry(item, name)


def _format_activity(part: Resource) -> str | None:
    detail = elements.child(part, "detail")
    if elements.string(detail, "status") in ("cancelled", "stopped", "entered-in-error"):
        return None
    name = elements.concept_or_code(detail.get("code"))
    when = format_timing(elements.child(detail, "scheduledTiming")) or elements.string(detail, "scheduledString")
    text = elements.join_distinct([name, elements.string(detail, "description"), when]) or None
    return f"Not to be done: {text}" if text and elements.boolean(detail, "doNotPerform") else text


def is_activity(name: str) -> bool:
    return _ACTIVITY.search(name) is not None and _RESUSCITATION.search(name) is None


def goals(resources: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield active goals with their targets."""
    for item in resources:
        name = elements.concept_or_code(item.get("description"))
        status = str(item.get("lifecycleStatus"))
        start = scope.first_time(item, "startDate", "statusDate")
        if status in CLOSED or status in ("completed", "proposed"):
            scope.leave_out(item, name, CLOSED.get(status, status))
        elif name is not None and not scope.is_after(item, start):
            targets = [_format_target(part) for part in elements.children(item, "target")]
            yield scope.entry(item, elements.join_distinct([name, *targets, *elements.annotations(item)]))


def _format_target(part: Resource) -> str | None:
    stated = part.get("detailQuantity")
    amount = (
        quantities.format_quantity(stated)
        or quantities.format_range(part.get("detailRange"))
        or elements.string(part, "detailString")
        or elements.concept(part.get("detailCodeableConcept"))
    )
    due = elements.string(part, "dueDate")
    measure = elements.concept(part.get("measure"))
    return (
        elements.join_distinct([elements.join_distinct([measure, amount], " "), f"by {due}" if due else None]) or None
    )


def care_team(
    resources: list[Resource], people: dict[str, Resource], scope: StayScope, bases: frozenset[str]
) -> Iterator[ContextEntry]:
    """Yield care team members after the stay: teams that are active, or name no encounter."""
    for item in resources:
        if (
            elements.string(item, "status") not in ("active", "proposed", None)
            or elements.string(item, "status") == "entered-in-error"
        ):
            continue
        for part in elements.children(item, "participant"):
            member = elements.child(part, "member")
            person = people.get(references.relative(member, bases) or "")
            name = (
                elements.person_name(person, prefixes=True) or elements.string(person, "name") if person else None
            ) or elements.string(member, "display")
            role = elements.join_distinct(elements.concept(role) for role in elements.children(part, "role"))
            ended = scope.parse_time(elements.child(part, "period").get("end"))
            kind = (elements.string(member, "reference") or "").rpartition("/")[0].rpartition("/")[2]
            if name and kind != "Patient" and (ended is None or scope.is_after(item, ended)):
                yield scope.entry(item, f"{name} ({role})" if role else name)
