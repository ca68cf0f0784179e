"""What has changed since a draft was prepared, as the API shows it."""

import asyncio
from collections.abc import Sequence

from services.approval.review import text_diff
from services.approval.review.carried_edits import EditCarrier
from services.approval.review.case_reader import CaseReader
from services.approval.review.text_diff import DiffSegment
from services.approval.review.views import LineChange, PreparedView, UnmergedEdit
from shared.contracts.case import fold
from shared.contracts.draft import HEADINGS, Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError

MAX_CHANGES = 300


async def prepared_view(
    cases: CaseReader, carrier: EditCarrier, history: Sequence[RecordedEvent], subject: str
) -> PreparedView | None:
    """Return the comparison with the draft that was prepared before, with the edits of `subject`.

    None where there was no such draft, where it was erased, and once the review is decided.
    """
    case = fold(history)
    current = case.shown_draft if case.editable else None
    if current is None or current.prepared is None:
        return None
    case_id = history[-1].case.id
    try:
        draft, before = await cases.draft(case_id, current.digest), await cases.draft(case_id, current.prepared)
    except ErasedError:
        return None
    rows = await asyncio.to_thread(
        text_diff.side_by_side, before.text, draft.text, headings_of(before) | headings_of(draft)
    )
    changes = [
        LineChange(kind=row.kind, under=row.under.removesuffix(":"), before=_text(row.before), after=_text(row.after))
        for row in rows
        if row.kind != "same"
    ]
    carried = await carrier.find(history, draft, current.digest, subject)
    return PreparedView(
        digest=current.prepared,
        kept=list(draft.prepared.kept) if draft.prepared else [],
        anew=list(draft.prepared.anew) if draft.prepared else [],
        changes=changes[:MAX_CHANGES],
        more=max(0, len(changes) - MAX_CHANGES),
        edited_text=carried.copy.text if carried.copy is not None else None,
        unmerged=[UnmergedEdit(before=item.before, edited=item.edited, now=item.now) for item in carried.conflicts],
    )


def headings_of(draft: Draft) -> frozenset[str]:
    """Return the lines of the text that are headings."""
    groups = {f"{group.title}:" for part in draft.parts for group in part.groups}
    return frozenset(
        {part.title.upper() for part in draft.parts} | groups | {f"{title}:" for title in HEADINGS.values()}
    )


def _text(segments: Sequence[DiffSegment]) -> str:
    return "".join(item.text for item in segments)
