"""A FHIR server that others wrote: the same stay leads to the same document as on the sandbox, filed once."""

import base64
import re
from pathlib import Path

import pytest

from sandbox_ehr.app import Sandbox
from services.approval.filing.renditions import chart
from services.approval.filing.renditions.make import CONTENT_TYPES
from services.approval.filing.resources import DOCUMENT_SYSTEM, chain_head_of
from shared.clinical.connect import connect_ehr
from shared.clinical.fhir_client import FhirClient
from tests.support import corrections
from tests.support import stack as stacks
from tests.support.ehr import client, sandbox
from tests.support.server import NatsServer
from tests.support.stack import running, until
from tests.support.third_party import serving

pytestmark = [pytest.mark.connected, pytest.mark.system]

LIVES, DIED = "enc-05824a156ede", "enc-715666377ddf"


def everything(ehr: Sandbox) -> list[dict[str, object]]:
    return list(ehr.store.all_resources())


async def filed(nats: NatsServer, ehr: FhirClient, encounter: str) -> str:
    """From the discharge to the filed document; its text. One current document, one Provenance, no open Task."""
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        case_id = await stack.discharge(encounter)
        await stack.reaches(case_id, "awaiting-review")
        assert (await stack.decide(case_id, "approve")).status_code == 200
        case = await stack.reaches(case_id, "filed")

        async def ended() -> bool:
            tasks = await ehr.search("Task", {"encounter": f"Encounter/{encounter}"}, fresh=True)
            return bool(tasks) and all(task["status"] == "completed" for task in tasks)

        await until(ended, "the Task to be completed")
    query = {"identifier": f"{DOCUMENT_SYSTEM}|{case_id}/final"}
    (document,) = [item for item in await ehr.search("DocumentReference", query) if item["status"] == "current"]
    assert document["id"] == case["document_reference"]
    assert list(chart.attachments(document)) == list(CONTENT_TYPES)
    target = {"target": f"DocumentReference/{document['id']}"}
    (_,) = [item for item in await ehr.search("Provenance", target) if chain_head_of(item) is not None]
    return base64.b64decode(document["content"][0]["attachment"]["data"]).decode()


@pytest.mark.parametrize("encounter", [LIVES, DIED])
async def test_the_document_says_the_same_as_on_the_sandbox(
    encounter: str, nats: NatsServer, empty: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = sandbox()
    with serving(everything(ours), tmp_path) as base:
        theirs = connect_ehr(base, None, 8)
        monkeypatch.setattr(stacks, "client", lambda _: connect_ehr(base, None, 8))
        there = await filed(nats, theirs, encounter)
        await theirs.close()
    monkeypatch.setattr(stacks, "client", lambda _: client(ours))
    here = await filed(empty, client(ours), encounter)
    assert there.splitlines() == without_zeros(here).splitlines()


async def test_what_was_filed_is_corrected_appended_to_and_retracted(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    ours = sandbox()
    with serving(everything(ours), tmp_path) as base:
        theirs = connect_ehr(base, None, 8)
        monkeypatch.setattr(stacks, "client", lambda _: connect_ehr(base, None, 8))
        async with running(nats, ours) as stack:
            case_id = await corrections.filed(stack, LIVES)
            await corrections.amend(stack, case_id)
            for words in ("The culture grew nothing.", "The biopsy is benign."):
                await corrections.addend(stack, case_id, words)
            await corrections.amend(stack, case_id, "And another line.")
            patient = (await theirs.read("Encounter", LIVES))["subject"]["reference"]

            async def statuses() -> dict[str, str]:
                found = await theirs.search("DocumentReference", {"patient": patient}, fresh=True)
                return {
                    part["value"].removeprefix(f"{case_id}/"): item["status"]
                    for item in found
                    for part in item.get("identifier", ())
                    if part["system"] == DOCUMENT_SYSTEM
                }

            wanted = {"final": "superseded", "final/2": "superseded", "final/3": "current"}
            assert await statuses() == wanted | {"addendum/1": "current", "addendum/2": "current"}
            assert (await corrections.verified(stack, case_id, theirs)).verified
            await corrections.retract(stack, case_id)

            async def in_error() -> bool:
                return "retraction-filed" in await stack.events(case_id)

            await until(in_error, "the chart to say so")
            assert set((await statuses()).values()) == {"entered-in-error"}
            assert len(await statuses()) == 5
            assert (await corrections.verified(stack, case_id, theirs)).verified
        await theirs.close()


def without_zeros(text: str) -> str:
    """JavaScript has no 79.0: that server keeps 79, and the document says what it keeps."""
    return re.sub(r"\d+\.\d+", lambda found: found.group().rstrip("0").rstrip("."), text)
