"""Compare a draft with the previous one: the change that the physician requested, and what has changed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.approval.review import text_diff
from services.approval.review.case_reader import CaseReader
from services.approval.review.prepared_view import headings_of
from services.approval.review.text_diff import DiffRow
from shared.contracts.case import Case
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError
from shared.contracts.events import Drafted, DraftRef, Rejected

MAX_SHOWN_ROWS = 300  # what is left out is counted on the page


@dataclass(frozen=True, slots=True)
class DraftComparison:
    """Two drafts side by side. `lines_left_out` counts the changed lines after the shown rows.

    `requested_change` is the reason of the rejection that led to the new draft, `requested_by` who rejected; both are
    empty where there was none.
    """

    previous_name: str
    current_name: str
    rows: Sequence[DiffRow]
    lines_left_out: int
    differ: bool
    requested_change: str = ""
    requested_by: str = ""


async def compare_with_previous(
    cases: CaseReader, history: Sequence[RecordedEvent], case: Case, draft: Draft
) -> DraftComparison | None:
    """Return the comparison for the page; None for a first draft, and once the review is decided."""
    current = case.shown_draft if case.editable else None
    if current is None:
        return None
    rejected = _previous(history, current)
    digest = rejected.digest if rejected is not None else current.prepared
    if digest is None:
        return None
    case_id = history[-1].case.id
    try:
        previous = await cases.draft(case_id, digest)
    except ErasedError:
        return None
    rows = await asyncio.to_thread(
        text_diff.side_by_side, previous.text, draft.text, headings_of(previous) | headings_of(draft)
    )
    rejection = _rejection_of(history, rejected) if rejected is not None else None
    return DraftComparison(
        previous_name=f"Draft {previous.number}" if rejected is not None else "The prepared draft",
        current_name=f"Draft {draft.number}" if rejected is not None else "This draft",
        rows=rows[:MAX_SHOWN_ROWS],
        lines_left_out=sum(row.lines for row in rows[MAX_SHOWN_ROWS:] if row.kind != "same"),
        differ=any(row.kind != "same" for row in rows),
        requested_change=(await cases.texts(case_id).get(rejection.reason)).decode() if rejection else "",
        requested_by=(rejection.by.name or rejection.by.subject) if rejection else "",
    )


def _previous(history: Sequence[RecordedEvent], current: DraftRef) -> DraftRef | None:
    """Return the previous draft of the same record."""
    drafts = [item.body.draft for item in history if isinstance(item.body, Drafted)]
    same = (item for item in reversed(drafts) if item.context == current.context)
    return next((item for item in same if item.number == current.number - 1), None)


def _rejection_of(history: Sequence[RecordedEvent], draft: DraftRef) -> Rejected | None:
    """Return the last rejection of a draft."""
    rejections = (item.body for item in reversed(history) if isinstance(item.body, Rejected))
    return next((item for item in rejections if item.draft.digest == draft.digest), None)
