"""Rules of ratings: who may rate which draft, and which rating is a repetition. Pure."""

from services.approval.review.errors import DecisionRefusedError
from shared.contracts.case import Case
from shared.contracts.events import Actor, Approved, Channel
from shared.contracts.ratings import Rated, Rating


def may_rate(case: Case, by: Actor) -> bool:
    """Return whether `by` may rate the draft: they signed it, and its texts are there."""
    return case.rateable is not None and _has_signed(case, by)


def rate(
    case: Case, seen: str | None, by: Actor, rating: Rating, words: str | None, *, channel: Channel | None = None
) -> Rated:
    """Rate the signed draft with digest `seen`; None: the one that was signed. `words` is a digest.

    Raises DecisionRefusedError where no draft is signed, `seen` is another one, or somebody else has signed it.
    """
    decided = case.decision.body if case.decision is not None else None
    if not case.exists:
        raise DecisionRefusedError("unknown", "There is no such case.")
    if case.erased_kinds:
        raise DecisionRefusedError("erased", "Texts of this case were erased: its draft is rated no more.")
    if case.rateable is None or not isinstance(decided, Approved):
        raise DecisionRefusedError("not-signed", f"The case is {case.state}: a draft is rated once it is signed.")
    if not _has_signed(case, by):
        raise DecisionRefusedError("forbidden", "A draft is rated by who has signed it.")
    if seen is not None and seen != case.rateable:
        raise DecisionRefusedError("stale", "That is not the draft that was signed.")
    return Rated(draft=decided.draft, rating=rating, words=words, by=by, channel=channel)


def rated_before(case: Case, by: Actor, rating: Rating, words: str | None) -> Rated | None:
    """Return the present rating where it is the same one: repeating it has no effect."""
    body = current_rating(case)
    if body is None or not _has_signed(case, by):
        return None
    return body if (body.rating, body.words) == (rating, words) else None


def current_rating(case: Case) -> Rated | None:
    """Return the last rating of the signed draft."""
    body = case.rating.body if case.rating is not None else None
    return body if isinstance(body, Rated) else None


def _has_signed(case: Case, by: Actor) -> bool:
    """Return whether `by` signed the draft, here or in the EHR, where the FHIR identity alone is known."""
    if case.decision is None or not isinstance(case.decision.body, Approved):
        return False
    signed = case.decision.body.by
    return by.subject == signed.subject or (by.practitioner is not None and by.practitioner == signed.practitioner)
