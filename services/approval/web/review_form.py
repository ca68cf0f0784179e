"""The review form as it is submitted, and its autosaved copies: one for each person and way of writing."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Form

from services.approval.dependencies import Api, ApiDependencies, Clinician
from services.approval.review import manual_narrative
from services.approval.review.api import LONGEST_TEXT
from services.approval.review.authorization import denial
from services.approval.review.autosave import (
    PREPARED_RETENTION_SECONDS,
    RETENTION_SECONDS,
    AutosavedDraft,
    DraftAutosave,
)
from shared.contracts.case import fold
from shared.contracts.draft import Draft
from shared.contracts.events import Drafted
from shared.contracts.preparation import Prepared
from shared.contracts.subjects import CaseRef
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

Mode = Literal["review", "write"]  # the draft as it is, or its facts and a narrative of one's own
Numbers = Annotated[list[int], Form(max_length=1000)]
Digests = Annotated[list[str], Form(max_length=1000)]
Seconds = Annotated[int, Form(ge=0)]


@dataclass(frozen=True, slots=True)
class SubmittedForm:
    """The form of a case that the caller may see, about a draft of it."""

    ref: CaseRef
    draft: Draft
    digest: str
    mode: Mode
    copy: AutosavedDraft
    prepared: bool = False  # the draft was prepared before the discharge

    @property
    def path(self) -> str:
        return path_of(self.ref.id, self.mode)


def path_of(case_id: str, mode: Mode) -> str:
    return f"/reviews/{case_id}/write" if mode == "write" else f"/reviews/{case_id}"


def beginning(draft: Draft, mode: Mode) -> str:
    """Return the initial text of the form."""
    return manual_narrative.to_write(draft) if mode == "write" else draft.text


class ReviewFormAutosave:
    """Autosaved copies of both ways of writing. A manual narrative is kept when the same record is drafted again."""

    def __init__(self, working: DraftAutosave) -> None:
        self._working = working

    async def find(
        self,
        ref: CaseRef,
        draft: Draft,
        digest: str,
        mode: Mode,
        subject: str,
        carried: AutosavedDraft | None = None,
    ) -> AutosavedDraft:
        """Return the copy of `subject`; without one, `carried` from a prepared draft, or the initial text."""
        found = await self._working.find(ref.id, _key(draft, digest, mode), subject)
        if found is None and carried is not None and mode == "review":
            return carried
        if found is None:
            return AutosavedDraft(text=beginning(draft, mode), draft=digest)
        if mode == "write" and found.draft != digest:  # numbers of sentences and points are another draft's
            return AutosavedDraft(text=found.text, written=found.written, draft=digest)
        return found

    async def save(self, sent: SubmittedForm, subject: str) -> None:
        ttl = PREPARED_RETENTION_SECONDS if sent.prepared else RETENTION_SECONDS
        await self._working.save(sent.ref.id, _key(sent.draft, sent.digest, sent.mode), subject, sent.copy, ttl)

    async def drop(self, sent: SubmittedForm, subject: str) -> None:
        """Delete the autosaved edits after the decision."""
        for mode in ("review", "write"):
            await self._working.drop(sent.ref.id, _key(sent.draft, sent.digest, mode), subject)


def _key(draft: Draft, digest: str, mode: Mode) -> str:
    return f"{draft.context_digest}/write" if mode == "write" else digest


async def submitted_form(
    case_id: str,
    who: Clinician,
    api: Api,
    digest: Annotated[str, Form()],
    mode: Annotated[Mode, Form()] = "review",
    text: Annotated[str, Form(max_length=LONGEST_TEXT)] = "",
    confirmed: Numbers = [],  # noqa: B006 - FastAPI copies defaults
    acknowledged: Numbers = [],  # noqa: B006
    written: Digests = [],  # noqa: B006
    seconds: Seconds = 0,
    seen: Numbers = [],  # noqa: B006
) -> SubmittedForm:
    """Read the form. Raises ProblemError where the caller may not see the case, or for another draft."""
    ref, draft, prepared = await _draft_of_form(api, case_id, who, digest)
    copy = AutosavedDraft(
        text=typed(text, beginning(draft, mode)),
        draft=digest,
        confirmed=tuple(confirmed),
        acknowledged=tuple(acknowledged),
        written=frozenset(written),
        seconds=seconds,
        seen=frozenset(seen),
    )
    return SubmittedForm(ref, draft, digest, mode, copy, prepared)


ReviewForm = Annotated[SubmittedForm, Depends(submitted_form)]


def typed(text: str, begun: str) -> str:
    """Normalize submitted text: browsers send CRLF and may drop the last line break."""
    plain = text.replace("\r\n", "\n").rstrip() + "\n"
    return begun if plain == begun.rstrip() + "\n" else plain


async def _draft_of_form(api: ApiDependencies, case_id: str, who: Caller, digest: str) -> tuple[CaseRef, Draft, bool]:
    """Return the draft of the form. Raises ProblemError where the caller may not see it, or the case never had it."""
    history = await api.cases.history(case_id)
    case = fold(history)
    if not history or denial(who, case, history[-1].case.department, "see"):
        raise ProblemError(404, "There is no such case")
    drafts = {event.body.draft.digest: event.body for event in history if isinstance(event.body, Drafted | Prepared)}
    if digest not in drafts:
        raise ProblemError(412, "This is not a draft of this case")
    return history[-1].case, await api.cases.draft(case_id, digest), isinstance(drafts[digest], Prepared)
