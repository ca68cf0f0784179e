"""Read cases and their texts, authorize who reads or decides, and record it in the access log."""

import re
from collections.abc import Sequence

from services.approval.review.added_text import Statement
from services.approval.review.authorization import Action, authorize
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.record_check import RecordChecker
from shared.contracts.case import Case, fold
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Approved, Signature
from shared.contracts.model import read_strictly
from shared.contracts.subjects import CaseRef
from shared.messaging.access_log import AccessLog
from shared.messaging.artifacts import Artifacts, CaseTexts
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore, UnreadableEvent
from shared.runtime.authentication import Caller

CASE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")  # subjects are made of it: nothing else is looked up


class CaseReader:
    def __init__(self, bus: NatsConnection, log: AccessLog) -> None:
        self._log = log
        self.checker = RecordChecker()
        self._event_store = EventStore(bus, "approval")
        self._artifacts = Artifacts(bus)

    async def close(self) -> None:
        await self.checker.close()

    async def history(self, case_id: str) -> list[RecordedEvent]:
        """Return the events of a case, oldest first; empty where there is no such case."""
        return await self._event_store.find(case_id) if CASE_ID.fullmatch(case_id) else []

    async def readable(self, case_id: str) -> tuple[list[RecordedEvent], list[UnreadableEvent]]:
        """Return the events that can be read and those that cannot, for callers that only display the case."""
        return await self._event_store.readable(case_id) if CASE_ID.fullmatch(case_id) else ([], [])

    async def case(self, case_id: str) -> tuple[CaseRef, Case]:
        """Return the current state of a case; `exists` is false where there is no such case."""
        return current(case_id, await self.history(case_id))

    async def authorized_history(self, case_id: str, caller: Caller) -> list[RecordedEvent]:
        """Return the history of a case whose draft the caller is about to see.

        The access is in the log when this returns. Raises DecisionRefusedError.
        """
        history = await self.history(case_id)
        ref, case = current(case_id, history)
        caller = await self.authorize(ref, case, caller, "see")
        await self._log.record(
            "viewed",
            detail=f"draft {case.shown_draft.digest}" if case.shown_draft else "no draft yet",
            case_id=case_id,
            by=caller.actor,
        )
        return history

    async def authorize(self, ref: CaseRef, case: Case, caller: Caller, action: Action) -> Caller:
        """Return the caller in the role that permits `action`.

        Raises DecisionRefusedError once the refusal is in the access log.
        """
        if not case.exists:
            raise DecisionRefusedError("unknown", "There is no such case.")
        found = authorize(caller, case, ref.department, action)
        if isinstance(found, Caller):
            return found
        await self._log.record(
            "refused",
            detail=f"{action}: {found.reason}",
            case_id=ref.id,
            by=caller.actor,
        )
        if found.conceal_existence:
            raise DecisionRefusedError("unknown", "There is no such case.")
        raise DecisionRefusedError("forbidden", f"{found.reason[0].upper()}{found.reason[1:]}.")

    async def draft_of(self, case_id: str, case: Case) -> Draft | None:
        """Return the draft of the case's last review, or the one that is prepared; None where there is none."""
        if case.shown_draft is None:
            return None
        return await self.draft(case_id, case.shown_draft.digest)

    async def draft(self, case_id: str, digest: str) -> Draft:
        return read_strictly(Draft, await self.texts(case_id).get(digest))

    async def signed_text(self, case_id: str, signed: Signature) -> str:
        """Return exactly the text that was signed."""
        if isinstance(signed, Approved) and not signed.edited:
            return (await self.draft(case_id, signed.draft.digest)).text
        return (await self.texts(case_id).get(signed.signed)).decode()

    def texts(self, case_id: str, at: int = 0) -> CaseTexts:
        """Return the texts of a case. A writer passes `at`, the sequence of the last event it has seen."""
        return self._artifacts.of(case_id, at)

    async def added_statements(self, case_id: str, draft: Draft, text: str, by: Caller) -> tuple[Statement, ...]:
        """Check the sentences of `text` that `draft` does not have against the record that it was made from.

        Raises Problem 429 where the texts of `by` have used up their processor time.
        """
        return await self.checker.check(self.texts(case_id), draft, text, by.subject)


def current(case_id: str, history: Sequence[RecordedEvent]) -> tuple[CaseRef, Case]:
    """Fold `history`. A case without events belongs to no department."""
    return (history[-1].case if history else CaseRef("*", case_id)), fold(history)
