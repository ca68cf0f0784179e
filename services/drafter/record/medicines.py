"""Orders, statements, administrations and supplies of medicines: what each is, and in which list it stands.

https://hl7.org/fhir/R4/medicationrequest.html
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from services.drafter.record.dosage import course, dosage
from services.drafter.record.medicine_names import Names, ingredients
from services.drafter.record.scope import AFTER, OF_ANOTHER_ENCOUNTER, Scope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.moments import Moment
from shared.contracts.context import Medicine, OrderStatus

Kind = Literal["home", "hospital", "given", "discharge", "other"]

_NO_ORDERS = {
    "proposal": "a proposal, not an order",
    "plan": "a plan, not an order",
    "option": "an option, not an order",
}
_NOT_USABLE = {"entered-in-error": "entered in error", "draft": "a draft, not an order", "cancelled": "cancelled"}
_PRESCRIPTIONS = frozenset({"33633005"})  # SNOMED CT: prescription of drug (a Dutch medication agreement)
_AT_DISCHARGE = timedelta(hours=24)  # before the end of the stay: an active order without a category is for home


class Medications:
    """Reads medicines of one record. `medications` are Medication resources by reference."""

    def __init__(
        self, medications: dict[str, Resource], conditions: list[Resource], bases: frozenset[str], scope: Scope
    ) -> None:
        self._names = Names(medications, bases)
        self._conditions = {source(item): item for item in conditions}
        self._bases = bases
        self._scope = scope

    def orders(self, resources: list[Resource]) -> Iterator[tuple[Kind, Medicine]]:
        """MedicationRequests."""
        for item in resources:
            time = self._scope.first(item, "authoredOn")
            name = self._names.name(item)
            kind = self._order_kind(item, name, time)
            if kind is not None:
                yield kind, self._medicine(item, name, time)

    def statements(self, resources: list[Resource]) -> Iterator[tuple[Kind, Medicine]]:
        """MedicationStatements: what the patient is known to take."""
        for item in resources:
            time = self._scope.first(item, "effectivePeriod", "effectiveDateTime", "dateAsserted")
            name = self._names.name(item)
            kind = self._statement_kind(item, name, time)
            if kind is not None:
                yield kind, self._medicine(item, name, time)

    def administrations(self, resources: list[Resource]) -> Iterator[tuple[Kind, Medicine]]:
        """MedicationAdministrations: only what was given."""
        for item in resources:
            time = self._scope.first(item, "effectiveDateTime", "effectivePeriod")
            name, status = self._names.name(item), elements.words(item, "status")
            if status in ("not-done", "on-hold", "stopped", "unknown"):
                if self._scope.is_of_stay(item, time):
                    self._scope.leave_out(item, name, f"not recorded as given ({status})")
            elif self._scope.usable(item, name, time):
                yield "given", self._medicine(item, name, time)

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
                and self._scope.end - time.ends <= _AT_DISCHARGE
                and time.begins <= self._scope.end_of_day
            )
            if near and self._scope.belongs(item) is not False:
                yield "discharge", self._medicine(item, self._names.name(item), time)

    def _order_kind(self, item: Resource, name: str | None, time: Moment | None) -> Kind | None:
        """In which list an order stands; None for one that is no part of the story, which is remembered."""
        status, intent = str(item.get("status")), str(item.get("intent"))
        # What a patient is reported to take is no order of this hospital's, and some systems call it a plan.
        reported = elements.flag(item, "reportedBoolean") or bool(elements.child(item, "reportedReference"))
        if status == "cancelled" and _stop_agreement(item):
            status = "stopped"  # that is how a Dutch agreement to stop is recorded
        reason = _NOT_USABLE.get(status) or (None if reported else _NO_ORDERS.get(intent))
        if reason is not None:
            self._scope.leave_out(item, name, elements.listed([reason, self._why(item)], ": "))
            return None
        kind = self._list_of(item, status, time)
        if kind is None:
            self._leave_out(item, name, time)
            return None
        if name is None:
            self._scope.leave_out(item, None, "which nothing names", important=kind != "hospital")
        if kind == "hospital":  # what was stopped on the ward says nothing of the time after it
            return "other" if _avoid(item) else "hospital"
        return kind if _status(item) == "active" else "other"

    def _list_of(self, item: Resource, status: str, time: Moment | None) -> Kind | None:
        """home, hospital or discharge: by category, else by the stay it belongs to and the time it was written."""
        scope, categories = self._scope, elements.codes(item.get("category"))
        own = scope.belongs(item)
        late = time is not None and own is not True and time.begins > scope.end_of_day
        at_end = time is not None and scope.end - time.ends <= _AT_DISCHARGE and time.begins <= scope.end_of_day
        if late or (own and scope.is_after(item, time)):
            return None
        if _avoid(item) and own is not False:
            return "discharge"
        if "discharge" in categories:
            return "discharge" if own or (own is None and at_end) else None
        if "inpatient" in categories:
            return "hospital" if own or (own is None and scope.within(time)) else None
        before = not own and (own is False or not scope.within(time))
        if categories & {"community", "outpatient"} or elements.flag(item, "reportedBoolean"):
            written_here = own and at_end and not elements.flag(item, "reportedBoolean")
            if written_here and self._stay_is_long():
                return "discharge"
            return "home" if own or status in ("active", "on-hold", "unknown") or self._ended_in_stay(item) else None
        if before:
            return "home" if status in ("active", "on-hold") or self._ended_in_stay(item) else None
        if status in ("active", "on-hold", "stopped") and (at_end or categories & _PRESCRIPTIONS):
            return "discharge"
        return "hospital" if own or scope.within(time) else None

    def _stay_is_long(self) -> bool:
        """Whether the day before the discharge is another one than that of the admission."""
        start = self._scope.start
        return start is None or self._scope.end - start.begins > 2 * _AT_DISCHARGE

    def _ended_in_stay(self, item: Resource) -> bool:
        """Whether an order that is over ended within the stay, by its own dates."""
        return self._scope.within(self._ended(item))

    def _leave_out(self, item: Resource, name: str | None, time: Moment | None) -> None:
        scope = self._scope
        status = str(item.get("status"))
        if time is not None and time.begins > scope.end and scope.belongs(item) is not False:
            scope.leave_out(item, name, AFTER)
        elif status in ("stopped", "completed"):
            self._leave_out_ended(item, name, status)
        else:
            scope.leave_out(item, name, OF_ANOTHER_ENCOUNTER)

    def _leave_out_ended(self, item: Resource, name: str | None, status: str) -> None:
        """What ended: before the stay where the record says when; else a stop with its reason asks for a word."""
        why, ended = self._why(item), self._ended(item)
        if ended is not None and self._scope.start is not None and ended.ends < self._scope.start.begins:
            self._scope.leave_out(item, name, f"{status} before this stay")
            return
        reason = elements.listed([f"{status}, the record does not say when", why], ": ")
        self._scope.leave_out(item, name, reason, important=status == "stopped" and why is not None)

    def _ended(self, item: Resource) -> Moment | None:
        """When a statement or an order ended, by its own dates."""
        repeats = [
            elements.child(elements.child(line, "timing"), "repeat")
            for line in elements.children(item, "dosageInstruction")
        ]
        periods = [elements.child(item, "effectivePeriod"), *(elements.child(part, "boundsPeriod") for part in repeats)]
        found = [moment for period in periods if (moment := self._scope.moment(period.get("end")))]
        return max(found, key=lambda moment: moment.ends, default=None)

    def _statement_kind(self, item: Resource, name: str | None, time: Moment | None) -> Kind | None:
        status, scope = str(item.get("status")), self._scope
        if status in ("entered-in-error", "not-taken"):
            scope.leave_out(
                item, name, "entered in error" if status == "entered-in-error" else "not taken by the patient"
            )
            return None
        over = status in ("completed", "stopped")
        ended = self._ended(item)
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
            and scope.end - time.ends <= _AT_DISCHARGE
        )
        return (
            "discharge" if status == "intended" or (status == "active" and at_end and scope.belongs(item)) else "home"
        )

    def _medicine(self, item: Resource, name: str | None, time: Moment | None) -> Medicine:
        found = dosage(item)
        named = name or "Medicine not named in the record"
        supply = course(item)
        directions = elements.listed(
            [
                found.directions,
                f"supply for {supply}" if supply and supply not in found.directions else None,
                *self._conditions_of(item),
            ]
        )
        concept = self._names.concept(item)
        substances = self._names.substances(item, concept)
        return Medicine(
            **self._scope.entry(item, f"{named}, {directions}" if directions else named, time).model_dump(),
            name=named,
            dose=directions,
            amount=found.amount,
            route=found.route,
            frequency=found.frequency,
            reason=self._reason(item),
            note="; ".join(elements.notes(item)),
            status=_status(item),
            ingredients=ingredients(named, substances),
            substances=tuple(dict.fromkeys((*substances, *elements.displays(concept.get("code"))))),
            codes=tuple(sorted(f"{system}|{code}" for system, code in elements.coded(concept.get("code")))),
            normal=found.normal,
            doubt=found.doubt,
            lacks=found.lacks,
            by_body=found.by_body,
            steps=found.steps,
            ambiguous=found.ambiguous,
        )

    def _reason(self, item: Resource) -> str:
        """Why: for a held or stopped order why it is, else what the medicine is for."""
        coded = [elements.concept(part) for part in elements.children(item, "reasonCode")]
        referred = []
        for part in elements.children(item, "reasonReference"):
            condition = self._conditions.get(references.relative(part, self._bases) or "")
            referred.append(elements.concept((condition or {}).get("code")) or elements.words(part, "display"))
        return elements.listed([self._why(item), *(coded or referred)], "; ")

    def _conditions_of(self, item: Resource) -> list[str]:
        """What else an order says: no substitution, a status that leaves doubt, why it was stopped on the ward."""
        allowed = elements.flag(elements.child(item, "substitution"), "allowedBoolean")
        said = {"unknown": "status of the order unknown"}
        if "inpatient" in elements.codes(item.get("category")):
            why = self._why(item)
            said |= {
                status: f"{words}: {why}" if why else words
                for status, words in (("stopped", "stopped in the stay"), ("on-hold", "on hold"))
            }
        return ["no substitution" if allowed is False else "", said.get(str(item.get("status")), "")]

    def _why(self, item: Resource) -> str | None:
        """The reason of its status: one concept of an order, several of a statement."""
        return elements.listed(elements.concept(part) for part in elements.children(item, "statusReason")) or None


def _avoid(item: Resource) -> bool:
    return elements.flag(item, "doNotPerform") is True


def _stop_agreement(item: Resource) -> bool:
    """A Dutch agreement to stop is an order with a stop type."""
    return any(True for _ in elements.extensions(item, "StopType"))


def _status(item: Resource) -> OrderStatus:
    if _avoid(item):
        return "avoid"
    status = item.get("status")
    if status == "stopped" or _stop_agreement(item):
        return "stopped"
    return "on-hold" if status == "on-hold" else "active"
