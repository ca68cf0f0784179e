"""What the pages about drafters compute: differences of prompts, charts, an edited copy."""

from typing import get_args

import pytest

from services.evaluator.draft_metrics import METRICS, MetricResult
from services.evaluator.web.interval_chart import interval_chart
from services.evaluator.web.prompt_diff import MAX_LINES, prompt_diff
from services.evaluator.web.render import METRIC_LABELS, MOVE_LABELS, figure, percent, signed
from services.evaluator.web.workbench import EditedCopy
from shared.contracts.drafters import DRAFTER_EVENT_TYPES, MAX_PROMPT_CHARACTERS, DrafterConfiguration
from shared.contracts.quality_gate import DEFAULT_LIMITS, MetricName
from tests.support.drafters import LIVE


def test_a_difference_stands_with_the_lines_around_it() -> None:
    before = [f"line {number}" for number in range(20)]
    after = [*before[:10], "another", *before[11:]]
    found = prompt_diff("\n".join(before), "\n".join(after))
    assert found is not None
    assert [(item.kind, item.text) for item in found] == [
        ("skipped", "7 lines the same"),
        *(("same", f"line {number}") for number in (7, 8, 9)),
        ("removed", "line 10"),
        ("added", "another"),
        *(("same", f"line {number}") for number in (11, 12, 13)),
        ("skipped", "6 lines the same"),
    ]


def test_the_same_text_has_no_difference_and_a_long_one_is_not_compared() -> None:
    assert prompt_diff("a\nb", "a\nb\n") == []
    assert prompt_diff("a\n" * MAX_LINES, "b") is None


@pytest.mark.parametrize(
    ("name", "worse", "margin"), [("contradicted", "right", 0.01), ("rouge-l", "left", -0.05), ("words", "right", None)]
)
def test_the_margin_stands_on_the_worse_side(name: str, worse: str, margin: float | None) -> None:
    limits = DEFAULT_LIMITS.get(name)
    found = interval_chart(MetricResult(name, 12, 0.2, 0.1, 0.1, 0.05, 0.2, None, limits.margin if limits else None))
    assert found is not None
    assert found.worse == worse
    assert 50 < found.low < found.point < found.high <= 100
    assert (found.margin is None) == (margin is None)
    if margin is not None and found.margin is not None:
        assert (found.margin > 50) == (margin > 0)


def test_a_metric_of_one_side_alone_has_no_chart() -> None:
    assert interval_chart(MetricResult("cost", 0, 0.2, None)) is None
    nothing = interval_chart(MetricResult("words", 3, 24.0, 24.0, 0.0, 0.0, 0.0))
    assert nothing is not None
    assert (nothing.low, nothing.point, nothing.high) == (50, 50, 50)


def test_every_metric_and_every_move_has_words() -> None:
    assert set(METRIC_LABELS) == {item.name for item in METRICS} == set(get_args(MetricName))
    assert set(MOVE_LABELS) == {kind.model_fields["event"].default for kind in DRAFTER_EVENT_TYPES}


def test_figures_are_rounded_and_what_was_not_measured_is_a_dash() -> None:
    assert (figure(0.12345), figure(123.456), figure(None)) == ("0.123", "123.5", "–")
    assert (signed(0.5), signed(-0.5), signed(None)) == ("+0.500", "−0.500", "–")
    assert (percent(0.1), percent(0.125)) == ("10 %", "12.5 %")


def edited(**change: object) -> EditedCopy:
    return EditedCopy(**(vars_of(EditedCopy.of(LIVE)) | change))  # type: ignore[arg-type]


def vars_of(copy: EditedCopy) -> dict[str, object]:
    return {name: getattr(copy, name) for name in EditedCopy.__slots__}


def test_an_unchanged_copy_changes_nothing() -> None:
    assert edited().changes(LIVE) == {}
    assert edited(text=LIVE.prompt.text.removesuffix("\n")).changes(LIVE) == {}  # browsers keep no last line break


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"text": "Be brief: {facts}\n"}, "prompt"),
        ({"max_tokens": 99}, "prompt"),
        ({"stop": "END\nSTOP\n"}, "prompt"),
        ({"temperature": 0.7}, "sampling"),
        ({"model": "other"}, "model"),
        ({"policy": "marked"}, "policy"),
    ],
)
def test_only_what_differs_is_changed(change: dict[str, object], field: str) -> None:
    found = edited(**change).changes(LIVE)
    assert list(found) == [field]
    after = DrafterConfiguration.model_validate(LIVE.model_dump() | found)
    assert after.prompt.version == LIVE.prompt.version + (field == "prompt")
    assert after.digest != LIVE.digest


@pytest.mark.parametrize("text", ["No facts.\n", "{facts}" * MAX_PROMPT_CHARACTERS])
def test_a_prompt_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"facts|50000"):
        edited(text=text).changes(LIVE)
