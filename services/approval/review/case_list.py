"""The list of all cases: filters, and pages of it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Self

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.approval.projections.case_index import CaseIndex, CaseRow
from services.approval.review.views import UnreadableEventSummary, summarize_unreadable
from shared.contracts.case import CaseState
from shared.contracts.ehr import Department
from shared.contracts.events import StepName
from shared.messaging.event_store import UnreadableEvent
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

MAX_PAGE_SIZE = 200  # lines of a page
Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class CaseFilter(BaseModel):
    """Which cases a list shows. Criteria are combined; without one, every case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: tuple[CaseState, ...] = Field(default=(), description="any of these states; may be repeated")
    department: Department | None = None
    owner: Id | None = Field(default=None, description="FHIR reference, such as `Practitioner/dr-1`")
    case: Id | None = Field(default=None, description="id of the case")
    encounter: Id | None = Field(default=None, description="FHIR id of the encounter, with or without `Encounter/`")
    since: AwareDatetime | None = Field(default=None, description="last event at this time or later, RFC 3339")
    until: AwareDatetime | None = Field(default=None, description="last event before this time, RFC 3339")
    unchanged_since: AwareDatetime | None = Field(
        default=None, description="in its present state since this time or longer, RFC 3339"
    )
    unfiled: bool = Field(default=False, description="only cases with a signature that the chart does not have yet")

    def selector(self) -> Callable[[CaseRow], bool]:
        """Return what selects the rows. It looks at what was asked for alone: a list may hold all cases there are."""
        checks = [check for wanted, check in self._checks() if wanted]
        if not checks:
            return lambda _: True
        if len(checks) == 1:
            return checks[0]
        return lambda row: all(check(row) for check in checks)

    def _checks(self) -> Iterator[tuple[bool, Callable[[CaseRow], bool]]]:
        """Yield whether each criterion was given, and its check; those that most cases do not pass first."""
        encounter = self.encounter.removeprefix("Encounter/") if self.encounter is not None else None
        case, owner, department, states = self.case, self.owner, self.department, frozenset(self.state)
        yield case is not None, lambda row: row.ref.id == case
        yield encounter is not None, lambda row: row.encounter == encounter
        yield owner is not None, lambda row: row.owner == owner
        yield self.unfiled, lambda row: row.unfiled
        yield bool(states), lambda row: row.case.state in states
        yield department is not None, lambda row: row.ref.department == department
        if (since := self.since) is not None:
            yield True, lambda row: row.time >= since
        if (until := self.until) is not None:
            yield True, lambda row: row.time < until
        if (unchanged := self.unchanged_since) is not None:
            yield True, lambda row: row.since <= unchanged


class CaseQuery(CaseFilter):
    """A page of the list."""

    after: str | None = Field(default=None, description="cursor from `next`")
    limit: int = Field(default=50, ge=1, le=MAX_PAGE_SIZE)


CaseParameters = Annotated[CaseQuery, Query()]


class CaseSummary(BaseModel):
    """A case in a list: ids, codes and times."""

    case_id: str
    department: str
    encounter: str = Field(description="FHIR id; empty where no readable event names it")
    state: CaseState = Field(description="state of the case")
    since: datetime = Field(description="when the case came into its state")
    owner: str | None
    last_event: str = Field(description="name of its latest event")
    time: datetime = Field(description="of the last event")
    failed_step: StepName | None = Field(default=None, description="the step that gave up, of a failed case")
    failure: str | None = Field(default=None, description="why it gave up")

    @classmethod
    def of(cls, row: CaseRow) -> Self:
        return cls(
            case_id=row.ref.id,
            department=row.ref.department,
            encounter=row.encounter,
            state=row.state,
            since=row.since,
            owner=row.owner,
            last_event=row.last_event,
            time=row.time,
            failed_step=row.failed_step,
            failure=row.failure,
        )


class CaseList(BaseModel):
    """A page of cases, the one with the latest event first; `next` is the cursor of the page after it."""

    items: list[CaseSummary]
    next: str | None = Field(description="null on the last page")
    complete: bool = Field(
        description="false while events are still being read, after a start or where the service is behind: cases may "
        "be missing, or shown in an earlier state"
    )
    unreadable: list[UnreadableEventSummary] = Field(
        description="messages in the event stream that cannot be read as events; no service writes such messages"
    )


async def list_cases(
    index: CaseIndex,
    unreadable: Sequence[UnreadableEvent],
    who: Caller,
    query: CaseQuery,
    among: frozenset[str] | None = None,
) -> CaseList:
    """Return a page of the cases that the caller may know of; `among`: of these cases alone.

    Raises ProblemError 422 for a cursor of another list.
    """
    before = parse_cursor(query.after)
    complete = await index.refresh()
    rows, following = page(index, who, query, before, query.limit, among)
    return CaseList(
        items=[CaseSummary.of(row) for row in rows],
        next=following,
        complete=complete,
        unreadable=summarize_unreadable(
            item
            for item in unreadable
            if query.department in (None, item.case.department) and (among is None or item.case.id in among)
        ),
    )


def matching(index: CaseIndex, who: Caller, wanted: CaseFilter, before: int | None = None) -> Iterator[CaseRow]:
    """Yield the wanted cases that the caller may know of, in the order of `CaseIndex.select`."""
    selected, departments = wanted.selector(), who.departments

    def shown(row: CaseRow) -> bool:
        return (departments is None or row.ref.department in departments) and selected(row)

    if wanted.case is None:
        return index.select(selected if departments is None else shown, before)
    row = index.find(wanted.case)
    return iter([row] if row is not None and (before is None or row.sequence < before) and shown(row) else [])


def page(
    index: CaseIndex,
    who: Caller,
    wanted: CaseFilter,
    before: int | None,
    limit: int,
    among: frozenset[str] | None = None,
) -> tuple[list[CaseRow], str | None]:
    """Return up to `limit` cases, of `among` if it is given, and the cursor of the next page; None on the last."""
    rows = (row for row in matching(index, who, wanted, before) if among is None or row.ref.id in among)
    found = list(islice(rows, limit + 1))
    return found[:limit], str(found[limit - 1].sequence) if len(found) > limit else None


def parse_cursor(cursor: str | None) -> int | None:
    """Return the sequence that the page ends before. Raises ProblemError 422."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 20):
        raise ProblemError(422, "The request is not valid", "after is not a cursor of this list.")
    return int(cursor)
