"""Progress of a text that is being edited: what was changed, and what is still to be resolved."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from services.approval.review import edits, text_diff
from services.approval.review.added_text import Statement
from services.approval.review.autosave import AutosavedDraft
from services.approval.review.case_reader import CaseReader
from services.approval.web.review_form import Mode, SubmittedForm, beginning
from shared.contracts import authorship
from shared.contracts.draft import TO_BE_WRITTEN, Draft
from shared.runtime.authentication import Caller


async def progress(
    cases: CaseReader, case_id: str, draft: Draft, copy: AutosavedDraft, mode: Mode, who: Caller
) -> dict[str, Any]:
    """Return the difference from the initial text, and the sentences and points that are not resolved."""
    own = await cases.added_statements(case_id, draft, copy.text, who)
    return await asyncio.to_thread(_compared, draft, copy, beginning(draft, mode), own)  # some ms for a long text


def _compared(draft: Draft, copy: AutosavedDraft, begun: str, own: Sequence[Statement]) -> dict[str, Any]:
    written = [item for item in own if item.label != "supported"]
    standing = edits.unchanged_sentences(draft, copy.text)
    return {
        "written": written,
        "unconfirmed": [item.digest for item in written if item.digest not in copy.written],
        "copy": copy,
        "diff": text_diff.diff(begun, copy.text) if copy.text != begun else text_diff.Diff(),
        "unresolved": edits.unresolved_of(draft, standing, copy.confirmed),
        "unacknowledged": edits.unacknowledged(draft, copy.acknowledged),
        "gone": [index for index in range(len(draft.sentences)) if index not in standing],
        "open_places": copy.text.count(TO_BE_WRITTEN),
        "line": _line(draft, copy.text, own=bool(own)),
    }


def _line(draft: Draft, text: str, *, own: bool) -> tuple[str, str] | None:
    """Return the line about the author of the narrative, and the correct one, if they differ."""
    if text == draft.text or TO_BE_WRITTEN in text:
        return None
    found = [stands.strip() for stands, _ in authorship.find_lines(text)]
    if not found:  # the correct line of a long text takes milliseconds
        return None
    wanted = authorship.correct_line(draft, text, own=own)
    stale = next((stands for stands in found if stands != wanted), None)
    return None if stale is None else (stale, wanted)


async def correct_authorship_line(cases: CaseReader, sent: SubmittedForm, who: Caller) -> SubmittedForm:
    """Return the form with a correct line about the author of the narrative."""
    own = bool(await cases.added_statements(sent.ref.id, sent.draft, sent.copy.text, who))
    text = authorship.with_correct_lines(sent.draft, sent.copy.text, own=own)
    return replace(sent, copy=sent.copy.model_copy(update={"text": text}))
