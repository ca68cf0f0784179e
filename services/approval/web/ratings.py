"""The form by which a physician rates the draft that they have signed, on the page of a case."""

from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api, ApiDependencies, Clinician
from services.approval.ratings import rules
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.problems import problem_of
from services.approval.web.render import PageRoute
from shared.contracts.case import Case
from shared.contracts.ratings import Rating
from shared.runtime.authentication import Caller

NOTES = {"not-signed": "Nothing was rated: the draft is not signed, or the document was retracted."}
LABELS: dict[Rating, str] = {"useful": "Useful", "edited-much": "Edited much", "useless": "Useless"}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def rating_form(api: ApiDependencies, who: Caller, case_id: str, case: Case) -> dict[str, Any] | None:
    """Return what the form shows; None where the caller may not rate the draft."""
    if not rules.may_rate(case, who.actor):
        return None
    given = rules.current_rating(case)
    return {
        "draft": case.rateable,
        "labels": LABELS,
        "given": LABELS[given.rating] if given is not None else None,
        "time": case.rating.time if case.rating is not None else None,
        "words": await api.ratings.comment(case_id, given) if given is not None else "",
    }


@router.post("/reviews/{case_id}/rating")
async def rate(
    case_id: str,
    who: Clinician,
    api: Api,
    rating: Annotated[Rating, Form()],
    draft: Annotated[str, Form(max_length=64)],
    words: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    try:
        await api.ratings.rate(case_id, draft, who, rating, words.replace("\r\n", "\n"))
    except DecisionRefusedError as refused:
        if refused.code in ("unknown", "forbidden", "erased"):
            raise problem_of(refused) from None
        return RedirectResponse(f"/reviews/{case_id}?note={refused.code}", 303)
    return RedirectResponse(f"/reviews/{case_id}#rating", 303)
