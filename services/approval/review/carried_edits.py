"""Carry a physician's edits from drafts that were prepared to the draft that follows them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.approval.review.autosave import AutosavedDraft, DraftAutosave
from services.approval.review.case_reader import CaseReader
from services.approval.review.merge import Conflict, merge
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError
from shared.contracts.preparation import Prepared

MAX_DRAFTS = 20  # prepared drafts whose copies are looked for, the latest ones


@dataclass(frozen=True, slots=True)
class CarriedEdits:
    """The edits of one person. `copy` is None where they edited nothing, or have a copy of the draft itself."""

    copy: AutosavedDraft | None = None
    conflicts: tuple[Conflict, ...] = ()  # edits that are not in the text, as their facts have changed


class EditCarrier:
    """Finds edits in the copies of earlier prepared drafts. It changes none of them."""

    def __init__(self, cases: CaseReader, working: DraftAutosave) -> None:
        self._cases = cases
        self._working = working

    async def find(self, history: Sequence[RecordedEvent], draft: Draft, digest: str, subject: str) -> CarriedEdits:
        """Return the edits of `subject` for `draft`, which has `digest`."""
        earlier = prepared_before(history, digest)
        if not earlier:
            return CarriedEdits()
        case_id = history[-1].case.id
        own = await self._working.find(case_id, digest, subject)
        text, copy = (own.text, None) if own is not None else (draft.text, None)
        conflicts: list[Conflict] = []
        for before in earlier:
            found = await self._working.find(case_id, before, subject)
            base = await self._draft(case_id, before) if found is not None else None
            if found is None or base is None:
                continue
            merged = await asyncio.to_thread(merge, base.text, found.text, draft.text)
            if own is None and copy is None:
                text, copy = merged.text, _copy_for_draft(found, base, draft, merged.text, digest)
            conflicts += [item for item in merged.conflicts if item not in conflicts and not _is_in_text(item, text)]
        return CarriedEdits(copy, tuple(conflicts))

    async def drop(self, history: Sequence[RecordedEvent], subject: str) -> None:
        """Delete the copies of prepared drafts after the decision."""
        for before in prepared_before(history, ""):
            await self._working.drop(history[-1].case.id, before, subject)

    async def _draft(self, case_id: str, digest: str) -> Draft | None:
        try:
            return await self._cases.draft(case_id, digest)
        except ErasedError:
            return None


def prepared_before(history: Sequence[RecordedEvent], digest: str) -> list[str]:
    """Return the digests of the drafts that were prepared before the draft with `digest`, the latest first."""
    found = [event.body.draft.digest for event in history if isinstance(event.body, Prepared)]
    found = found[: found.index(digest)] if digest in found else found
    return list(dict.fromkeys(reversed(found)))[:MAX_DRAFTS]


def _is_in_text(conflict: Conflict, text: str) -> bool:
    """Return whether the edited lines are in `text` all the same."""
    lines = set(text.split("\n"))
    return bool(conflict.edited) and all(line in lines for line in conflict.edited.split("\n"))


def _copy_for_draft(copy: AutosavedDraft, base: Draft, draft: Draft, text: str, digest: str) -> AutosavedDraft:
    """Return the copy for `draft`: what was confirmed or seen stays so where its words are the same."""
    sentences = {base.sentences[index].text for index in copy.confirmed if index < len(base.sentences)}
    points = {base.open_points[index].text for index in copy.acknowledged if index < len(base.open_points)}
    return AutosavedDraft(
        text=text,
        draft=digest,
        confirmed=tuple(index for index, item in enumerate(draft.sentences) if item.text in sentences),
        acknowledged=tuple(index for index, item in enumerate(draft.open_points) if item.text in points),
        written=copy.written,
    )
