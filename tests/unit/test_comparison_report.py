"""What is shown of a canary beside the live configuration, and that it does not decide."""

import json
from collections.abc import Sequence

import pytest

from services.evaluator.canary import Comparison
from services.evaluator.comparison_report import SignalComparison, part_comparisons, signal_comparisons
from services.evaluator.decision_signals import SIGNALS, decision_of, measure
from shared.contracts.case_values import EditCount, Edits
from shared.contracts.draft import AnswerFigures, DrafterRole
from shared.contracts.events import Approved, CaseEvent, ReadingFigures
from tests.unit.test_decision_signals import DAY, approved, drafted, recorded, rejected

DIGEST = "a" * 64
THRESHOLD = 20.0
GOOD, INVENTED = AnswerFigures(supported=8), AnswerFigures(supported=6, contradicted=2)
READ, UNREAD = ReadingFigures(seconds=60, parts_viewed=3, parts=4), ReadingFigures(seconds=2, parts_viewed=0, parts=4)
MEDICATIONS, COURSE = "medications", "hospital-course"


def edited(*parts: str) -> Approved:
    counts = tuple(EditCount(part=part, kind=kind, count=1) for part in parts for kind in ("fact-added", "fact-moved"))
    return approved(Edits(distance=100, changed=(1,), counts=counts))


def signed(reading: ReadingFigures) -> Approved:
    return approved().model_copy(update={"reading": reading})


def compared(*decisions: tuple[DrafterRole, AnswerFigures | None, CaseEvent]) -> Comparison:
    found = Comparison(canary=DIGEST, began=1)
    for sequence, (role, answer, decided) in enumerate(decisions, 1):
        found = add(found, role, answer, decided, sequence)
    return found


def add(
    found: Comparison, role: DrafterRole, answer: AnswerFigures | None, decided: CaseEvent, sequence: int
) -> Comparison:
    decision = decision_of(drafted(answer), recorded(decided, DAY))
    assert decision is not None
    return found.add(role, decision.outcome, sequence, measure(decision), decision.edits)


def sides(found: Comparison) -> dict[str, tuple[float | None, int, float | None, int]]:
    def cells(item: SignalComparison) -> tuple[float | None, int, float | None, int]:
        return item.canary, item.canary_decisions, item.live, item.live_decisions

    return {item.name: cells(item) for item in signal_comparisons(found)}


MIXED: Sequence[tuple[DrafterRole, AnswerFigures | None, CaseEvent]] = (
    ("canary", INVENTED, rejected("redraft")),
    ("canary", GOOD, rejected("close")),
    ("canary", None, signed(UNREAD)),
    ("canary", GOOD, signed(READ)),
    ("live", GOOD, signed(READ)),
    ("live", GOOD, edited(MEDICATIONS)),
)


def test_each_signal_is_shown_for_both_sides_with_its_own_number_of_decisions() -> None:
    found = sides(compared(*MIXED))
    assert found["rejected"] == (0.5, 4, 0, 2)
    assert found["redraft"] == (0.25, 4, 0, 2)
    assert found["contradicted"] == (pytest.approx(0.25 / 3), 3, 0, 2)
    assert found["unread"] == (0.5, 2, 0, 1)
    assert found["read"] == (pytest.approx((0.5 + 2 / 62) / 2), 2, 0.5, 1)
    assert found["replaced"] == (0, 2, 0.125, 2)
    assert found["waited"] == (0.5, 4, 0.5, 2)
    assert [*found] == [item.name for item in SIGNALS if item.name in found]


def test_a_side_without_a_decision_has_no_mean_and_a_signal_of_neither_is_left_out() -> None:
    found = sides(compared(("canary", None, rejected("redraft"))))
    assert found == {"rejected": (1, 1, None, 0), "redraft": (1, 1, None, 0), "waited": (0.5, 1, None, 0)}
    assert sides(Comparison(canary=DIGEST, began=1)) == {}


def test_edits_are_shown_by_part_for_the_drafts_in_which_they_were_counted() -> None:
    rewritten = edited(COURSE).model_copy(update={"narrative": "physician"})
    found = compared(
        ("canary", None, edited(MEDICATIONS, COURSE)),
        ("canary", None, edited(MEDICATIONS)),
        ("canary", None, approved()),
        ("canary", None, approved()),
        ("canary", None, rewritten),
        ("canary", None, rejected("redraft")),
        ("live", None, edited(COURSE)),
    )
    assert (found.of_canary.compared, found.of_live.compared) == (4, 1)
    shown = {
        item.part: (item.canary, item.canary_edits, item.live, item.live_edits) for item in part_comparisons(found)
    }
    assert list(shown.items()) == [(MEDICATIONS, (0.5, 1.0, 0, 0)), (COURSE, (0.25, 0.5, 1, 2))]
    alone = part_comparisons(compared(("canary", None, edited(COURSE))))
    assert [(item.live, item.live_edits) for item in alone] == [(None, None)]


def test_what_is_shown_is_no_part_of_the_test() -> None:
    """The model's sentences that physicians never see, and how they read, roll no canary back."""
    pairs: list[tuple[DrafterRole, AnswerFigures | None, CaseEvent]] = [
        ("canary", INVENTED, signed(UNREAD)),
        ("live", GOOD, signed(READ)),
    ]
    found = compared(*pairs * 50)
    assert (found.worse, found.better, found.same, found.evidence) == (0, 0, 50, 1.0)
    assert not found.is_worse(THRESHOLD)


def test_a_redraft_decides_as_the_rejection_that_it_is() -> None:
    redrafts: list[tuple[DrafterRole, AnswerFigures | None, CaseEvent]] = [
        ("canary", None, rejected("redraft")),
        ("live", None, approved()),
    ]
    assert compared(*redrafts * 7).is_worse(THRESHOLD)
    same: list[tuple[DrafterRole, AnswerFigures | None, CaseEvent]] = [
        ("canary", None, rejected("redraft")),
        ("live", None, rejected("close")),
    ]
    assert compared(*same * 50).evidence == 1.0


def test_a_decision_counts_once_and_the_sums_are_stored() -> None:
    found = compared(*MIXED, ("live", None, edited(COURSE)))
    assert add(found, "live", GOOD, edited(COURSE), found.last) is found
    assert Comparison.read(found.model_dump_json().encode()) == found


def test_a_comparison_that_an_earlier_version_stored_goes_on() -> None:
    stored = json.loads(compared(*MIXED).model_dump_json())
    for side in ("of_canary", "of_live"):
        stored[side] = {
            name: stored[side][name] for name in ("decisions", "rejected", "edited", "replaced", "distance")
        }
    before = Comparison.read(json.dumps(stored).encode())
    assert (before.of_canary.decisions, sides(before)) == (4, {})
    after = add(before, "canary", GOOD, rejected("redraft"), before.last + 1)
    assert (after.of_canary.decisions, sides(after)["redraft"]) == (5, (1, 1, None, 0))
