"""How far somebody is with a text: what they changed, and what still waits for a word."""

import asyncio
from dataclasses import replace
from typing import Any

from services.approval import compare, edits
from services.approval.desk import Desk
from services.approval.inbox.sent import Mode, Sent, beginning
from services.approval.inbox.working import Working
from shared.contracts import authorship
from shared.contracts.draft import TO_BE_WRITTEN, Draft
from shared.runtime.authentication import Caller


async def progress(desk: Desk, case_id: str, draft: Draft, copy: Working, mode: Mode, who: Caller) -> dict[str, Any]:
    """What differs from the text that they began with, and which sentences and points are still to be settled."""
    begun = beginning(draft, mode)
    own = await desk.written(case_id, draft, copy.text, who)
    written = [item for item in own if item.label != "supported"]
    standing = edits.standing(draft, copy.text)
    return {
        "written": written,
        "unconfirmed": [item.digest for item in written if item.digest not in copy.written],
        "copy": copy,
        "diff": await asyncio.to_thread(compare.diff, begun, copy.text) if copy.text != begun else [],
        "unresolved": edits.unresolved(draft, copy.text, copy.confirmed),
        "unacknowledged": edits.unacknowledged(draft, copy.acknowledged),
        "gone": [index for index in range(len(draft.sentences)) if index not in standing],
        "open_places": copy.text.count(TO_BE_WRITTEN),
        "line": _line(draft, copy.text, own=bool(own)),
    }


def _line(draft: Draft, text: str, *, own: bool) -> tuple[str, str] | None:
    """The line that says who wrote the narrative as it stands in the text, and as it has to be, where they differ."""
    wanted = authorship.correct_line(draft, text, own=own)
    found = [stands.strip() for stands, _ in authorship.find_lines(text)]
    stale = next((stands for stands in found if stands != wanted), None)
    if stale is None or text == draft.text or TO_BE_WRITTEN in text:
        return None
    return stale, wanted


async def put_right(desk: Desk, sent: Sent, who: Caller) -> Sent:
    """The form with such a line of the text saying what is true."""
    own = bool(await desk.written(sent.ref.id, sent.draft, sent.copy.text, who))
    text = authorship.with_correct_lines(sent.draft, sent.copy.text, own=own)
    return replace(sent, copy=sent.copy.model_copy(update={"text": text}))
