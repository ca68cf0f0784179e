"""What a signature says in figures: how it came about, and whether its signer can have read what was signed."""

from typing import Any

import pytest

from shared.contracts.events import Approved, Edits, ReadingFigures
from shared.messaging import event_metrics
from shared.telemetry.metric_definitions import OUTCOME
from tests.support.examples import CASE, T0, event


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    monkeypatch.setattr(event_metrics, "metrics_enabled", lambda: True)
    for name in ("increment", "observe"):
        monkeypatch.setattr(
            event_metrics, name, lambda metric, value, given: found.append((metric, value, given.get(OUTCOME)))
        )
    return found


def signed(**changes: Any) -> Approved:
    approved = event("approved")
    assert isinstance(approved, Approved)
    return approved.model_copy(update=changes)


@pytest.mark.parametrize(
    ("reading", "outcome"),
    [
        (None, "unknown"),
        (ReadingFigures(seconds=0, parts_viewed=6, parts=6), "no-look"),
        (ReadingFigures(seconds=9, parts_viewed=6, parts=6), "no-look"),
        (ReadingFigures(seconds=90, parts_viewed=0, parts=6), "no-look"),
        (ReadingFigures(seconds=10, parts_viewed=1, parts=6), "some-parts"),
        (ReadingFigures(seconds=10, parts_viewed=6, parts=6), "every-part"),
    ],
)
def test_a_signature_without_a_look_is_counted(
    counted: list[tuple[str, Any, Any]], reading: ReadingFigures | None, outcome: str
) -> None:
    event_metrics.measure(CASE, signed(reading=reading), T0)
    assert ("countersign.draft.reading", 1, outcome) in counted


@pytest.mark.parametrize(
    ("narrative", "edited", "outcome"),
    [
        ("model", True, "signed-edited"),
        ("rules", False, "signed-as-it-is"),
        (None, False, "signed-as-it-is"),
        ("physician", True, "signed-by-hand"),
    ],
)
def test_a_narrative_by_hand_is_no_edit_of_a_draft(
    counted: list[tuple[str, Any, Any]], narrative: str | None, edited: bool, outcome: str
) -> None:
    event_metrics.measure(CASE, signed(narrative=narrative, edited=edited, edits=Edits(distance=40)), T0)
    assert ("countersign.drafts", 1, outcome) in counted
    assert (("countersign.draft.edit_distance", 40, None) in counted) is (narrative != "physician")
