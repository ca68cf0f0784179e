"""Classify orders, statements, administrations and supplies of medicines, and sort them into lists.

https://hl7.org/fhir/R4/medicationrequest.html
"""

from collections.abc import Iterator

from services.drafter.record import medicine_courses
from services.drafter.record.medicine_entries import MedicineReader, is_stop_agreement, status_of
from services.drafter.record.medicine_lists import ListMembership
from services.drafter.record.medicine_words import categories
from services.drafter.record.order_links import OrderLinks
from services.drafter.record.order_sorting import (
    DISCHARGE_PERIOD,
    HELD_AND_LISTED,
    WARD_AND_LISTED,
    ListName,
    ListPlacement,
    OrderSorter,
    is_intravenous,
    is_reported,
    place_in_lists,
)
from services.drafter.record.scope import AFTER_DISCHARGE, OF_ANOTHER_ENCOUNTER, StayScope, source
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import Medicine

_NOT_ORDERS = {
    "proposal": "a proposal, not an order",
    "plan": "a plan, not an order",
    "option": "an option, not an order",
}
_NOT_TAKEN = {"entered-in-error": "entered in error", "not-taken": "not taken by the patient"}
_NOT_USABLE = {"entered-in-error": "entered in error", "draft": "a draft, not an order", "cancelled": "cancelled"}


class MedicationSorter:
    """Read and sort the medicines of one record."""

    def __init__(
        self, entries: MedicineReader, lists: ListMembership, links: OrderLinks, bases: frozenset[str], scope: StayScope
    ) -> None:
        self._entries = entries
        self._lists = lists
        self._links = links
        self._bases = bases
        self._scope = scope

    def orders(self, resources: list[Resource], given: list[Resource]) -> Iterator[tuple[ListName, Medicine]]:
        """Yield MedicationRequests. `given` are MedicationAdministrations: what they name is an inpatient order."""
        sorting = OrderSorter(resources, given, self._links.replaced, self._bases, self._scope)
        for item in resources:
            time = self._scope.first_time(item, "authoredOn")
            name = self._entries.name(item)
            if self._is_order(item, name):
                place = sorting.placement(item, _order_status(item), time)
                if place.kind is None and not self._lists.kinds(item):
                    self._leave_out(item, name, time)
                else:
                    yield from self._in_lists(item, name, time, place)

    def statements(self, resources: list[Resource]) -> Iterator[tuple[ListName, Medicine]]:
        """Yield MedicationStatements: what the patient is known to take."""
        for item in resources:
            time = self._scope.first_time(item, "effectivePeriod", "effectiveDateTime", "dateAsserted")
            name, status = self._entries.name(item), str(item.get("status"))
            if status in _NOT_TAKEN:
                self._scope.leave_out(item, name, _NOT_TAKEN[status])
            elif self._lists.kinds(item) or not self._is_over(item, name, time):
                kind = self._statement_kind(item, time)
                if kind == "home" and self._lists.kinds(item) == {"discharge"} and not self._is_of_before(time):
                    kind = "discharge"
                yield from self._in_lists(item, name, time, ListPlacement(kind))

    def _in_lists(
        self, item: Resource, name: str | None, time: FhirDateTime | None, place: ListPlacement
    ) -> Iterator[tuple[ListName, Medicine]]:
        """Yield an entry in its list, or in those that the record's own lists name it in."""
        listed, status, category_codes = self._lists.kinds(item), status_of(item), categories(item)
        barred = status != "active" and (place.kind != "hospital" or status == "avoid")
        kinds = place_in_lists(
            ListPlacement("other") if barred else place,
            listed,
            is_categorized=bool(category_codes & {"discharge", "inpatient"}),
        )
        if status == "stopped" and place.kind == "home" and source(item) in self._links.replaced:
            kinds = ("home", "other")  # what was taken until the stay replaced it
        # A section may refer to all orders of a stay: what the ward gave is no medicine to take for that alone.
        wards = {"hospital", "discharge"} <= set(kinds) and (item.get("status") == "completed" or is_intravenous(item))
        kinds = tuple(kind for kind in kinds if not wards or kind != "discharge")
        if name is None:
            self._scope.leave_out(item, None, "which nothing names", important=kinds != ("hospital",))
        for kind in self._current_lists(item, name, kinds, listed):
            question = place.question if kinds == (place.kind,) else ""
            asked = HELD_AND_LISTED if barred and "discharge" in listed else WARD_AND_LISTED if wards else question
            more: dict[str, object] = {"question": asked}
            if kind == "other" and status == "active":
                more["status"] = "stopped"  # a list calls it ceased
            if kind == "discharge" and self._may_be_of_before(item, listed, time):
                more["maybe_before"] = "whether it was taken before the admission is not said"
            if kind == "home":
                more["ended"] = self._end_of_home_course(item)
            if kind in ("home", "discharge") and not more["question"]:
                more["question"] = self._question_if_over(item, time)
            more |= {"replaces": self._links.replaced_orders(item), "stands_for": self._links.stands_for(item)}
            yield kind, self._entries.medicine(item, name, time).model_copy(update=more)

    def _current_lists(
        self, item: Resource, name: str | None, kinds: tuple[ListName, ...], listed: frozenset[str]
    ) -> tuple[ListName, ...]:
        """Return its lists, without discharge where its course was over by then, which is recorded."""
        ended, scope = medicine_courses.end_of_course(item, self._scope), self._scope
        if ended is None or ended.ends >= scope.end or not {"home", "discharge"} & set(kinds):
            return kinds
        if scope.start is not None and ended.ends < scope.start.begins:
            scope.leave_out(item, name, f"ended {ended.text}, before this stay", important=bool(listed))
            return ()
        if "discharge" not in kinds:
            return kinds
        others = tuple(kind for kind in kinds if kind != "discharge")
        if others or listed or categories(item):
            scope.leave_out(item, name, f"its course ended {ended.text}, before the discharge", important=True)
            return others
        return ("hospital",)

    def _end_of_home_course(self, item: Resource) -> str:
        """Return when a home course ended, by its own dates or its status."""
        ended = medicine_courses.end_of_course(item, self._scope)
        if ended is not None:
            return ended.text if ended.ends < self._scope.end else ""
        is_statement = item.get("resourceType") == "MedicationStatement"
        return "recorded as completed" if is_statement and item.get("status") == "completed" else ""

    def _question_if_over(self, item: Resource, time: FhirDateTime | None) -> str:
        """Return whether an order may be over, though none of its dates states it."""
        if (
            medicine_courses.end_of_course(item, self._scope) is not None
            or item.get("resourceType") != "MedicationRequest"
        ):
            return ""
        if item.get("status") == "completed" and source(item) not in self._links.replaced:
            return "the order is recorded as completed, whether it goes on is not said"
        over = medicine_courses.end_of_last_step(item, time, self._scope)
        if over is not None and over.ends < self._scope.end:
            return f"by its own directions it was over on {over.text}, whether it is still taken is not said"
        return ""

    def administrations(self, resources: list[Resource]) -> Iterator[tuple[ListName, Medicine]]:
        """Yield MedicationAdministrations of what was given."""
        for item in resources:
            time = self._scope.first_time(item, "effectiveDateTime", "effectivePeriod")
            name, status = self._entries.name(item), elements.string(item, "status")
            if status in ("not-done", "on-hold", "stopped", "unknown"):
                if self._scope.is_of_stay(item, time):
                    self._scope.leave_out(item, name, f"not recorded as given ({status})")
            elif self._scope.usable(item, name, time):
                yield "given", self._entries.medicine(item, name, time)

    def _is_order(self, item: Resource, name: str | None) -> bool:
        """Return whether an order is one; others are recorded, with a question where a discharge list has them."""
        # What a patient is reported to take is no order of this hospital's, and some systems call it a plan.
        reason = _NOT_USABLE.get(_order_status(item)) or (
            None if is_reported(item) else _NOT_ORDERS.get(str(item.get("intent")))
        )
        if reason is not None:
            words = elements.join_distinct([reason, self._entries.status_reason(item)], ": ")
            self._scope.leave_out(item, name, words, important="discharge" in self._lists.kinds(item))
        return reason is None

    def _leave_out(self, item: Resource, name: str | None, time: FhirDateTime | None) -> None:
        scope = self._scope
        status = str(item.get("status"))
        if time is not None and time.begins > scope.end:
            same_day = status in ("active", "on-hold") and time.begins <= scope.end_of_day
            scope.leave_out(item, name, AFTER_DISCHARGE, important=same_day)
        elif time is None and scope.belongs(item) is None and "discharge" in categories(item):
            scope.leave_out(item, name, "for a discharge, the record does not say of which stay", important=True)
        elif status in ("stopped", "completed"):
            self._leave_out_ended(item, name, status)
        else:
            since = time is not None and scope.start is not None and time.begins > scope.start.ends
            important = since and status in ("active", "on-hold") and "discharge" in categories(item)
            scope.leave_out(item, name, OF_ANOTHER_ENCOUNTER, important=important)

    def _leave_out_ended(self, item: Resource, name: str | None, status: str) -> None:
        """Record an ended order: before the stay where dated; a stop with its reason asks a question."""
        why, ended = self._entries.status_reason(item), medicine_courses.end_of_course(item, self._scope)
        if ended is not None and self._scope.start is not None and ended.ends < self._scope.start.begins:
            self._scope.leave_out(item, name, f"{status} before this stay")
            return
        reason = elements.join_distinct([f"{status}, the record does not say when", why], ": ")
        self._scope.leave_out(item, name, reason, important=status == "stopped" and why is not None)

    def _is_over(self, item: Resource, name: str | None, time: FhirDateTime | None) -> bool:
        """Return whether a statement is of another time than the stay, which is recorded."""
        status, scope = str(item.get("status")), self._scope
        over = status in ("completed", "stopped")
        ended = medicine_courses.end_of_course(item, self._scope)
        # A stop without a date belongs to the stay in which it was reported.
        stopped = scope.parse_time(item.get("dateAsserted")) if status == "stopped" and ended is None else ended
        if time is not None and time.begins > scope.end_of_day:
            scope.leave_out(item, name, AFTER_DISCHARGE)
        elif over and not scope.belongs(item) and not scope.is_within_stay(stopped):
            self._leave_out_ended(item, name, status)
        elif not over and ended is not None and scope.start is not None and ended.ends < scope.start.begins:
            scope.leave_out(item, name, f"ended {ended.text}, before this stay")
        else:
            return False
        return True

    def _is_of_before(self, time: FhirDateTime | None) -> bool:
        """Return whether what is known to be taken at a time was taken at admission."""
        start = self._scope.start
        return time is not None and start is not None and time.begins <= start.ends

    def _may_be_of_before(self, item: Resource, listed: frozenset[str], time: FhirDateTime | None) -> bool:
        """Return whether a statement that only a discharge list places has no start."""
        if item.get("resourceType") != "MedicationStatement" or listed != {"discharge"} or self._is_of_before(time):
            return False
        return self._scope.parse_time(elements.child(item, "effectivePeriod").get("start")) is None

    def _statement_kind(self, item: Resource, time: FhirDateTime | None) -> ListName:
        status, scope = str(item.get("status")), self._scope
        at_end = (
            time is not None
            and scope.start is not None
            and time.begins > scope.start.ends
            and scope.end - time.ends <= DISCHARGE_PERIOD
        )
        return (
            "discharge" if status == "intended" or (status == "active" and at_end and scope.belongs(item)) else "home"
        )


def _order_status(item: Resource) -> str:
    """Return the status of an order; a Dutch agreement to stop is recorded as a cancelled one."""
    status = str(item.get("status"))
    return "stopped" if status == "cancelled" and is_stop_agreement(item) else status
