"""The projection of signed documents that are not in the chart, and its gauge."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.approval.projections.unfiled import UnfiledProjection
from shared.contracts.subjects import CaseRef
from shared.messaging.event_store import RawMessage
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import DEPARTMENT, STATE
from tests.support.examples import T0

CASE = CaseRef("cardiology", "4d1c2c4e-5d0f-5a43-9a3e-3f1f5a0c7f11")


def event(name: str, sequence: int, at: datetime = T0) -> RawMessage:
    return RawMessage(f"discharge.{CASE.department}.{CASE.id}.{name}", {"ce-time": at.isoformat()}, b"{}", sequence)


async def test_the_gauge_is_the_age_of_the_oldest_signature_until_it_is_filed(monkeypatch: pytest.MonkeyPatch) -> None:
    gauge: list[Any] = []
    monkeypatch.setattr(instruments, "replace_gauge", lambda name, values: gauge.append((name, values)))
    projection = UnfiledProjection(lambda: T0 + timedelta(hours=2))
    projection.apply(event("approved", 1))
    await projection.collect_gauges()
    assert gauge == [("countersign.filing.oldest", [({DEPARTMENT: "cardiology", STATE: "waiting"}, 7200.0)])]

    projection.apply(event("filed", 2))
    await projection.collect_gauges()
    assert gauge[1:] == [("countersign.filing.oldest", [])]


def test_whoever_looks_at_a_case_is_told_that_its_document_is_filed() -> None:
    """The page of a signed case may have been opened after the signature was applied and before the filing."""
    changed: list[str] = []
    projection = UnfiledProjection(lambda: T0, changed.append)
    for sequence, name in enumerate(("approved", "filed"), 1):
        projection.apply(event(name, sequence))
    assert changed == [CASE.id, CASE.id]
