"""The page of a department: its open reviews by attending physician and age, for the supervisor."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from services.approval.absences.rules import Absence
from services.approval.department.rules import AGES, MAX_SELECTED, NOBODY, ORDERS, Age, Order, ReviewSelection, age_of
from services.approval.department.rules import groups as groups_of
from services.approval.department.rules import totals as totals_of
from services.approval.dependencies import Api, ApiDependencies, Supervisor
from services.approval.escalation.rules import TAKES_OVER
from services.approval.projections.open_reviews import OpenReviewRow
from services.approval.review.draft_labels import DraftLabel
from services.approval.web.inbox import open_review_counts
from services.approval.web.render import PageRoute, page, plain
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from shared.web.render import span

HERE = "/department"
PAGE = MAX_SELECTED
PERIODS = (7, 30)  # days of the figures
NOTES = {"none": "Nothing was done: select at least one review first."}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(HERE)
async def show(
    who: Supervisor,
    api: Api,
    department: str = "",
    attending: Annotated[str, Query(max_length=100)] = "",
    age: Literal["", Age] = "",
    order: Order = "oldest",
    skip: Annotated[int, Query(ge=0)] = 0,
    note: str = "",
) -> Response:
    now = api.clock()
    shown_departments, turnaround = departments_of(who, department), api.department.turnaround
    rows = api.open_reviews.of_department(shown_departments)
    groups = groups_of(rows, now)
    wanted = ReviewSelection(attending or None, age or None, order).of(rows, now)
    shown = wanted[skip : skip + PAGE]
    absences = await _current_absences(api, who, department, now)
    people = await people_of(api, [group.oldest for group in groups] + shown, [item.cover for item in absences])
    reminded = await api.department.reminders.of([row.ref.id for row in shown])
    counts = open_review_counts(api, who)
    return page(
        "department.html",
        who=who,
        here=HERE,
        zone=api.zone_of(department),
        department=department,
        counts=counts,
        ages=AGES,
        orders=ORDERS,
        nobody=NOBODY,
        groups=groups,
        totals=totals_of(groups),
        people=people,
        absences=absences,
        known_since=turnaround.since,
        complete=api.index.complete,
        periods=[(days, turnaround.figures(shown_departments, timedelta(days=days))) for days in PERIODS],
        rows=[row_of(row, people, now) for row in shown],
        reminded={case: (item.at, span((now - item.at).total_seconds())) for case, item in reminded.items()},
        found=len(wanted),
        skip=skip,
        following=skip + PAGE if skip + PAGE < len(wanted) else None,
        selected={"attending": attending, "age": age, "order": order},
        request_id=api.department.new_id(),
        remindable={name for name in counts if api.department.reminders.possible(name)},
        next_due=next_due(rows, now),
        note=NOTES.get(note, ""),
    )


async def _current_absences(api: ApiDependencies, who: Caller, department: str, now: datetime) -> list[Absence]:
    """Return the current absences of the department; of all that the caller may see where none is named."""
    current = [item for item in await api.department.absences.visible(who) if item.state(now) == "current"]
    return [item for item in current if not department or item.department == department]


def departments_of(who: Caller, department: str) -> tuple[str, ...] | None:
    """Return the departments to show; None: all. Raises ProblemError 404 for one that is not the caller's."""
    if not department:
        return who.departments
    if not who.can_access_department(department):
        raise ProblemError(404, "There is no such department")
    return (department,)


class People:
    """Names of attending physicians and owners, and initials of patients, for one page."""

    def __init__(self, names: dict[str, str], labels: dict[str, DraftLabel]) -> None:
        self._names = names
        self._labels = labels

    def name(self, reference: str | None) -> str:
        """Return the name of a person; the end of the reference where the EHR does not tell."""
        return self._names.get(reference or "") or plain(reference)

    def initials(self, row: OpenReviewRow) -> str:
        label = self._labels.get(row.line.draft)
        return (label.initials if label else "") or "?"


async def people_of(api: ApiDependencies, rows: list[OpenReviewRow], others: Sequence[str] = ()) -> People:
    """Return the people of these reviews. The name of an attending is that of the draft, also without the EHR."""
    lines = [(row, row.line) for row in rows]
    labels = await api.labels.of([(line.case_id, line.draft) for _, line in lines])
    names = {
        row.attending: label.attending
        for row, line in lines
        if row.attending and (label := labels.get(line.draft)) and label.attending
    }
    unnamed = {row.attending for row in rows} | {row.owner for row in rows} | set(others)
    names |= await api.department.names.of(item for item in unnamed if item not in names)
    return People(names, labels)


def row_of(row: OpenReviewRow, people: People, now: datetime) -> dict[str, Any]:
    """Return the template values of one review."""
    line = row.line
    return {
        "ref": row.ref,
        "initials": people.initials(row),
        "encounter": row.encounter.removeprefix("Encounter/"),
        "title": line.title,
        "number": line.number,
        "attending": people.name(row.attending),
        "owner": people.name(row.owner) if row.owner != row.attending else None,
        "level": row.level,
        "taken_over": row.level >= TAKES_OVER,
        "age": AGES[age_of(row, now)],
        "requested_at": row.requested_at,
        "waiting": span((now - row.requested_at).total_seconds()),
        **next_due([row], now),
    }


def next_due(rows: list[OpenReviewRow], now: datetime) -> dict[str, Any]:
    """Return when the next escalation of these reviews is due: `due`, `due_in` and `then`; None where none is."""
    row = min((row for row in rows if row.due is not None), key=lambda row: row.due or 0.0, default=None)
    if row is None or row.due is None:
        return {"due": None, "due_in": None, "then": None}
    due = datetime.fromtimestamp(row.due, UTC)
    left = (due - now).total_seconds()
    then = ("supervisor notified", "supervisor and deputies notified", "supervisor takes over")[min(row.level, 2)]
    return {"due": due, "due_in": span(left) if left > 0 else None, "then": then}
