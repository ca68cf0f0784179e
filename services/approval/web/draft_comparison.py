"""Compare a draft with the previous one: what the physician asked for, and what has changed."""

import asyncio
from collections.abc import Sequence
from typing import Any

from services.approval.review import text_diff
from services.approval.review.case_reader import CaseReader
from services.approval.review.prepared_view import headings_of
from shared.contracts.case import Case
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError
from shared.contracts.events import Drafted, DraftRef, Rejected

SHOWN = 300  # rows; what is left out is counted on the page


async def compare_with_previous_draft(
    cases: CaseReader, history: Sequence[RecordedEvent], case: Case, draft: Draft
) -> Any:
    """Return the comparison for the page; None for a first draft, and once the review is decided."""
    current = case.shown_draft if case.editable else None
    before = _before(history, current) if current is not None else None
    prepared = current.prepared if current is not None and before is None else None
    if before is None and prepared is None:
        return None
    case_id = history[-1].case.id
    try:
        earlier = await cases.draft(case_id, before.digest if before else prepared or "")
    except ErasedError:
        return None
    rows = await asyncio.to_thread(
        text_diff.side_by_side, earlier.text, draft.text, headings_of(earlier) | headings_of(draft)
    )
    asked = next((item for item in reversed(history) if before is not None and _refuses(item, before)), None)
    words = await cases.texts(case_id).get(asked.body.reason) if asked and isinstance(asked.body, Rejected) else b""
    by = asked.body.by if asked and isinstance(asked.body, Rejected) else None
    return {
        "name": "The prepared draft" if prepared else f"Draft {earlier.number}",
        "now": "This draft" if prepared else f"Draft {draft.number}",
        "rows": rows[:SHOWN],
        "more": sum(row.lines for row in rows[SHOWN:] if row.kind != "same"),
        "differ": any(row.kind != "same" for row in rows),
        "words": words.decode(),
        "by": (by.name or by.subject) if by else "",
    }


def _before(history: Sequence[RecordedEvent], current: DraftRef) -> DraftRef | None:
    """Return the previous draft of the same record."""
    drafts = [item.body.draft for item in history if isinstance(item.body, Drafted)]
    same = (item for item in reversed(drafts) if item.context == current.context)
    return next((item for item in same if item.number == current.number - 1), None)


def _refuses(item: RecordedEvent, draft: DraftRef) -> bool:
    return isinstance(item.body, Rejected) and item.body.draft.digest == draft.digest
