"""The threshold that golden queries choose: precise enough, then the best F1, or the default and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluator.calibration import MIN_QUERIES, Example, choose
from shared.contracts.knowledge import DEFAULT_THRESHOLD
from shared.knowledge.knowledge_file import RelevanceRule

RULE = RelevanceRule(precision=0.9)


def examples(relevant: list[float], others: list[float]) -> list[Example]:
    return [Example(value, True) for value in relevant] + [Example(value, False) for value in others]


def test_where_nothing_overlaps_the_threshold_stands_half_way() -> None:
    found = choose(examples([0.6 + n / 100 for n in range(20)], [0.2 + n / 100 for n in range(21)]), 40, RULE)
    assert (found.threshold, found.origin, found.queries) == (0.5, "golden", 40)
    assert (found.precision, found.recall) == (1.0, 1.0)


def test_precision_is_kept_before_anything_is_gained() -> None:
    """Half of what lies between 0.4 and 0.5 is relevant: taking it would lift recall and F1, and cite wrong ones."""
    between = [0.4 + n / 200 for n in range(20)]
    mixed = examples([0.7] * 12 + between[::2], [0.1] * 30 + between[1::2])
    found = choose(mixed, 50, RULE)
    passed = [item.relevant for item in mixed if item.similarity >= found.threshold]
    assert sum(passed) / len(passed) >= 0.9
    assert 0.47 < found.threshold < 0.7
    loose = choose(mixed, 50, RelevanceRule(precision=0.5))
    assert loose.threshold < found.threshold
    assert (loose.recall or 0) > (found.recall or 0)


@pytest.mark.parametrize(
    ("relevant", "others", "why"),
    [
        (
            [0.9] * (MIN_QUERIES - 1),
            [0.1] * 50,
            f"find {MIN_QUERIES - 1} passages that are relevant and 50 that are not",
        ),
        ([0.9] * 50, [0.1] * (MIN_QUERIES - 1), f"50 passages that are relevant and {MIN_QUERIES - 1} that are not"),
        ([], [], "0 passages that are relevant"),
        ([0.3] * 30, [0.5] * 30, "no threshold reaches precision 0.90"),
        ([0.5] * 30, [0.5] * 30, "no threshold reaches precision 0.90"),
    ],
)
def test_where_none_can_be_chosen_the_default_says_why(relevant: list[float], others: list[float], why: str) -> None:
    found = choose(examples(relevant, others), 9, RULE)
    assert (found.threshold, found.origin, found.precision) == (DEFAULT_THRESHOLD, "default", None)
    assert why in found.reason


def test_the_file_may_declare_one() -> None:
    found = choose(examples([0.9] * 50, [0.1] * 50), 9, RelevanceRule(threshold=0.42))
    assert (found.threshold, found.origin) == (0.42, "declared")


SIMILARITIES = st.lists(st.floats(-1, 1), min_size=MIN_QUERIES, max_size=40)


@given(SIMILARITIES, SIMILARITIES, st.randoms())
def test_what_is_chosen_keeps_its_word_in_any_order(relevant: list[float], others: list[float], chance: object) -> None:
    every = examples(relevant, others)
    shuffled = list(every)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    found = choose(every, 1, RULE)
    assert found == choose(shuffled, 1, RULE)
    if found.origin == "golden":
        assert (found.precision or 0) >= RULE.precision
