"""`audit verify` on a real server and a chart: what an administrator of either can forge is named, in a sentence."""

import base64
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox_ehr.app import Sandbox
from sandbox_ehr.faults import Fault
from services.approval.verification.report import VerificationReport
from services.approval.verification.verifier import EventStreamVerifier
from shared.contracts.events import Actor, Approved, CaseEvent, Closed, Filed, Retried
from shared.messaging.event_store import STREAM
from tests.support.backup import as_user
from tests.support.corrections import amend, filed, retract
from tests.support.ehr import sandbox, stays
from tests.support.forging import append, audit, read, with_valid_chain, write
from tests.support.server import NatsServer
from tests.support.stack import running

pytestmark = pytest.mark.connected

OPERATOR = Actor(subject="op", role="operator")


@dataclass
class Filings:
    """A stack that has filed and corrected one document, filed another, and is stopped."""

    nats: NatsServer
    ehr: Sandbox
    corrected: str
    case: str

    def document(self, which: int = -1) -> dict[str, object]:
        found: dict[str, object] = list(self.ehr.store.candidates("DocumentReference", None, None))[which]
        return found

    async def audit(self, case: str | None = None) -> VerificationReport:
        return await audit(self.nats, self.ehr, case)


@pytest.fixture
async def stopped(nats: NatsServer) -> Filings:
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr) as stack:
        corrected = await filed(stack)
        await amend(stack, corrected)
        case = await filed(stack, stays(ehr.style)[1])
    return Filings(nats, ehr, corrected, case)


def reasons(report: VerificationReport) -> str:
    return "\n".join(map(str, report.faults))


async def test_an_untouched_trail_is_verified_and_counted(stopped: Filings) -> None:
    report = await stopped.audit()
    assert (report.faults, report.unchecked) == ((), ())
    assert (report.cases, report.events) == (2, 14)
    one = await stopped.audit(stopped.case)
    assert (one.verified, one.cases, one.events) == (True, 1, 6)


async def test_a_signer_changed_and_rechained_is_found_also_behind_a_trailing_event(stopped: Filings) -> None:
    def other(body: CaseEvent) -> CaseEvent:
        return body.model_copy(update={"signer": "Practitioner/evil"}) if isinstance(body, Approved) else body

    await write(stopped.nats, with_valid_chain(await read(stopped.nats), other))
    for body in (Closed(), Retried(step="file", by=OPERATOR)):
        await append(stopped.nats, "admin", stopped.case, body)
        report = await stopped.audit()
        of_case = [fault for fault in report.faults if fault.case == stopped.case]
        assert any("another digest" in fault.reason and fault.event == "approved" for fault in of_case)
        assert any("does not fit" in fault.reason for fault in of_case)
        assert not (await stopped.audit(stopped.case)).verified
    both = {fault.case for fault in report.faults if "another digest" in fault.reason}
    assert both == {stopped.case, stopped.corrected}


@pytest.mark.parametrize("which", [0, 1, -1])
async def test_a_text_that_was_changed_in_the_chart_is_found(stopped: Filings, which: int) -> None:
    """Also of a version that was replaced since, and where an operator's `retried` is the last event."""
    document = stopped.document(which)
    content = document["content"]
    assert isinstance(content, list)
    content[0]["attachment"]["data"] = base64.b64encode(b"NOT WHAT WAS SIGNED").decode()
    stopped.ehr.store.put(document)
    await append(stopped.nats, "approval", stopped.case, Retried(step="file", by=OPERATOR))
    await append(stopped.nats, "approval", stopped.corrected, Retried(step="file", by=OPERATOR))
    report = await stopped.audit()
    assert "the text/plain of the document in the EHR is not what was filed" in reasons(report)
    assert reasons(report).count("event retried") == 2


@pytest.mark.parametrize("number", ["final", "final/2", "addendum/1", "final/7"])
async def test_a_document_that_no_case_of_ours_filed_is_found(stopped: Filings, number: str) -> None:
    """Of a case that the trail does not have, and of one that it has."""
    for case in ("0b7f5e9c-7d1b-5b5c-8a57-111111111111", stopped.corrected):
        forged = stopped.document() | {"id": f"forged-{case}"}
        forged["identifier"] = [{"system": "https://countersign.example/fhir/document", "value": f"{case}/{number}"}]
        stopped.ehr.store.put(forged)
    report = await stopped.audit()
    assert len(report.faults) == 2
    assert "forged-0b7f5e9c-7d1b-5b5c-8a57-111111111111 in the EHR has its identifier" in reasons(report)
    assert "the event stream has no such case" in reasons(report)
    assert f"case {stopped.corrected}: document forged-{stopped.corrected}" in reasons(report)
    if number.startswith("final") and number != "final/7":
        assert "no event filed it" in reasons(await stopped.audit(stopped.corrected))
    for id in ("forged-0b7f5e9c-7d1b-5b5c-8a57-111111111111", f"forged-{stopped.corrected}"):
        retired = stopped.ehr.store.get("DocumentReference", id)
        assert retired is not None
        stopped.ehr.store.put(retired | {"status": "entered-in-error"})
    assert (await stopped.audit()).verified


@pytest.mark.parametrize(("without", "words"), [([1], "message 1 is missing"), ([3, 4], "messages 3 to 4 are missing")])
async def test_deleted_messages_are_found(stopped: Filings, without: list[int], words: str) -> None:
    await write(stopped.nats, await read(stopped.nats), without=without)
    assert words in reasons(await stopped.audit())


async def test_messages_that_were_deleted_at_the_end_are_found(stopped: Filings) -> None:
    await write(stopped.nats, await read(stopped.nats), without=[13, 14])
    report = await stopped.audit()
    assert "messages 13 to 14 are missing: 2 deleted" in reasons(report)
    assert f"case {stopped.case}" in reasons(report), "its document stands in the chart"


async def test_a_case_that_was_taken_out_is_found_by_its_document(stopped: Filings) -> None:
    kept = [item for item in await read(stopped.nats) if stopped.case not in item.subject]
    await write(stopped.nats, kept)
    report = await stopped.audit()
    assert f"case {stopped.case}: document" in reasons(report)
    assert "the event stream has no such case" in reasons(report)


async def test_an_empty_and_a_missing_trail_are_not_verified(stopped: Filings) -> None:
    await write(stopped.nats, [])
    report = await stopped.audit()
    assert "the event stream: it is empty" in reasons(report)
    assert len(report.faults) == 4, "and each of three documents has no case"
    async with as_user(stopped.nats, "admin") as bus:
        await bus.jetstream.delete_stream(STREAM)
    report = await stopped.audit()
    assert (reasons(report), report.cases) == (f"the event stream: it is missing: the server has no stream {STREAM}", 0)


async def test_a_filing_that_points_to_another_document_is_found(stopped: Filings) -> None:
    other = stopped.document(0)["id"]

    def elsewhere(body: CaseEvent) -> CaseEvent:
        return body.model_copy(update={"document_reference": other}) if isinstance(body, Filed) else body

    await write(stopped.nats, with_valid_chain(await read(stopped.nats), elsewhere))
    assert "the Provenance in the EHR is about another document" in reasons(await stopped.audit())


async def test_a_retracted_document_that_stands_again_is_found(nats: NatsServer) -> None:
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr) as stack:
        await retract(stack, await filed(stack))
    assert (await audit(nats, ehr)).verified
    (document,) = ehr.store.candidates("DocumentReference", None, None)
    ehr.store.put(document | {"status": "current"})
    assert "was retracted is not entered in error" in reasons(await audit(nats, ehr))


async def test_what_the_ehr_does_not_search_for_is_said(stopped: Filings, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox_ehr import search

    only = {name: kind for name, kind in search.PARAMETERS["DocumentReference"].items() if name != "identifier"}
    monkeypatch.setitem(search.PARAMETERS, "DocumentReference", only)
    report = await stopped.audit()
    assert report.verified
    assert "the EHR does not search for them" in report.unchecked[0]


async def test_what_is_filed_while_the_audit_runs_is_no_stray(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case that was read before it was signed, and one that was opened after the last page."""
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr) as stack:
        case = await stack.discharge()
        await stack.reaches(case, "awaiting-review")
        search = EventStreamVerifier._find_orphans

        async def meanwhile(audit: EventStreamVerifier, *given: Any) -> None:
            assert (await stack.decide(case, "approve")).status_code == 200
            await stack.reaches(case, "filed")
            await filed(stack, stays(ehr.style)[1])
            await search(audit, *given)

        monkeypatch.setattr(EventStreamVerifier, "_find_orphans", meanwhile)
        report = await audit(nats, ehr)
    assert (report.faults, report.unchecked, report.events) == ((), (), 4)


async def test_an_ehr_that_does_not_answer_is_no_proof(stopped: Filings) -> None:
    stopped.ehr.faults.armed.append(Fault(kind="status", type="DocumentReference", status=503, times=99))
    assert "the EHR could not be searched for our documents" in reasons(await stopped.audit())
