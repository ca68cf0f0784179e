"""What stands in the chart in place of what was signed: never filed, told, and mended by a person."""

from pathlib import Path

import pytest

from cli.dead_letters import Attribution, retry_case
from services.approval.filing import resources, signed_resources
from services.approval.filing.renditions import chart
from shared.contracts.events import Approved
from shared.contracts.subjects import CaseRef
from tests.support.backup import as_user, back_up, restore_backup
from tests.support.corrections import document, filed, sign, verified
from tests.support.ehr import sandbox
from tests.support.examples import T0, event
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected


async def alerts(stack: Stack, kind: str) -> list[bytes]:
    async with as_user(stack.server, "admin") as bus:
        query = {"seq": 1, "next_by_subj": f"alert.*.{kind}", "batch": 10}
        return [message.data for message in await bus.direct_get("ALERTS", query)]


async def retry(stack: Stack, case_id: str) -> None:
    async with as_user(stack.server, "operator") as bus:
        await retry_case(bus, case_id, Attribution("op"))


def plant(stack: Stack, case_id: str, value: str) -> None:
    approved = event("approved")
    assert isinstance(approved, Approved)
    contents = chart.contents({"text/plain": b"NOT WHAT WAS SIGNED"}, T0)
    made = signed_resources.document(CaseRef("x", case_id), approved, contents, "dev-1", T0)
    identifier = resources.identified((resources.DOCUMENT_SYSTEM, value))
    stack.ehr.store.put(made | {"id": "planted", "identifier": identifier})


def retire(stack: Stack, id: str) -> None:
    found = stack.ehr.store.get("DocumentReference", id)
    assert found is not None
    stack.ehr.store.put(found | {"status": "entered-in-error"})


async def test_a_planted_document_stops_the_filing_until_somebody_retires_it(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    plant(stack, case_id, f"{case_id}/final")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    failed = await stack.reaches(case_id, "failed")
    assert "planted stands in the chart" in str(failed)
    (alert,) = await until(lambda: alerts(stack, "chart-not-as-signed"), "the alert")
    assert case_id.encode() in alert
    assert [item["id"] for item in stack.in_chart("DocumentReference")] == ["planted"]
    retire(stack, "planted")
    await retry(stack, case_id)
    await stack.reaches(case_id, "filed")
    assert (await verified(stack, case_id)).faults == ()


async def test_so_it_does_for_a_correction(stack: Stack) -> None:
    case_id = await filed(stack)
    plant(stack, case_id, f"{case_id}/final/2")
    text = (await document(stack, case_id))["text"].rstrip() + "\nSeen by the dietician.\n"
    assert (await sign(stack, case_id, "amendments", text=text)).status_code == 200
    await stack.reaches(case_id, "failed")
    before = [item for item in stack.in_chart("DocumentReference") if item["id"] != "planted"]
    assert [item["status"] for item in before] == ["current"], "what was to be replaced still stands"
    retire(stack, "planted")
    await retry(stack, case_id)
    await stack.reaches(case_id, "filed")
    assert (await verified(stack, case_id)).faults == ()


async def test_what_was_signed_after_the_backup_is_not_dropped_in_silence(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    """The chart is ahead of the restored trail: another text, or the same text signed again, is not filed."""
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await back_up(nats, tmp_path / "backup")
        await stack.decide(case_id, "approve")
        await stack.reaches(case_id, "filed")
        before = stack.in_chart("DocumentReference")
    nats.kill()
    await restore_backup(empty, tmp_path / "backup")
    async with running(empty, ehr) as stack:
        assert (await stack.decide(case_id, "approve")).status_code == 200
        failed = await stack.reaches(case_id, "failed")
        assert "stands in the chart" in str(failed)
        assert stack.in_chart("DocumentReference") == before
        assert len(stack.in_chart("Provenance")) == 1
