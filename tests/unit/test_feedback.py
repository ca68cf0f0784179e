"""Figures of ratings and edits: each event once, the last rating of a draft alone, and nothing left out in silence."""

from datetime import timedelta

import pytest

from services.evaluator.feedback import DrafterFeedback, EditCluster, RatingComparison, RatingCounts, is_compared
from services.evaluator.feedback_api import DrafterEdits
from shared.contracts.draft import DrafterStamp
from shared.contracts.drafter_states import DrafterEntry
from shared.contracts.events import Approved, EditCount, Edits
from shared.contracts.ratings import RATINGS
from tests.support.examples import T0, event

TREATMENT = "procedures-and-treatment"
CANARY = DrafterEntry("c" * 64, "canary", T0, "ml", "try it", 0.1, 7)


def signed(*kinds: str, **changes: object) -> Approved:
    approved = event("approved")
    assert isinstance(approved, Approved)
    counts = tuple(EditCount(part=TREATMENT, kind=kind, count=2) for kind in kinds)
    return approved.model_copy(update={"edits": Edits(distance=9, counts=counts), **changes})


def after(*drafts: Approved) -> DrafterFeedback:
    found = DrafterFeedback(configuration="c" * 64)
    for number, item in enumerate(drafts, 1):
        found = found.with_signature(f"case-{number}", item, number)
    return found


def test_edits_are_clustered_by_part_and_kind_those_of_most_drafts_first() -> None:
    found = after(signed("sentence-added"), signed("sentence-removed"), signed("sentence-removed", "fact-added"))
    assert [(item.kind, item.count, item.drafts) for item in found.edits] == [
        ("sentence-removed", 4, 2),
        ("fact-added", 2, 1),
        ("sentence-added", 2, 1),
    ]
    assert found.edits[0].examples == ("case-3", "case-2")
    shown = DrafterEdits.of(found)
    assert (shown.compared, shown.items[0].share) == (3, 2 / 3)


def test_what_cannot_be_compared_is_named() -> None:
    older = signed(edits=Edits(distance=9))
    found = after(
        signed(edited=False, edits=None),
        signed(narrative="physician"),
        older,
        signed(edits=None),
        signed("fact-added"),
        signed(edits=Edits(distance=1, counts=())),
    )
    assert (found.signed, found.unchanged, found.rewritten, found.uncounted, found.compared) == (6, 1, 1, 2, 3)
    assert [item.drafts for item in found.edits] == [1]
    assert DrafterEdits.of(DrafterFeedback(configuration="c" * 64)).compared == 0


def test_a_signature_or_rating_that_comes_again_counts_once() -> None:
    found = after(signed("fact-added"))
    assert found.with_signature("case-1", signed("fact-added"), 1) is found
    rated = found.with_rating("useful", None, 2)
    assert rated.with_rating("useful", None, 2) is rated
    assert rated.with_signature("case-1", signed("fact-added"), 1) is rated
    compared = RatingComparison(canary="c" * 64, began=7)
    stamp = DrafterStamp(configuration="c" * 64, role="canary")
    once = compared.with_rating(stamp, "useless", None, 9)
    assert once.with_rating(stamp, "useless", None, 9) is once


def test_a_case_that_is_signed_twice_is_one_example() -> None:
    cluster = EditCluster(part=TREATMENT, kind="fact-added", count=0, drafts=0)
    for case in ("a", "b", "a", "c", "d", "e", "f"):
        cluster = cluster.plus(1, case)
    assert (cluster.drafts, cluster.examples) == (7, ("f", "e", "d", "c", "a"))


def test_a_rating_takes_the_place_of_the_one_before() -> None:
    counts = RatingCounts().replaced("useful", None).replaced("useless", "useful")
    assert counts == RatingCounts(useless=1)
    for rating in RATINGS:
        assert sum(RatingCounts().replaced(rating, None).model_dump().values()) == 1
    assert RatingCounts().replaced("useful", "useless") == RatingCounts(useful=1), "never below none"


@pytest.mark.parametrize(
    ("configuration", "role", "hours", "compared"),
    [
        ("c", "canary", 1, True),
        ("c", "canary", 0, True),
        ("c", "canary", -1, False),
        ("a", "live", 1, True),
        ("a", "live", -1, False),
        ("b", "canary", 1, False),
    ],
)
def test_drafts_of_the_same_time_are_compared(configuration: str, role: str, hours: int, compared: bool) -> None:
    stamp = DrafterStamp(configuration=configuration * 64, role=role)  # type: ignore[arg-type]
    assert is_compared(CANARY, stamp, T0 + timedelta(hours=hours)) is compared


def test_ratings_are_counted_on_the_side_of_their_draft() -> None:
    found = RatingComparison(canary="c" * 64, began=7)
    found = found.with_rating(DrafterStamp(configuration="c" * 64, role="canary"), "useless", None, 1)
    found = found.with_rating(DrafterStamp(configuration="a" * 64, role="live"), "useful", None, 2)
    assert (found.of_canary, found.of_live) == (RatingCounts(useless=1), RatingCounts(useful=1))
