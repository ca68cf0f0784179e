"""Orders, statements, administrations and supplies of medicines: what each is, and in which list it stands.

https://hl7.org/fhir/R4/medicationrequest.html
"""

from collections.abc import Iterator

from services.drafter.context import Medicine
from services.drafter.record import courses
from services.drafter.record.medicine_entries import Entries, is_stop_agreement, status_of
from services.drafter.record.medicine_words import categories
from services.drafter.record.order_sorting import AT_DISCHARGE, Kind, Place, Sorting, is_avoided, is_reported
from services.drafter.record.scope import AFTER, OF_ANOTHER_ENCOUNTER, Scope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.moments import Moment

_NO_ORDERS = {
    "proposal": "a proposal, not an order",
    "plan": "a plan, not an order",
    "option": "an option, not an order",
}
_NOT_USABLE = {"entered-in-error": "entered in error", "draft": "a draft, not an order", "cancelled": "cancelled"}


class Medications:
    """Reads and sorts the medicines of one record."""

    def __init__(self, entries: Entries, bases: frozenset[str], scope: Scope) -> None:
        self._entries = entries
        self._bases = bases
        self._scope = scope

    def orders(self, resources: list[Resource], given: list[Resource]) -> Iterator[tuple[Kind, Medicine]]:
        """MedicationRequests. `given` are MedicationAdministrations: what they name was ordered for the ward."""
        sorting = Sorting(resources, given, frozenset(), self._bases, self._scope)
        for item in resources:
            time = self._scope.first(item, "authoredOn")
            name = self._entries.name(item)
            place = self._place(item, name, time, sorting)
            if place.kind is not None:
                yield place.kind, self._entries.medicine(item, name, time, question=place.question)

    def statements(self, resources: list[Resource]) -> Iterator[tuple[Kind, Medicine]]:
        """MedicationStatements: what the patient is known to take."""
        for item in resources:
            time = self._scope.first(item, "effectivePeriod", "effectiveDateTime", "dateAsserted")
            name = self._entries.name(item)
            kind = self._statement_kind(item, name, time)
            if kind is not None:
                yield kind, self._entries.medicine(item, name, time)

    def administrations(self, resources: list[Resource]) -> Iterator[tuple[Kind, Medicine]]:
        """MedicationAdministrations: only what was given."""
        for item in resources:
            time = self._scope.first(item, "effectiveDateTime", "effectivePeriod")
            name, status = self._entries.name(item), elements.words(item, "status")
            if status in ("not-done", "on-hold", "stopped", "unknown"):
                if self._scope.is_of_stay(item, time):
                    self._scope.leave_out(item, name, f"not recorded as given ({status})")
            elif self._scope.usable(item, name, time):
                yield "given", self._entries.medicine(item, name, time)

    def supplies(self, resources: list[Resource], orders: list[Resource]) -> Iterator[tuple[Kind, Medicine]]:
        """MedicationDispenses on the day of the discharge that no order of the record stands behind."""
        known = {source(item) for item in orders}
        for item in resources:
            time = self._scope.first(item, "whenHandedOver", "whenPrepared")
            behind = {
                references.relative(part, self._bases) for part in elements.children(item, "authorizingPrescription")
            }
            if elements.words(item, "status") not in ("completed", "in-progress", "preparation") or behind & known:
                continue
            near = (
                time is not None
                and self._scope.end - time.ends <= AT_DISCHARGE
                and time.begins <= self._scope.end_of_day
            )
            if near and self._scope.belongs(item) is not False:
                yield "discharge", self._entries.medicine(item, self._entries.name(item), time)

    def _place(self, item: Resource, name: str | None, time: Moment | None, sorting: Sorting) -> Place:
        """Where an order stands; nowhere for one that is no part of the story, which is remembered."""
        status, intent = str(item.get("status")), str(item.get("intent"))
        if status == "cancelled" and is_stop_agreement(item):
            status = "stopped"  # that is how a Dutch agreement to stop is recorded
        # What a patient is reported to take is no order of this hospital's, and some systems call it a plan.
        reason = _NOT_USABLE.get(status) or (None if is_reported(item) else _NO_ORDERS.get(intent))
        if reason is not None:
            self._scope.leave_out(item, name, elements.listed([reason, self._entries.why(item)], ": "))
            return Place(None)
        place = sorting.place(item, status, time)
        if place.kind is None:
            self._leave_out(item, name, time)
            return place
        if name is None:
            self._scope.leave_out(item, None, "which nothing names", important=place.kind != "hospital")
        if place.kind == "hospital":  # what was stopped on the ward says nothing of the time after it
            return Place("other") if is_avoided(item) else place
        return place if status_of(item) == "active" else Place("other")

    def _leave_out(self, item: Resource, name: str | None, time: Moment | None) -> None:
        scope = self._scope
        status = str(item.get("status"))
        if time is not None and time.begins > scope.end:
            same_day = status in ("active", "on-hold") and time.begins <= scope.end_of_day
            scope.leave_out(item, name, AFTER, important=same_day)
        elif time is None and scope.belongs(item) is None and "discharge" in categories(item):
            scope.leave_out(item, name, "for a discharge, the record does not say of which stay", important=True)
        elif status in ("stopped", "completed"):
            self._leave_out_ended(item, name, status)
        else:
            scope.leave_out(item, name, OF_ANOTHER_ENCOUNTER)

    def _leave_out_ended(self, item: Resource, name: str | None, status: str) -> None:
        """What ended: before the stay where the record says when; else a stop with its reason asks for a word."""
        why, ended = self._entries.why(item), courses.ended(item, self._scope)
        if ended is not None and self._scope.start is not None and ended.ends < self._scope.start.begins:
            self._scope.leave_out(item, name, f"{status} before this stay")
            return
        reason = elements.listed([f"{status}, the record does not say when", why], ": ")
        self._scope.leave_out(item, name, reason, important=status == "stopped" and why is not None)

    def _statement_kind(self, item: Resource, name: str | None, time: Moment | None) -> Kind | None:
        status, scope = str(item.get("status")), self._scope
        if status in ("entered-in-error", "not-taken"):
            scope.leave_out(
                item, name, "entered in error" if status == "entered-in-error" else "not taken by the patient"
            )
            return None
        over = status in ("completed", "stopped")
        ended = courses.ended(item, self._scope)
        # A stop without a date is of the stay in which it was told.
        stopped = scope.moment(item.get("dateAsserted")) if status == "stopped" and ended is None else ended
        if time is not None and time.begins > scope.end_of_day:
            scope.leave_out(item, name, AFTER)
            return None
        if over and not scope.belongs(item) and not scope.within(stopped):
            self._leave_out_ended(item, name, status)
            return None
        if not over and ended is not None and scope.start is not None and ended.ends < scope.start.begins:
            scope.leave_out(item, name, f"ended {ended.text}, before this stay")
            return None
        if name is None:
            scope.leave_out(item, None, "which nothing names", important=True)
        if status in ("stopped", "on-hold"):
            return "other"
        at_end = (
            time is not None
            and scope.start is not None
            and time.begins > scope.start.ends
            and scope.end - time.ends <= AT_DISCHARGE
        )
        return (
            "discharge" if status == "intended" or (status == "active" and at_end and scope.belongs(item)) else "home"
        )
