"""Set, list and remove absences, with the caller's departments."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from services.approval.absences.errors import UnknownAbsenceError
from services.approval.absences.registry import AbsenceRegistry
from services.approval.absences.rules import Absence, absence_id, added, removed
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller


class AbsenceService:
    """`check_person` raises DecisionRefusedError for a reference that the EHR does not know."""

    def __init__(self, registry: AbsenceRegistry, clock: Clock, check_person: Callable[[str], Awaitable[None]]) -> None:
        self._registry = registry
        self._clock = clock
        self._check_person = check_person

    async def visible(self, who: Caller, department: str | None = None) -> list[Absence]:
        """Return the absences of the caller's departments, the one that starts first at the beginning.

        Raises UnknownAbsenceError for a department that is not the caller's.
        """
        if department is not None:
            _ensure_access(who, department)
        found = await self._registry.all() if department is None else await self._registry.of(department)
        shown = (item for item in found if who.can_access_department(item.department))
        return sorted(shown, key=lambda item: (item.starts_at, item.id))

    async def add(
        self, by: Caller, department: str, absent: str, cover: str, starts_at: datetime, ends_at: datetime
    ) -> Absence:
        """Store an absence; the same one again changes nothing.

        Raises UnknownAbsenceError for a department that is not the caller's, AbsenceRefusedError, DecisionRefusedError.
        """
        _ensure_access(by, department)
        await self._check_person(cover)
        now = self._clock()
        new = Absence(
            id=absence_id(department, absent, cover, starts_at, ends_at),
            department=department,
            absent=absent,
            cover=cover,
            starts_at=starts_at,
            ends_at=ends_at,
            created_at=now,
            created_by=by.subject,
            created_by_name=by.name,
        )
        stored = await self._registry.change(department, lambda items: added(items, new, now))
        return next(item for item in stored if item.id == new.id)

    async def remove(self, by: Caller, id: str) -> Absence:
        """End an absence now; one that has ended stays as it was. Raises UnknownAbsenceError."""
        found = next((item for item in await self.visible(by) if item.id == id), None)
        if found is None:
            raise UnknownAbsenceError
        now = self._clock()
        stored = await self._registry.change(found.department, lambda items: removed(items, id, by.subject, now))
        return next((item for item in stored if item.id == id), found)

    async def now(self, department: str) -> dict[str, Absence]:
        """Return the current absences of a department by who is absent."""
        now = self._clock()
        return {item.absent: item for item in await self._registry.of(department) if item.state(now) == "current"}


def _ensure_access(who: Caller, department: str) -> None:
    if not who.can_access_department(department):
        raise UnknownAbsenceError
