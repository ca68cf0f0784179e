"""The page of a trial: a candidate's draft beside the live one and what was signed, for the ML engineer.

It stands in this service, not in the evaluator, which has no access to texts.
"""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from services.approval.dependencies import Api, Engineer
from services.approval.web.render import PageRoute, page
from shared.contracts.draft import HEADINGS
from shared.contracts.errors import ErasedError
from shared.runtime.problems import ProblemError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
HERE = "/drafters"


@router.get("/trials/{case_id}/{evaluation}")
async def show(
    case_id: str, evaluation: Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")], who: Engineer, api: Api
) -> Response:
    try:
        found = await api.trials.view(case_id, evaluation, who)
    except ErasedError:
        raise ProblemError(
            410, "Its texts were erased", "The texts of the case were erased, with those of the trial."
        ) from None
    drafts = (("Candidate", found.kept.candidate, found.candidate), ("Live", found.kept.live, found.live))
    return page(
        "trial.html", who=who, here=HERE, kept=found.kept, drafts=drafts, signed=found.signed, headings=HEADINGS
    )
