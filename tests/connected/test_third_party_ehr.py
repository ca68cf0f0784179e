"""A FHIR server that others wrote: the same stay leads to the same document as on the sandbox, filed once."""

import base64
import re
from pathlib import Path

import pytest

from deploy.sandbox_ehr.app import Sandbox
from services.approval.renditions import chart
from services.approval.renditions.make import CONTENT_TYPES
from services.approval.resources import DOCUMENT_SYSTEM, chain_head_of
from shared.clinical.connect import connect_ehr
from shared.clinical.fhir import FhirClient
from tests.support import stack as stacks
from tests.support.ehr import client, sandbox
from tests.support.server import NatsServer
from tests.support.stack import running, until
from tests.support.third_party import serving

pytestmark = pytest.mark.connected

LIVES, DIED = "enc-05824a156ede", "enc-715666377ddf"


def everything(ehr: Sandbox) -> list[dict[str, object]]:
    return list(ehr.store.everything())


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


def without_zeros(text: str) -> str:
    """JavaScript has no 79.0: that server keeps 79, and the document says what it keeps."""
    return re.sub(r"\d+\.\d+", lambda found: found.group().rstrip("0").rstrip("."), text)
