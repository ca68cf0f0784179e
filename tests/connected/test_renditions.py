"""What is filed for a signed text: four contents that are proven, the same bytes at each attempt, one where the EHR
takes no more.
"""

import base64
import hashlib
import json
from typing import Any

import pytest

from cli.audit import VerificationReport, verify_stored
from sandbox_ehr.quirks import Quirks
from services.approval.filing.renditions import chart, writer
from services.approval.filing.renditions.make import CONTENT_TYPES, FHIR, PDF, TEXT, XHTML
from shared.contracts.retry import RetryPolicy
from tests.support.ehr import client, sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

pytestmark = pytest.mark.connected


async def filed(stack: Stack, **decision: Any) -> tuple[str, dict[str, Any]]:
    """A case that was approved and filed, and what its last event says."""
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve", **decision)).status_code == 200
    case = await stack.reaches(case_id, "filed")
    return case_id, case["events"][-1]["detail"]


async def verified(stack: Stack, case_id: str) -> VerificationReport:
    bus, journal = await stack.journal()
    report = await verify_stored(await journal.stored(f"discharge.*.{case_id}.*"), client(stack.ehr))
    await bus.close()
    return report


def contents(stack: Stack) -> dict[str, bytes]:
    """Content type → bytes of the one document."""
    (document,) = stack.in_chart("DocumentReference")
    return {name: base64.b64decode(item["data"]) for name, item in chart.attachments(document).items()}


async def test_four_contents_are_filed_with_digests_that_agree(stack: Stack) -> None:
    case_id, event = await filed(stack)
    found = contents(stack)
    assert list(found) == list(CONTENT_TYPES)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    (provenance,) = stack.in_chart("Provenance")
    assert event["renditions"] == chart.digests_in(provenance) == digests
    assert (await verified(stack, case_id)).verified
    document = json.loads(found[FHIR])
    (patient,) = [item["fullUrl"] for item in document["entry"] if item["resource"]["resourceType"] == "Patient"]
    assert patient.partition("/Patient/")[2] in {item["id"] for item in stack.in_chart("Patient")}
    assert found[PDF].startswith(b"%PDF-")


async def test_an_edited_text_is_what_every_content_says(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    text = await stack.text(case_id)
    (gone, *_) = [line for line in text.splitlines() if line.startswith("  - ")]
    text = text.replace(f"{gone}\n", "  - Seen for <something> else\n", 1)
    assert (await stack.decide(case_id, "approve", text=text)).status_code == 200
    await stack.reaches(case_id, "filed")
    found = contents(stack)
    assert found[TEXT].decode() == text
    assert b"Seen for &lt;something&gt; else" in found[XHTML]
    assert "Seen for &lt;something&gt; else" in found[FHIR].decode()


@pytest.mark.parametrize("changed", CONTENT_TYPES)
async def test_a_content_that_was_changed_in_the_chart_is_found(stack: Stack, changed: str) -> None:
    case_id, _ = await filed(stack)
    (document,) = stack.in_chart("DocumentReference")
    chart.attachments(document)[changed]["data"] = base64.b64encode(b"other").decode()
    stack.ehr.store.put(document)
    (fault,) = (await verified(stack, case_id)).faults
    assert changed in fault.reason


async def test_an_ehr_that_takes_one_content_gets_the_text(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(quirks=Quirks(max_contents=1))) as stack:
        case_id, event = await filed(stack)
        assert list(contents(stack)) == list(event["renditions"]) == [TEXT]
        assert (await verified(stack, case_id)).verified
        bus = await stack.server.connect("operator")
        (told,) = await bus.direct_get("ALERTS", {"seq": 1, "next_by_subj": "alert.*.*", "batch": 100})
        assert await bus.direct_get("DEADLETTER", {"seq": 1, "next_by_subj": "deadletter.>", "batch": 100}) == []
        await bus.close()
    assert told.headers is not None
    assert told.headers["Nats-Subject"] == "alert.info.renditions-refused"
    assert json.loads(told.data)["refused"] == f"{FHIR}, {PDF}, {XHTML}"


async def test_a_profile_names_what_an_ehr_takes(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), ehr_contents=(TEXT, PDF)) as stack:
        case_id, event = await filed(stack)
        assert list(contents(stack)) == list(event["renditions"]) == [TEXT, PDF]
        assert (await verified(stack, case_id)).verified


async def test_what_was_kept_is_filed_also_by_another_version(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The EHR refuses the first attempt; before the next one our way of writing has changed."""
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    written: list[dict[str, bytes]] = []
    make = writer.make

    def other(*given: Any) -> dict[str, bytes]:
        made = {name: data + b" " * len(written) for name, data in make(*given).items()}
        written.append(made)
        return made

    monkeypatch.setattr(writer, "make", other)
    await nats.provision()
    async with running(nats, sandbox(quirks=Quirks(first_create_conflicts=True))) as stack:
        case_id, _ = await filed(stack)
        assert contents(stack) == written[0]
        assert len(written) == 1
        assert (await verified(stack, case_id)).verified
