"""Take ratings of signed drafts. One implementation behind the API and the page."""

from collections.abc import Sequence

from services.approval.ratings import rules
from services.approval.review.decision_writer import cause_of
from services.approval.review.service import ReviewService, channel_of
from shared.contracts.case import Case, fold
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.ratings import Rated, Rating
from shared.runtime.authentication import Caller


class RatingService:
    def __init__(self, review: ReviewService) -> None:
        self._cases = review.cases
        self._decisions = review.decisions

    async def rate(
        self, case_id: str, seen: str | None, by: Caller, rating: Rating, words: str = "", key: str | None = None
    ) -> Rated:
        """Rate the draft that `by` has signed; `seen` is its digest, None for whichever that is.

        The same rating again changes nothing; a different one replaces it. `key` is an `Idempotency-Key`.
        Raises DecisionRefusedError.
        """
        words = words.strip()
        digest = sha256_hex(words.encode()) if words else None
        ref, case = await self._cases.case(case_id)

        def same(body: Rated) -> bool:
            return (body.rating, body.words) == (rating, digest)

        def repeated(history: Sequence[RecordedEvent]) -> Rated | None:
            return rules.rated_before(fold(history), by.actor, rating, digest)

        def decide(current: Case) -> Rated:
            return rules.rate(current, seen, by.actor, rating, digest, channel=channel_of(by))

        if (done := await self._decisions.find_repeated(ref, by, key, Rated, same)) is not None:
            return done
        by = await self._cases.authorize(ref, case, by, "see")
        decide(case)  # refused before anything is stored
        if (done := rules.rated_before(case, by.actor, rating, digest)) is not None:
            return done
        if words:
            await self._cases.texts(ref.id, case.head.sequence).put(words.encode())
        return await self._decisions.decide(ref, case, by, "see", decide, cause_of(ref, by, key), repeated)

    async def comment(self, case_id: str, rated: Rated) -> str:
        """Return the comment of a rating; empty without one. Raises ErasedError."""
        return (await self._cases.texts(case_id).get(rated.words)).decode() if rated.words is not None else ""
