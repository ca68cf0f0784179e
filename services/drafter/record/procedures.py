"""Procedures with outcome and complications, devices and lines, immunizations."""

import re
from collections.abc import Iterator

from services.drafter.record import quantities
from services.drafter.record.scope import StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import ContextEntry

_NOT_DONE = {
    "not-done": "not done",
    "preparation": "only prepared",
    "on-hold": "on hold",
    "unknown": "of unknown status",
}
_UNSPECIFIED_SITE = re.compile(r"(not specified|unspecified|unknown)$", re.IGNORECASE)
# Words that order systems put before a procedure's name: `urinary_catheter: Foley 16 Fr`.
_ORDER_PREFIX = re.compile(r"^[a-z]+(_[a-z]+)*: (?=\S)")


def read_procedures(
    resources: list[Resource], devices: dict[str, Resource], scope: StayScope, bases: frozenset[str]
) -> Iterator[ContextEntry]:
    """Return procedures of the stay that were done, begun or aborted, in order of time."""
    entries: list[ContextEntry] = []
    for item in resources:
        time = scope.first_time(item, "performedDateTime", "performedPeriod", "performedString")
        name, status = _procedure_name(item), str(item.get("status"))
        if status in _NOT_DONE:
            if scope.is_of_stay(item, time):
                reason = elements.concept(item.get("statusReason"))
                scope.leave_out(item, name, elements.join_distinct([_NOT_DONE[status], reason], ": "))
            continue
        if scope.usable(item, name, time) and name is not None:
            entries.append(
                scope.entry(item, _describe(item, name, _end_within_stay(item, time, scope), devices, bases), time)
            )
    return iter(sorted(entries, key=lambda entry: (entry.time is None, entry.time and entry.time.timestamp())))


def aftercare_points(resources: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield follow-up of the stay's procedures: `Remove staples on day 14 (after hip replacement)`."""
    for item in resources:
        time = scope.first_time(item, "performedDateTime", "performedPeriod")
        done = (
            elements.string(item, "status") in ("completed", "in-progress")
            and scope.belongs(item)
            and not scope.is_after(item, time)
        )
        for part in elements.children(item, "followUp") if done else ():
            if text := elements.concept(part):
                yield scope.entry(item, f"{text} (after {_procedure_name(item) or 'a procedure'})")


def _procedure_name(item: Resource) -> str | None:
    name = elements.concept_or_code(item.get("code"))
    return _ORDER_PREFIX.sub("", name) if name else None


def _end_within_stay(item: Resource, began: FhirDateTime | None, scope: StayScope) -> str | None:
    """Return the end of what lasted, within the stay: oxygen until discharge differs from the first day."""
    ended = scope.parse_time(elements.child(item, "performedPeriod").get("end"))
    if ended is None or began is None or scope.is_after(item, ended) or ended.text == began.text:
        return None
    return f"until {ended.begins:%Y-%m-%d %H:%M}" if ended.begins == ended.ends else f"until {ended.text}"


def _describe(item: Resource, name: str, until: str | None, devices: dict[str, Resource], bases: frozenset[str]) -> str:
    """Return the name with site and side, outcome, complications, implants and notes."""
    status = {"stopped": "broken off", "in-progress": "in progress at discharge"}.get(str(item.get("status")))
    sites = [
        text
        for part in elements.children(item, "bodySite")
        if (text := elements.concept(part)) and not _UNSPECIFIED_SITE.search(text)
    ]
    sites = [text.removesuffix(" structure").removeprefix("Structure of ") for text in sites]
    sites += [text for part in elements.lateralities(item) if (text := elements.concept(part))]
    outcome = elements.concept(item.get("outcome"))
    complications = [elements.concept(part) for part in elements.children(item, "complication")]
    complications += [elements.string(part, "display") for part in elements.children(item, "complicationDetail")]
    used = [elements.concept(part) for part in elements.children(item, "usedCode")]
    implants = [_implant_name(part, devices, bases) for part in elements.children(item, "focalDevice")]
    after = [elements.concept(part) for part in elements.children(item, "followUp")]
    more = [
        status,
        until,
        *(site for site in sites if site.lower() not in name.lower()),
        elements.join_distinct(used),
        _with_label("implant", elements.join_distinct(implants)),
        _with_label("outcome", outcome.lower() if outcome and outcome.istitle() else outcome),
        _with_label("complication", elements.join_distinct(complications)),
        _with_label("follow-up", elements.join_distinct(after)),
        *elements.annotations(item),
    ]
    text = elements.join_distinct(more, "; ")
    return f"{name} ({text})" if text else name


def _with_label(label: str, text: str | None) -> str | None:
    return f"{label}: {text}" if text else None


def _implant_name(part: Resource, devices: dict[str, Resource], bases: frozenset[str]) -> str | None:
    element = elements.child(part, "manipulated")
    device = devices.get(references.relative(element, bases) or "")
    return (
        (device_name(device) if device else None)
        or elements.string(element, "display")
        or elements.concept(part.get("action"))
    )


def device_name(device: Resource) -> str | None:
    """Return the device by type or name, with lot and serial number."""
    names = [elements.string(item, "name") for item in elements.children(device, "deviceName")]
    name = (
        elements.concept(device.get("type"))
        or elements.join_distinct(names[:1])
        or elements.string(device, "modelNumber")
    )
    return name or elements.concept_or_code(device.get("type"))


def devices_in_place(
    devices: list[Resource], uses: list[Resource], known: dict[str, Resource], scope: StayScope, bases: frozenset[str]
) -> Iterator[ContextEntry]:
    """Yield devices of the patient and statements of their use that have not ended."""
    removed = {references.relative(item.get("device"), bases) for item in uses if _use_ended(item, scope)}
    in_use = {references.relative(item.get("device"), bases) for item in uses} - removed
    for item in devices:
        name, status = device_name(item), "inactive" if source(item) in removed else item.get("status")
        if source(item) in in_use and status not in ("entered-in-error", "inactive"):
            continue  # the statement of its use has more details
        if status in ("entered-in-error", "inactive"):
            scope.leave_out(item, name, "entered in error" if status == "entered-in-error" else "no longer in use")
        elif name is not None and not _is_software(item):
            yield scope.entry(item, elements.join_distinct([name, *elements.annotations(item)], "; "))
    for item in uses:
        time = scope.first_time(item, "timingDateTime", "timingPeriod", "timingTiming", "recordedOn")
        device = known.get(references.relative(item.get("device"), bases) or "")
        name = (device_name(device) if device else None) or elements.string(elements.child(item, "device"), "display")
        site = elements.concept(item.get("bodySite"))
        if elements.string(item, "status") == "entered-in-error" or _use_ended(item, scope):
            error = elements.string(item, "status") == "entered-in-error"
            scope.leave_out(item, name, "entered in error" if error else "no longer in use")
        elif scope.is_after(item, time):
            scope.leave_out(item, name, "from after the discharge")
        elif name is not None:
            where = None if site and site.lower() in name.lower() else site
            yield scope.entry(item, elements.join_distinct([name, where, *elements.annotations(item)]), time)


def _use_ended(use: Resource, scope: StayScope) -> bool:
    """Return whether a device was no longer in use at the discharge."""
    ended = scope.parse_time(elements.child(use, "timingPeriod").get("end"))
    return elements.string(use, "status") == "completed" or (ended is not None and not scope.is_after(use, ended))


def _is_software(device: Resource) -> bool:
    """Return whether a device is software: a program that wrote into the chart is no device in the patient."""
    codes = elements.codes(device.get("type"))
    return "Artificial-Intelligence" in codes or any(
        "software" in text.lower() for text in elements.displays(device.get("type"))
    )


def immunizations(resources: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield vaccines of the stay; one that was not given is marked as such."""
    for item in resources:
        time = scope.first_time(item, "occurrenceDateTime", "recorded")
        name = elements.concept_or_code(item.get("vaccineCode"))
        if not scope.usable(item, name, time) or name is None:
            continue
        dose = quantities.format_quantity(item.get("doseQuantity"), trailing_zeros=False)
        lot = elements.string(item, "lotNumber")
        if elements.string(item, "status") == "not-done":
            reason = elements.concept(item.get("statusReason"))
            yield scope.entry(item, elements.join_distinct([f"{name}: not given", reason], ", "), time)
        else:
            details = [
                dose,
                elements.concept(item.get("route")),
                elements.concept(item.get("site")),
                f"lot {lot}" if lot else None,
            ]
            yield scope.entry(item, elements.join_distinct([name, *details]), time)
