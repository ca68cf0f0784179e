"""Resuscitation status, limits of treatment, advance directives and alerts, from any resource type."""

import re
from collections.abc import Iterator

from services.drafter.record.code_status import CodeStatusStatement, is_code_status
from services.drafter.record.functional_status import RESUSCITATION, value_and_parts
from services.drafter.record.scope import StayScope
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry

_DIRECTIVE_DOCUMENTS = frozenset({"42348-3", "64298-3", "86533-7", "93037-0", "75320-2"})  # LOINC
_DIRECTIVE_WORDS = re.compile(
    r"advance (health )?(care )?directive|living will|power of attorney|patientenverf|wilsverkl", re.I
)


def observed_code_status(observations: list[Resource], scope: StayScope) -> Iterator[CodeStatusStatement]:
    """Yield the resuscitation status as observed."""
    for item in observations:
        if elements.codes(item.get("code")) & RESUSCITATION or is_code_status(item):
            time = scope.first_time(item, "effectiveDateTime", "effectivePeriod", "issued")
            words, name = value_and_parts(item), elements.concept_or_code(item.get("code"))
            if elements.string(item, "status") == "cancelled":
                scope.leave_out(item, name, "cancelled")
            elif not scope.usable(item, name, time, important=True):
                continue
            elif words is None:
                scope.leave_out(item, name, "without a value", important=True)
            else:
                yield CodeStatusStatement(scope.entry(item, f"{name}: {words}", time), item, time)


def code_status_orders(requests: list[Resource], scope: StayScope) -> Iterator[CodeStatusStatement]:
    """Yield orders about resuscitation."""
    for item in requests:
        time, name = scope.first_time(item, "authoredOn"), elements.concept_or_code(item.get("code"))
        status = elements.string(item, "status")
        if not is_code_status(item):
            continue
        if status not in ("active", "completed", "entered-in-error"):
            scope.leave_out(item, name, f"of status {status}")
        elif scope.usable(item, name, time, important=True):
            forbidden = "Do not perform: " if elements.boolean(item, "doNotPerform") else ""
            more = elements.join_distinct([*_order_details(item), *elements.annotations(item)])
            text = f"{forbidden}{name}" + (f" ({more})" if more else "")
            yield CodeStatusStatement(scope.entry(item, text, time), item, time, ended=status == "completed")


def _order_details(item: Resource) -> list[str | None]:
    return [elements.concept(part) for part in elements.children(item, "orderDetail")]


def consent_directives(consents: list[Resource], scope: StayScope) -> Iterator[CodeStatusStatement]:
    """Yield treatment directives and advance directives."""
    for item in consents:
        yield from _consent_directive(item, scope)


def directive_documents(documents: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield that a directive is in the chart as a document."""
    for item in documents:
        names = list(elements.displays(item.get("type")))
        coded = elements.codes(item.get("type")) & _DIRECTIVE_DOCUMENTS
        time = scope.first_time(item, "date")
        if elements.string(item, "status") != "current" or scope.is_after(item, time):
            continue
        if coded or any(_DIRECTIVE_WORDS.search(text) for text in names):
            yield scope.entry(item, f"{names[0] if names else 'Advance directive'}: a document is in the chart", time)


def active_flags(flags: list[Resource], scope: StayScope) -> Iterator[CodeStatusStatement]:
    """Yield active alerts of the chart."""
    for item in flags:
        name, started = elements.concept_or_code(item.get("code")), scope.first_time(item, "period")
        ended = scope.parse_time(elements.child(item, "period").get("end"))
        if elements.string(item, "status") != "active" or (ended is not None and not scope.is_after({}, ended)):
            scope.leave_out(
                item,
                name,
                "entered in error" if elements.string(item, "status") == "entered-in-error" else "not active",
            )
        elif name is not None and not scope.is_after(item, started):
            text = name if is_code_status(item) else f"Alert: {name}"
            yield CodeStatusStatement(scope.entry(item, text, started), item, started)


def _consent_directive(item: Resource, scope: StayScope) -> Iterator[CodeStatusStatement]:
    """Yield a treatment or advance directive; None for consents to research or to the use of data."""
    scopes = elements.codes(item.get("scope"))
    kinds = [text for part in elements.children(item, "category") for text in elements.displays(part)]
    time = scope.first_time(item, "dateTime")
    provision = elements.child(item, "provision")
    acts = [text for part in elements.children(provision, "code") if (text := elements.concept_or_code(part))]
    if scopes & {"research", "patient-privacy"} and not acts:
        return
    title = elements.string(elements.child(item, "sourceAttachment"), "title")
    name = (
        elements.join_distinct([*acts]) or elements.join_distinct(kinds) or elements.concept(item.get("scope")) or title
    )
    if elements.string(item, "status") != "active":
        scope.leave_out(item, name, f"of status {item.get('status')}")
        return
    ended = scope.parse_time(elements.child(provision, "period").get("end"))
    if ended is not None and ended.ends <= scope.end:
        scope.leave_out(item, name, f"ended {ended.text}")
        return
    if name is None or (time is not None and time.begins > scope.end_of_day):
        return
    decision = {"deny": "not to be done", "permit": "permitted"}.get(str(provision.get("type"))) if acts else None
    more = elements.join_distinct([decision, *_directive_words(item), title if title != name else None])
    yield CodeStatusStatement(scope.entry(item, f"{name}: {more}" if more else name, time), item, time)


def _directive_words(item: Resource) -> list[str | None]:
    texts = [
        elements.string(part, "valueString") or elements.concept(part.get("valueCodeableConcept"))
        for part in elements.extensions(item, "Comment", "comment", "specificationOther")
    ]
    return list(texts)
