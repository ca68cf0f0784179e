"""A case with each way into the chart, and what people see and do where the document is not in it."""

from datetime import timedelta
from typing import Any

import pytest

from sandbox_ehr.app import Sandbox
from shared.contracts.retry import RetryPolicy
from shared.messaging.stream_pages import read_stream_pages
from tests.support.corrections import addend, amend, document, retract, verified
from tests.support.ehr import sandbox, stay_without_open_points
from tests.support.mdm_receiver import MdmReceiver, receiving
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)


async def signed(stack: Stack, encounter: str | None = None) -> str:
    """A case whose document is signed; its id."""
    case_id = await stack.discharge(encounter or stay_without_open_points(stack.ehr))
    await stack.reaches(case_id, "awaiting-review")
    answer = await stack.decide(case_id, "approve")
    assert answer.status_code == 200, answer.text
    return case_id


async def unfiled(stack: Stack, role: str = "physician") -> list[dict[str, Any]]:
    answer = await stack.call(role, "GET", "/v1/unfiled")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    assert answer.json()["total"] == len(items)
    return items


async def becomes(stack: Stack, reason: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        return next((item for item in await unfiled(stack) if item["reason"] == reason), None)

    found: dict[str, Any] = await until(there, f"a document that is {reason}")
    return found


async def alerts(nats: NatsServer, kind: str) -> int:
    bus = await nats.connect("operator")
    try:
        return sum([len(page) async for page in read_stream_pages(bus, "ALERTS", f"alert.*.{kind}")])
    finally:
        await bus.close()


async def post(stack: Stack, case_id: str, what: str, role: str = "physician") -> int:
    return (await stack.call(role, "POST", f"/v1/cases/{case_id}/filing/{what}")).status_code


def by_event(receiver: MdmReceiver) -> list[str]:
    return [content.split(b"|")[8].split(b"^")[1].decode() for content in receiver.contents]


async def test_a_case_with_its_corrections_by_mdm(nats: NatsServer) -> None:
    await nats.provision()
    async with receiving() as receiver, running(nats, sandbox(), write_back="mdm", mdm=receiver.settings) as stack:
        case_id = await signed(stack)
        await stack.reaches(case_id, "filed")
        assert receiver.documents[f"{case_id}/final/1"] == (await document(stack, case_id))["text"].rstrip("\n")
        await amend(stack, case_id)
        await addend(stack, case_id)
        assert sorted(receiver.documents) == [f"{case_id}/addendum/1", f"{case_id}/final/2"]
        report = await verified(stack, case_id)
        assert report.verified, report.faults
        await retract(stack, case_id)

        async def noticed() -> bool:
            return (await stack.events(case_id))[-1] == "retraction-filed"

        await until(noticed, "the retraction to be sent")
        assert by_event(receiver) == ["T02", "T10", "T06", "T10", "T10"]
        assert all("entered in error" in text for text in receiver.documents.values())
        assert stack.in_chart("DocumentReference") == []
        assert await unfiled(stack) == []


async def test_a_refused_document_is_held_until_a_person_releases_it(nats: NatsServer) -> None:
    await nats.provision()
    async with receiving() as receiver, running(nats, sandbox(), write_back="mdm", mdm=receiver.settings) as stack:
        receiver.answers.append("AE")
        case_id = await signed(stack)
        held = await becomes(stack, "held")
        assert (held["case_id"], held["detail"]) == (case_id, "the HL7v2 receiver refused the document (AE, error 207)")
        assert await alerts(nats, "step-failed") == 1
        page = await stack.call("physician", "GET", f"/reviews/{case_id}")
        assert "held: the HL7v2 receiver refused the document" in page.text
        inbox = await stack.call("physician", "GET", "/")
        assert "Signed, not yet in the chart" in inbox.text
        assert len(receiver.contents) == 1, "it is not sent again by itself"
        assert await post(stack, case_id, "retry", "auditor") == 403
        assert await post(stack, case_id, "retry") == 200
        await stack.reaches(case_id, "filed")
        assert await unfiled(stack) == []
        assert await post(stack, case_id, "retry") == 409


async def test_a_receiver_that_does_not_answer_is_named_with_the_time(nats: NatsServer) -> None:
    await nats.provision()
    async with receiving() as receiver:
        receiver.answers.extend(["lost"] * 1000)
        async with running(nats, sandbox(), write_back="mdm", mdm=receiver.settings) as stack:
            case_id = await signed(stack)
            waiting = await becomes(stack, "retrying")
            assert "HL7v2 receiver" in waiting["detail"]
            assert waiting["since"] >= waiting["signed_at"]
            assert await post(stack, case_id, "confirm") == 409, "it is tried again by itself"
            receiver.answers.clear()
            await stack.reaches(case_id, "filed")
            assert len(set(receiver.contents)) == 1


async def test_a_held_document_may_be_transferred_by_hand(nats: NatsServer) -> None:
    await nats.provision()
    async with receiving() as receiver, running(nats, sandbox(), write_back="mdm", mdm=receiver.settings) as stack:
        receiver.answers.append("AR")
        case_id = await signed(stack)
        await becomes(stack, "held")
        assert await post(stack, case_id, "confirm") == 200
        await stack.reaches(case_id, "filed")
        assert (await verified(stack, case_id)).verified


async def test_without_a_way_into_the_chart_a_person_transfers_and_confirms(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), write_back="none") as stack:
        case_id = await signed(stack)
        await becomes(stack, "transfer")
        assert await alerts(nats, "document-to-transfer") == 1
        assert stack.in_chart("DocumentReference") == []
        text = await stack.call("physician", "GET", f"/v1/cases/{case_id}/document/text")
        assert text.text == (await document(stack, case_id))["text"]
        pdf = await stack.call("physician", "GET", f"/v1/cases/{case_id}/document/pdf")
        assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
        assert (await stack.call("auditor", "GET", f"/v1/cases/{case_id}/document/pdf")).status_code == 403
        page = await stack.call("physician", "GET", f"/reviews/{case_id}")
        assert "Transferred to the chart" in page.text
        assert [await post(stack, case_id, "confirm") for _ in range(2)] == [200, 200]
        case = await stack.reaches(case_id, "filed")
        (filed,) = [item for item in case["events"] if item["event"] == "filed"]
        assert filed["detail"]["profile"] == "none"
        assert filed["detail"]["by"]["subject"]
        assert await unfiled(stack) == []
        report = await verified(stack, case_id)
        assert report.verified, report.faults


async def test_a_document_that_waits_for_its_transfer_is_filed_once_there_is_another_way(nats: NatsServer) -> None:
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr, write_back="none") as stack:
        case_id = await signed(stack)
        await becomes(stack, "transfer")
    async with running(nats, ehr) as stack:
        assert await post(stack, case_id, "retry", "operator") == 200
        await stack.reaches(case_id, "filed")
        assert len(stack.in_chart("DocumentReference")) == 1


def oracle() -> Sandbox:
    ehr = sandbox()
    ehr.oracle_documents = True
    return ehr


async def test_a_case_with_its_corrections_in_an_ehr_like_oracles(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, oracle(), write_back="auto", reconcile_every=timedelta(minutes=30)) as stack:
        case_id = await signed(stack)
        first = (await stack.reaches(case_id, "filed"))["document_reference"]
        await amend(stack, case_id)
        await addend(stack, case_id)
        case = await stack.case(case_id)
        assert case["document_reference"] == first, "the correction changes the document"
        ids = {item["detail"]["document_reference"] for item in case["events"] if item["event"] == "filed"}
        assert {item["id"]: item["docStatus"] for item in _those(stack, ids)}[first] == "amended"
        assert [item["status"] for item in _those(stack, ids)] == ["current", "current"]
        assert stack.in_chart("Provenance") == stack.in_chart("Task") == stack.in_chart("Device") == []
        report = await verified(stack, case_id)
        assert report.verified, report.faults
        await retract(stack, case_id)

        async def noticed() -> bool:
            return (await stack.events(case_id))[-1] == "retraction-filed"

        await until(noticed, "the retraction to be filed")
        assert [item["status"] for item in _those(stack, ids)] == ["entered-in-error"] * 2
        assert (await verified(stack, case_id)).verified


def _those(stack: Stack, ids: set[str]) -> list[dict[str, Any]]:
    return [item for item in stack.in_chart("DocumentReference") if item["id"] in ids]
