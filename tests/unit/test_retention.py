"""What retention ends, and when; what a hold keeps; which texts a case has."""

from datetime import datetime, timedelta

import pytest

from services.approval.erasure import rules
from services.approval.erasure.rules import Retention
from services.approval.settings import RetentionSettings
from shared.contracts.case import fold
from shared.contracts.envelope import CHAIN_START, ChainHead, RecordedEvent
from shared.contracts.events import CaseEvent, Rejected
from shared.contracts.retention import TEXT_KINDS, Erased, ErasureOrdered
from tests.support.examples import CASE, DIGEST, OPERATOR, PHYSICIAN, STAY, T0, draft_ref, event

FILED = ("discharged", "context-extracted", "drafted", "review-requested", "approved", "filed")
WITHDRAWN = ("discharged", "context-extracted", "drafted", "review-requested", "withdrawn")
DAY = timedelta(days=1)
KEEP = Retention({"record": 90 * DAY, "draft": 90 * DAY, "signed": 3653 * DAY}, unfiled=30 * DAY)
EVERYTHING = Retention({kind: 90 * DAY for kind in TEXT_KINDS} | {"signed": 3653 * DAY})


def history(*events: str | CaseEvent) -> list[RecordedEvent]:
    found: list[RecordedEvent] = []
    for number, item in enumerate(events, 1):
        body = event(item) if isinstance(item, str) else item
        before = found[-1].head if found else CHAIN_START
        found.append(
            RecordedEvent(
                CASE, f"id-{number}", "countersign/x", T0, before.digest, body, ChainHead(number, f"{number}")
            )
        )
    return found


def due(keep: Retention, days: float, *events: str | CaseEvent) -> tuple[str, ...] | None:
    found = rules.due(history(*events), keep, T0 + days * DAY)
    return found.kinds if found is not None else None


def ordered(*kinds: str) -> tuple[CaseEvent, CaseEvent]:
    order = ErasureOrdered(state="filed", ground="retention", kinds=kinds, by=rules.RETENTION)  # type: ignore[arg-type]
    return order, Erased(state="filed", kinds=order.kinds, texts=1)


def test_each_kind_has_its_time_and_what_is_not_set_is_kept() -> None:
    assert due(KEEP, 89.9, *FILED) is None
    assert due(KEEP, 90, *FILED) == ("record", "draft")
    assert due(KEEP, 91, *FILED, *ordered("record", "draft")) is None, "once is once"
    assert due(KEEP, 3653, *FILED, *ordered("record", "draft")) == ("signed",)
    assert due(Retention({}), 99_999, *FILED) is None


def test_the_key_goes_with_the_last_kind() -> None:
    first = due(EVERYTHING, 90, *FILED)
    assert first == ("record", "draft", "words", "renditions")
    assert due(EVERYTHING, 3653, *FILED, *ordered(*first)) == TEXT_KINDS


def test_a_case_without_a_document_goes_as_a_whole() -> None:
    assert due(KEEP, 29, *WITHDRAWN) is None
    assert due(KEEP, 30, *WITHDRAWN) == TEXT_KINDS
    assert due(KEEP, 30, *WITHDRAWN, *ordered(*TEXT_KINDS)) is None


@pytest.mark.parametrize(
    "events",
    [
        FILED[:4],
        FILED[:5],
        (*FILED, "hold-placed"),
        (*FILED, "amended"),
        ("discharged",),
    ],
)
def test_what_is_held_or_still_worked_on_is_passed_over(events: tuple[str, ...]) -> None:
    assert due(EVERYTHING, 99_999, *events) is None


def test_a_hold_that_is_released_holds_no_more() -> None:
    assert due(KEEP, 90, *FILED, "hold-placed", "hold-released") == ("record", "draft")


def test_the_texts_of_a_case_by_kind() -> None:
    refused = Rejected(
        stay=STAY, draft=draft_ref(), action="redraft", reason="b" * 64, by=PHYSICIAN, encounter_status="finished"
    )
    second = event("drafted").model_copy(update={"draft": draft_ref(2, "9" * 64)})
    request = event("review-requested").model_copy(update={"draft": draft_ref(2, "9" * 64)})
    approved = event("approved").model_copy(update={"draft": draft_ref(2, "9" * 64)})
    filed = event("filed").model_copy(update={"renditions": {"text/plain": "e" * 64, "application/pdf": "f" * 64}})
    found = rules.texts_of(
        history(*FILED[:4], refused, "redraft-requested", second, request, approved, filed)  # type: ignore[arg-type]
    )
    assert found == {
        "record": {"c" * 64},
        "draft": {DIGEST},
        "words": {"b" * 64},
        "signed": {"9" * 64, "e" * 64},
        "renditions": {"f" * 64},
    }


def test_an_order_closes_a_case_that_had_failed_and_nothing_brings_it_back() -> None:
    failed = history("discharged", "context-extracted", "failed")
    order = rules.order(fold(failed), "court-order", OPERATOR, None)
    case = fold(history("discharged", "context-extracted", "failed", order, "retried", "erased"))
    assert (case.state, case.awaits, order.state) == ("closed", None, "closed")


def test_settings_are_periods_and_none_is_shorter_than_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not RetentionSettings().rules.any
    monkeypatch.setenv("COUNTERSIGN_RETAIN_RECORD", "P90D")
    monkeypatch.setenv("COUNTERSIGN_RETAIN_UNFILED", "P30D")
    assert RetentionSettings().rules == Retention({"record": 90 * DAY}, 30 * DAY)
    monkeypatch.setenv("COUNTERSIGN_RETAIN_SIGNED", "PT5M")
    with pytest.raises(ValueError, match="retain_signed"):
        RetentionSettings()


def test_time_counts_from_the_last_thing_that_happened_in_the_case() -> None:
    events = history(*FILED, "hold-placed", "hold-released")
    late: datetime = T0 + 80 * DAY
    moved = [
        item
        if item.name not in ("hold-placed", "hold-released")
        else RecordedEvent(item.case, item.id, item.source, late, item.prevdigest, item.body, item.head)
        for item in events
    ]
    assert rules.due(moved, KEEP, T0 + 90 * DAY) is not None
