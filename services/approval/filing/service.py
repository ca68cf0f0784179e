"""Signed documents that are not in the chart: release one, confirm its transfer, download it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import Field

from services.approval.corrections import rules as correction_rules
from services.approval.filing import last_restore, manual_actions
from services.approval.filing.renditions.make import PDF
from services.approval.filing.renditions.writer import Renditions
from services.approval.filing.status import FilingStatus, FilingStatuses
from services.approval.filing.write_back import WriteBacks
from services.approval.projections.unfiled import UnfiledDocument, UnfiledProjection
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.service import ReviewService
from shared.contracts.case import Case, addenda, causing_event, fold, latest_document
from shared.contracts.corrections import RetractionFiled
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import CountersignError
from shared.contracts.events import Filed, Retried
from shared.contracts.model import Model
from shared.contracts.subjects import CaseRef
from shared.runtime.authentication import Caller
from shared.runtime.list_pages import page_of

Reason = Literal["on-its-way", "retrying", "held", "transfer"]


class UnfiledEntry(Model):
    """A signed document that is not in the chart, and why. Ids, times and codes: no patient data."""

    case_id: str
    department: str
    signed: str = Field(description="event of the signature")
    signed_at: datetime
    reason: Reason = Field(description="on its way; tried again; held until a person acts; to be transferred by hand")
    since: datetime = Field(description="since when that is the reason")
    detail: str = Field(default="", description="what the EHR answered, without patient data")


@dataclass(frozen=True, slots=True)
class Download:
    """A signed text or its PDF."""

    content: bytes
    name: str


class UnfiledDocumentService:
    """`renditions` makes the text and the PDF."""

    def __init__(
        self,
        review: ReviewService,
        write_backs: WriteBacks,
        statuses: FilingStatuses,
        unfiled: UnfiledProjection,
        renditions: Renditions,
    ) -> None:
        self._cases = review.cases
        self._decisions = review.decisions
        self._write_backs = write_backs
        self._statuses = statuses
        self._unfiled = unfiled
        self._renditions = renditions

    async def unfiled(self, who: Caller, most: int, after: str | None = None) -> tuple[list[UnfiledEntry], str | None]:
        """Return up to `most` signed documents of the caller's departments that are not in the chart, oldest first.

        They are those behind the cursor `after`; the second is the cursor behind them. Raises ProblemError.
        """
        waiting, following = page_of(self._unfiled.of(who), _oldest_first, after, most)
        statuses = await self._statuses.of([item.ref.id for item in waiting])
        return [_line(item, statuses.get(item.ref.id)) for item in waiting], following

    def count_unfiled(self, who: Caller) -> int:
        """Return how many signed documents of the caller's departments are not in the chart."""
        return len(self._unfiled.of(who))

    def late(self, who: Caller, since: datetime) -> int:
        """Return how many signed documents of the caller's departments are held, or were signed before `since`."""
        return sum(item.held is not None or item.signed_at < since for item in self._unfiled.of(who))

    async def unfiled_of(self, history: list[RecordedEvent]) -> UnfiledEntry | None:
        """Return what of the case is signed and not in the chart; None if nothing is."""
        case, signature = fold(history), causing_event("file", history)
        if signature is None or not (manual_actions.is_held(case) or case.awaits == "file"):
            return None
        failed = case.failure.reason if manual_actions.is_held(case) and case.failure is not None else None
        item = UnfiledDocument(signature.case, signature.name, signature.time, failed, ())
        return _line(item, (await self._statuses.of([item.ref.id])).get(item.ref.id))

    async def restore_warning(self, history: list[RecordedEvent]) -> str:
        """Return why the chart may have a document of this open review already, after a restore. Empty: it does not."""
        case = fold(history)
        if case.review is None or not case.open:
            return ""
        try:
            if await self._write_backs.chosen() == "fhir":
                return ""
            return last_restore.doubt_after_restore(await self._statuses.last_restore(), history, case.review.stay)
        except CountersignError:  # a hint alone: the filing is held in any case
            return ""

    async def release(self, case_id: str, by: Caller) -> Retried:
        """Retry the filing now. Raises DecisionRefusedError."""
        _, ref, case = await self._read(case_id)
        by = await self._cases.authorize(ref, case, by, "release")
        cause = f"release/{case_id}/{case.head.sequence}"
        return await self._decisions.decide(
            ref, case, by, "release", lambda current: manual_actions.release(current, by.actor), cause
        )

    async def confirm_transfer(self, case_id: str, by: Caller) -> Filed | RetractionFiled:
        """State that `by` has taken the document to the chart. Sent twice, it is one confirmation.

        Raises DecisionRefusedError.
        """
        history, ref, case = await self._read(case_id)
        if (done := manual_actions.confirmed_before(history, by.actor)) is not None:
            return done
        by = await self._cases.authorize(ref, case, by, "release")
        signature = causing_event("file", history)
        first = signature is None or signature.name == "approved"
        profile = await self._write_backs.chosen(None if first else case.document)
        event = await self._decisions.decide(
            ref,
            case,
            by,
            "release",
            lambda current: manual_actions.confirm_transfer(current, signature, profile, by.actor),
            signature.id if signature is not None else None,
            lambda later: manual_actions.confirmed_before(list(later), by.actor),
        )
        await self._statuses.clear(case_id)
        return event

    async def download(self, case_id: str, who: Caller, form: Literal["text", "pdf"], addendum: int | None) -> Download:
        """Return the current document of a case or one of its addenda, from 1. The access is in the log.

        Raises DecisionRefusedError where there is none, or no PDF of it.
        """
        history = await self._cases.authorized_history(case_id, who)
        case = fold(history)
        found = latest_document(case) if addendum is None else dict(enumerate(addenda(case), 1)).get(addendum)
        if found is None:
            raise DecisionRefusedError("no-document", "The case has no such signed document.")
        signature, decision = correction_rules.signature_of(found), found.signature
        text = await self._cases.signed_text(case_id, signature)
        name = f"{case_id}-addendum-{addendum}" if addendum else case_id
        if form == "text":
            return Download(text.encode(), f"{name}.txt")
        made = await self._renditions.of(decision, signature, text, correction_rules.number_of(case, decision))
        if PDF not in made:
            raise DecisionRefusedError("no-document", "No PDF can be made of this document: download its text.")
        return Download(made[PDF], f"{name}.pdf")

    async def _read(self, case_id: str) -> tuple[list[RecordedEvent], CaseRef, Case]:
        history = await self._cases.history(case_id)
        if not history:
            raise DecisionRefusedError("unknown", "There is no such case.")
        return history, history[-1].case, fold(history)


def _line(item: UnfiledDocument, known: FilingStatus | None) -> UnfiledEntry:
    if known is not None and known.since < item.signed_at:
        known = None  # of an earlier signature
    reason: Reason = "held" if item.held is not None else known.state if known is not None else "on-its-way"
    return UnfiledEntry(
        case_id=item.ref.id,
        department=item.ref.department,
        signed=item.event,
        signed_at=item.signed_at,
        reason=reason,
        since=known.since if known is not None else item.signed_at,
        detail=item.held or (known.reason if known is not None else ""),
    )


def _oldest_first(item: UnfiledDocument) -> tuple[float, str]:
    return item.signed_at.timestamp(), item.ref.id
