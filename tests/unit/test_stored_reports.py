"""Reports about an encounter are read from the stream, whoever published them."""

from typing import Any

from services.ingest.domain import DISCHARGED
from services.ingest.stored_reports import ADT_SOURCE, StoredReports
from shared.contracts.subjects import encounter_subject
from tests.support.memory import MemoryBus


async def told(bus: Any, department: str, body: bytes, **headers: str) -> None:
    subject = encounter_subject(DISCHARGED, department, "e1")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    await bus.publish(subject, body, stream="EHR", headers=sent)


async def test_a_report_that_breaks_its_contract_hides_no_other() -> None:
    bus: Any = MemoryBus()
    reports = StoredReports(bus)
    assert await reports.last(DISCHARGED, "e1") is None
    await told(bus, "ward", b'{"encounter_id": "e1"}', ce_id="one", ce_source=ADT_SOURCE)
    await told(bus, "ward", b'{"encounter_id": "e1"}')
    await told(bus, "other", b"junk", ce_id="junk")
    await told(bus, "BAD", b'{"encounter_id": "e1"}', ce_id="bad")
    last = await reports.last(DISCHARGED, "e1")
    assert last is not None
    assert (last.id, last.report.route, last.sequence) == ("EHR/2", "other", 2)
    found = [item async for item in reports.since(DISCHARGED, "e1", 0)]
    assert [(item.id, item.report.route) for item in found] == [("one", "adt"), ("EHR/2", "other")]
    assert [item.id async for item in reports.since(DISCHARGED, "e1", 1)] == ["EHR/2"]
