"""Refused decisions as problem details, for the API and the pages."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import Request, Response

from services.approval.review.errors import DecisionRefusedError, RefusalCode, StepUpRequiredError
from services.approval.review.views import erasure_of
from shared.contracts.envelope import RecordedEvent
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError

TITLES: dict[RefusalCode, tuple[int, str]] = {
    "unknown": (404, "There is no such case"),
    "decided": (409, "Somebody has decided already"),
    "not-open": (409, "This case waits for no decision"),
    "stale": (412, "This is not the draft that is under review"),
    "incomplete": (422, "The text is not the whole document of this stay"),
    "unresolved": (409, "Sentences or open points of the draft are not resolved"),
    "no-such-person": (422, "No person of that name can take over this review"),
    "misleading": (422, "The statement about who wrote the narrative is not true"),
    "forbidden": (403, "This review is not yours to decide"),
    "not-filed": (409, "This case has no document in the chart"),
    "no-draft": (409, "The draft of this document no longer exists"),
    "changed": (412, "This is not the current document"),
    "unchanged": (422, "The text is identical to the current document"),
    "asked": (409, "Somebody has asked for a retraction already"),
    "not-asked": (409, "Nobody has asked for a retraction"),
    "not-unfiled": (409, "No signed document of this case waits for the chart"),
    "not-by-hand": (409, "Nobody has to transfer this document"),
    "no-document": (404, "There is no such document"),
    "not-signed": (409, "No signed draft of this case can be rated"),
    "reminded": (409, "The owner was reminded a short while ago"),
    "no-channel": (409, "This department has no notification channel"),
    "key-used": (422, "This Idempotency-Key was used for another decision"),
    "same-person": (403, "A second person has to confirm"),
    "no-reason": (422, "A reason is needed"),
    "sign-in-too-old": (401, "Sign in again to sign"),
    "not-withdrawable": (409, "This case cannot be withdrawn"),
    "held": (409, "The case is on legal hold"),
    "not-held": (409, "The case is not on legal hold"),
    "erased": (410, "The texts of this case were erased"),
    "not-ended": (409, "This case has not ended"),
}


def problem_of(refused: DecisionRefusedError) -> ProblemError:
    """Return the answer to a refused decision."""
    status, title = TITLES[refused.code]
    if isinstance(refused, StepUpRequiredError):  # RFC 9470
        seconds = int(refused.max_age.total_seconds())
        challenge = f'Bearer error="insufficient_user_authentication", max_age="{seconds}"'
        return ProblemError(status, title, refused.detail, headers={"WWW-Authenticate": challenge})
    if not refused.obstacles:
        return ProblemError(status, title, refused.detail)
    errors = [
        {"field": item.field, "detail": item.detail}
        | ({} if item.index is None else {"index": item.index})
        | ({} if item.digest is None else {"digest": item.digest})
        for item in refused.obstacles
    ]
    return ProblemError(status, title, refused.detail, errors=errors)


def gone(history: Sequence[RecordedEvent]) -> ProblemError:
    """Return the answer where texts of the case are asked for and were erased."""
    found = erasure_of(history)
    words = f"Ordered {found.time:%Y-%m-%d %H:%M} UTC by {found.by}; ground: {found.ground}." if found else ""
    extra = {"erasure": found.model_dump(mode="json")} if found else {}
    return ProblemError(410, "The texts of this case were erased", words, **extra)


# Problems of routes about one case, for OpenAPI.
UNKNOWN_CASE = {404: "there is no such case, or it is not the caller's to know of"}
ERASED = {410: "the texts of this case were erased"}
CONFLICT = {409: "the state of the case does not allow that, or somebody has decided already"}
CHANGED = {412: "the draft or document is another one than that of `If-Match`"}
DECISION = UNKNOWN_CASE | CONFLICT | ERASED | CHANGED
SIGNATURE = DECISION | {
    401: "no token or session, one that is not valid, or the sign-in is too old to sign (RFC 9470)",
    428: "`If-Match` is missing",
    429: "too many requests, or too many texts to check",
}


class DecisionRoute(ApiRoute):
    """Answers a refused decision with its problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_refuse(request: Request) -> Response:
            try:
                return await handle(request)
            except DecisionRefusedError as refused:
                raise problem_of(refused) from None

        return handle_or_refuse
