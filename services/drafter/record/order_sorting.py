"""Sort prescriptions into lists: taken before the stay, ordered in hospital, or to be taken after it.

Category, encounter, time of writing, own dates, supply and administrations are weighed. What they leave open is asked,
not guessed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from services.drafter.record import medicine_courses
from services.drafter.record.medicine_words import categories
from services.drafter.record.scope import StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime

ListName = Literal["home", "hospital", "given", "discharge", "other"]

DISCHARGE_PERIOD = timedelta(hours=24)  # before the end of the stay: active orders without a category are for home
WARD_OR_HOME = "the order does not say whether it is for the ward or for the time after the discharge"
BEFORE_OR_AFTER = "the record does not say whether it was taken before the admission or is to be taken from now on"
HELD_AND_LISTED = "held, stopped or forbidden by its order, and named in a list of discharge medicines"
WARD_AND_LISTED = "an order of the ward, completed or into a vein, which a list of discharge medicines names"
_PRESCRIPTIONS = frozenset({"33633005"})  # SNOMED CT: prescription of drug (a Dutch medication agreement)
_IN_FORCE = ("active", "on-hold")
_INTRAVENOUS = re.compile(r"intraven|\bi\.?v\.?\b|infus|epidural|intrathec", re.IGNORECASE)
_INTRAVENOUS_CODES = frozenset({"IV", "IVINFUS", "IVPUSH", "47625008"})


@dataclass(frozen=True, slots=True)
class ListPlacement:
    """The list of an order (None where it is not part of the stay), and the open question about it."""

    kind: ListName | None
    question: str = ""


def is_avoided(item: Resource) -> bool:
    return elements.boolean(item, "doNotPerform") is True


def is_reported(item: Resource) -> bool:
    """Return whether an order only states what a patient is reported to take."""
    stated = elements.boolean(item, "reportedBoolean") or bool(elements.child(item, "reportedReference"))
    return stated or ("reported" in categories(item) and "discharge" not in categories(item))


def place_in_lists(place: ListPlacement, listed: frozenset[str], *, is_categorized: bool) -> tuple[ListName, ...]:
    """Return the lists of an entry that the record's own lists (`home`, `discharge`, `ceased`) also name.

    A home medicine in the discharge list is in both. A list counts more than a time, but an inpatient or discharge
    category excludes home, though a section may refer to it.
    """
    own: tuple[ListName, ...] = (place.kind,) if place.kind is not None else ()
    if own == ("other",) or not listed:
        return own
    later = is_categorized and own in (("hospital",), ("discharge",))
    ward: tuple[ListName, ...] = ("hospital",) if own == ("hospital",) else ()
    if "discharge" in listed:
        home: tuple[ListName, ...] = ("home",) if own == ("home",) or ("home" in listed and not later) else ()
        return (*home, *ward, "discharge")
    if "ceased" in listed:
        return ("other",)
    return own if later else ("home", *ward)


class OrderSorter:
    """Sort the orders of one record. `replaced` are replaced orders, `given` are administrations."""

    def __init__(
        self,
        orders: list[Resource],
        given: Iterable[Resource],
        replaced: frozenset[str],
        bases: frozenset[str],
        scope: StayScope,
    ) -> None:
        self._scope = scope
        self._replaced = replaced
        named = (part for item in given for part in elements.children(item, "request"))
        self._on_the_ward = {references.relative(part, bases) for part in named}
        # A record that has the category for discharge orders does not call them something else as well.
        self._has_category = any(scope.belongs(item) and "discharge" in categories(item) for item in orders)

    def placement(self, item: Resource, status: str, time: FhirDateTime | None) -> ListPlacement:
        """Return the list of an order. `status` is that of the order, `time` when it was written."""
        scope, category_codes, own = self._scope, categories(item), self._scope.belongs(item)
        if self._is_late(own, time):
            return ListPlacement(None)
        if is_avoided(item) and own is not False:
            return ListPlacement("discharge")
        before = own is False or (own is None and not scope.is_within_stay(time))
        if "discharge" in category_codes:
            return ListPlacement("discharge") if not before else self._of_before(item, status, time)
        if "inpatient" in category_codes:
            return ListPlacement("hospital" if not before else None)
        if is_reported(item):
            return ListPlacement("home" if own or self._was_in_force(item, status, ("unknown",)) else None)
        if before:
            more = ("unknown",) if category_codes else ()
            written_since = time is not None and scope.start is not None and time.begins > scope.start.ends
            in_force = self._was_in_force(item, status, more)
            return ListPlacement("home", BEFORE_OR_AFTER if written_since else "") if in_force else ListPlacement(None)
        return (
            self._outpatient_placement(item, status, time)
            if category_codes
            else self._without_category(item, status, time)
        )

    def _is_late(self, own: bool | None, time: FhirDateTime | None) -> bool:
        """Return whether an order was written after the discharge; one of the stay counts until the end of that day."""
        scope = self._scope
        return time is not None and time.begins > (scope.end_of_day if own else scope.end)

    def _of_before(self, item: Resource, status: str, time: FhirDateTime | None) -> ListPlacement:
        """Return the placement of another stay's discharge order, which is a home medicine of this one."""
        start = self._scope.start
        earlier = time is not None and start is not None and time.begins < start.begins
        return ListPlacement("home" if earlier and self._was_in_force(item, status) else None)

    def _was_in_force(self, item: Resource, status: str, more: tuple[str, ...] = ()) -> bool:
        """Return whether an earlier order was active at admission: still active, ended in the stay, or replaced."""
        ended, start = medicine_courses.end_of_course(item, self._scope), self._scope.start
        over = ended is not None and start is not None and ended.ends < start.begins
        replaced = source(item) in self._replaced and not over
        return status in (*_IN_FORCE, *more) or replaced or self._scope.is_within_stay(ended)

    def _outpatient_placement(self, item: Resource, status: str, time: FhirDateTime | None) -> ListPlacement:
        """Return the placement of an outpatient order (`community`, `outpatient`) written in the stay."""
        if "outpatient" in categories(item) and source(item) in self._on_the_ward:
            return ListPlacement("hospital")
        begins, start = medicine_courses.start_of_course(item, self._scope), self._scope.start
        if time is None:
            return ListPlacement("home", BEFORE_OR_AFTER)
        if start is not None and time.ends < start.begins and not self._begins_later(begins, time):
            if self._scope.belongs(item):
                return ListPlacement("home", BEFORE_OR_AFTER)
            return ListPlacement("home" if self._was_in_force(item, status, ("unknown",)) else None)
        if begins is not None and start is not None and begins.ends < start.begins:
            return ListPlacement("home")
        if self._begins_later(begins, time) or (self._at_end(time) and self._is_long()):
            return ListPlacement("discharge")
        single = elements.string(item, "intent") == "instance-order"  # not an order for a time to come
        if single and self._has_category:
            return ListPlacement("home")
        if _is_dispensed(item) and not single:
            return ListPlacement("discharge")
        early = not self._is_late_in_stay(time)
        if self._is_long() or (early and (single or self._has_category)):
            return ListPlacement("home", BEFORE_OR_AFTER)
        open = self._at_admission(time) or source(item) in self._on_the_ward
        return ListPlacement("discharge", BEFORE_OR_AFTER if open else "")

    def _without_category(self, item: Resource, status: str, time: FhirDateTime | None) -> ListPlacement:
        """Return the placement of an order of the stay without a category."""
        if source(item) in self._on_the_ward:
            return ListPlacement("hospital")
        if status not in (*_IN_FORCE, "stopped"):
            return ListPlacement("hospital")
        if elements.codes(item.get("category")) & _PRESCRIPTIONS:
            return ListPlacement("discharge")
        if status != "stopped" and (
            _is_dispensed(item) or self._begins_later(medicine_courses.start_of_course(item, self._scope), time)
        ):
            return ListPlacement("discharge")
        if time is None or not self._at_end(time):
            return ListPlacement("hospital")
        open = WARD_OR_HOME if status in _IN_FORCE and not _is_continuous(item) else ""
        if is_intravenous(item) or not (self._is_long() or self._is_late_in_stay(time)):
            return ListPlacement("hospital", open)
        return ListPlacement("discharge", open)

    def _begins_later(self, begins: FhirDateTime | None, written: FhirDateTime | None) -> bool:
        """Return whether an order begins on the day of discharge or later, after it was written."""
        if begins is None or (written is not None and begins.begins <= written.ends):
            return False
        return begins.begins > self._scope.end_of_day - timedelta(days=1)

    def _at_end(self, time: FhirDateTime) -> bool:
        return self._scope.end - time.ends <= DISCHARGE_PERIOD and time.begins <= self._scope.end_of_day

    def _at_admission(self, time: FhirDateTime) -> bool:
        start = self._scope.start
        return start is not None and time.begins <= start.ends

    def _is_late_in_stay(self, time: FhirDateTime) -> bool:
        """Return whether a time is, or may be, nearer to the discharge than to the admission."""
        start = self._scope.start
        return start is None or self._scope.end - time.ends <= time.ends - start.begins

    def _is_long(self) -> bool:
        """Return whether the day before the discharge is later than that of the admission."""
        start = self._scope.start
        return start is None or self._scope.end - start.begins > 2 * DISCHARGE_PERIOD


def _is_dispensed(item: Resource) -> bool:
    """Return whether an order asks a pharmacy for a supply: packs, duration, refills."""
    asked = elements.child(item, "dispenseRequest")
    return any(asked.get(name) for name in ("quantity", "expectedSupplyDuration", "numberOfRepeatsAllowed"))


def _is_continuous(item: Resource) -> bool:
    return "continuous" in elements.codes(item.get("courseOfTherapyType"))


def is_intravenous(item: Resource) -> bool:
    routes = [line.get("route") for line in elements.children(item, "dosageInstruction")]
    texts = [text for route in routes for text in elements.displays(route)]
    texts += [elements.string(line, "text") or "" for line in elements.children(item, "dosageInstruction")]
    return any(_INTRAVENOUS.search(text) for text in texts) or bool(elements.codes(routes) & _INTRAVENOUS_CODES)
