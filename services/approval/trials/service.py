"""Read the drafts of a trial: those of a candidate and of the live configuration, of one stay that was signed.

The texts are patient data. They stay in the artifact store, which the evaluator has no access to.
"""

from dataclasses import dataclass

from services.approval.review.case_reader import CASE_ID, CaseReader
from shared.contracts.draft import Draft
from shared.contracts.evaluations import DraftsKept
from shared.messaging.access_log import AccessLog
from shared.messaging.evaluations import EvaluationLog
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError


@dataclass(frozen=True, slots=True)
class Trial:
    """Both drafts of a trial, and the text that a physician signed."""

    kept: DraftsKept
    candidate: Draft
    live: Draft
    signed: str


class TrialReader:
    def __init__(self, evaluations: EvaluationLog, cases: CaseReader, log: AccessLog) -> None:
        self._evaluations = evaluations
        self._cases = cases
        self._log = log

    async def view(self, case: str, evaluation: str, who: Caller) -> Trial:
        """Return what was kept of a trial. The access is in the log before a text is read.

        Raises ProblemError 404, also for a stay of a department that `who` has no access to; ErasedError.
        """
        found = await self._evaluations.drafts_kept(case) if CASE_ID.fullmatch(case) else []
        kept = next((item for item in reversed(found) if item.evaluation == evaluation), None)
        if kept is None:
            raise ProblemError(404, "There is no such trial")
        if not who.can_access_department(kept.department):
            await self._record("refused", kept, who, "the case is of another department")
            raise ProblemError(404, "There is no such trial")
        await self._record("viewed", kept, who, f"drafts {kept.candidate_draft}, {kept.live_draft}")
        candidate = await self._cases.draft(case, kept.candidate_draft)
        live = await self._cases.draft(case, kept.live_draft)
        return Trial(kept, candidate, live, await self._signed(kept))

    async def _signed(self, kept: DraftsKept) -> str:
        return (await self._cases.texts(kept.case).get(kept.signed)).decode()

    async def _record(self, event: str, kept: DraftsKept, who: Caller, detail: str) -> None:
        await self._log.record(
            "viewed" if event == "viewed" else "refused",
            detail=f"trial {kept.evaluation}: {detail}",
            case_id=kept.case,
            by=who.actor,
        )
