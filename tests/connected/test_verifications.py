"""Verifications that an auditor starts over HTTP: they find what `audit verify` finds."""

import asyncio
import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.approval.case_verification.case import verify_case
from services.approval.verification import service, verifier
from services.approval.verification.service import BUCKET, VerificationService
from shared.messaging.buckets import Bucket
from shared.messaging.checkpoints import Folder
from tests.support.backup import as_user
from tests.support.corrections import filed
from tests.support.ehr import client, sandbox
from tests.support.oidc import OidcServer
from tests.support.people import Clock, bearer
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected
PATH = "/v1/audit/verifications"


async def verified(stack: Stack, **body: Any) -> dict[str, Any]:
    """Start a run, and wait for its end."""
    started = await stack.call("auditor", "POST", PATH, json=body or None)
    assert started.status_code == 202, started.text
    location = started.headers["location"]

    async def done() -> dict[str, Any] | None:
        run: dict[str, Any] = (await stack.call("auditor", "GET", location)).json()
        return run if run["state"] != "running" else None

    found: dict[str, Any] = await until(done, "the verification")
    return found


async def test_an_untouched_stream_holds_and_a_changed_document_is_found(nats: NatsServer, tmp_path: Path) -> None:
    await nats.provision()
    key = tmp_path / "key.pem"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    every = timedelta(milliseconds=100)
    async with running(
        nats, sandbox(), checkpoint_dir=folder, checkpoint_key_file=key, checkpoint_every=every
    ) as stack:
        case_id = await filed(stack)
        await until(lambda: asyncio.to_thread(lambda: bool(Folder(folder).numbers())), "a checkpoint")
        run = await verified(stack)
        assert (run["state"], run["verified"], run["findings"]) == ("finished", True, [])
        assert (run["cases"], run["started_by"]) == (1, "demo-auditor")
        assert run["checkpoints"] > 0
        assert any("registry of drafters" in reason for reason in run["unchecked"])
        assert not any("COUNTERSIGN_CHECKPOINT_DIR" in reason for reason in run["unchecked"])
        document = stack.in_chart("DocumentReference")[0]
        attachment = document["content"][0]["attachment"]
        attachment["data"] = base64.b64encode(b"something else").decode()
        found = await verified(stack, case_id=case_id)
        assert (found["verified"], found["case_id"]) == (False, case_id)
        assert found["finding_count"] == len(found["findings"]) > 0
        assert {item["case_id"] for item in found["findings"]} == {case_id}
        listed = (await stack.call("auditor", "GET", PATH)).json()["items"]
        assert [item["id"] for item in listed] == [found["id"], run["id"]]
        first = (await stack.call("auditor", "GET", f"{PATH}?limit=1")).json()
        second = (await stack.call("auditor", "GET", f"{PATH}?limit=1&after={first['next']}")).json()
        assert ([*first["items"], *second["items"]], second["next"]) == (listed, None)


async def test_one_runs_at_a_time_and_a_repeat_is_the_same_run(secured: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    await filed(secured)
    going = asyncio.Event()

    async def slow(*given: Any) -> Any:
        await going.wait()
        return await verify_case(*given)

    monkeypatch.setattr(verifier, "verify_case", slow)
    starts = [secured.call("auditor", "POST", PATH, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    ids = {answer.json()["id"] for answer in await asyncio.gather(*starts)}
    assert len(ids) == 1
    other = (await secured.call("auditor", "POST", PATH)).json()
    assert ({other["id"]}, other["state"]) == (ids, "running")
    assert len((await secured.call("auditor", "GET", PATH)).json()["items"]) == 1
    going.set()
    (id,) = ids

    async def done() -> bool:
        return bool((await secured.call("auditor", "GET", f"{PATH}/{id}")).json()["state"] == "finished")

    await until(done, "the run")
    again = await secured.call("auditor", "POST", PATH, headers={"Idempotency-Key": "k"})
    assert again.json()["id"] == id, "also when it has ended"


async def test_a_run_whose_process_died_is_interrupted_and_another_one_starts(
    nats: NatsServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    monkeypatch.setattr(service, "SAVE_EVERY_S", 3600.0)
    async with as_user(nats, "approval") as bus:
        ids = iter(f"00000000-0000-0000-0000-{number:012}" for number in range(9))
        ehr = client(sandbox())
        died, lives = (VerificationService(bus, ehr, None, clock, lambda: next(ids)) for _ in range(2))
        never = asyncio.Event()
        monkeypatch.setattr(verifier.EventStreamVerifier, "all", lambda *_: never.wait())
        run = await died.start("eve")
        assert (await lives.start("eve")).id == run.id
        clock.ahead = timedelta(minutes=3)
        shown = await lives.get(run.id)
        assert shown is not None
        assert shown.state == "interrupted"
        following = await lives.start("eve")
        assert following.id != run.id
        await lives.stop()
        stored = await Bucket(bus, BUCKET).get(f"verification.{following.id}")
        assert stored is not None
        assert b"the process was stopped" in stored.value
        await died.stop()
        await ehr.close()


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"roles": ["operator"], "departments": None}, 403),
        ({"roles": ["physician"]}, 403),
        ({"roles": ["auditor"], "departments": ["cardiology"]}, 403),
        ({"roles": ["auditor"], "departments": None}, 200),
    ],
)
async def test_who_may(secured: Stack, provider: OidcServer, claims: dict[str, Any], status: int) -> None:
    token = bearer(provider.token(**claims))
    assert (await secured.http.get(PATH, headers=token)).status_code == status
    assert (await secured.http.get("/verification", headers=token)).status_code == status
    expected = 404 if status == 200 else 403
    unknown = "00000000-0000-0000-0000-000000000000"
    assert (await secured.http.get(f"{PATH}/{unknown}", headers=token)).status_code == expected
    body = {"case_id": unknown}
    assert (await secured.http.post(PATH, headers=token, json=body)).status_code == expected
