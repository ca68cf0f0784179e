"""What the pages of a department work with."""

from collections.abc import Callable
from dataclasses import dataclass

from services.approval.absences.service import AbsenceService
from services.approval.department.names import PractitionerNames
from services.approval.department.reminders import ReminderService
from services.approval.projections.turnaround import TurnaroundProjection


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentDependencies:
    """`new_id` gives the ids of requests: the same request that is sent twice has one effect."""

    names: PractitionerNames
    reminders: ReminderService
    absences: AbsenceService
    turnaround: TurnaroundProjection
    new_id: Callable[[], str]
