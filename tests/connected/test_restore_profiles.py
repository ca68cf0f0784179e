"""After a restore, where the chart has no identifier of ours: nothing is filed twice, and each case is named."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cli.reimport.run import CheckpointFiles
from sandbox_ehr.app import Sandbox
from shared.contracts.retry import RetryPolicy
from shared.messaging.checkpoints import Checkpoints, Folder
from tests.connected.test_reimport import Hospital
from tests.connected.test_write_back import becomes, by_event, oracle, post, unfiled
from tests.support.backup import as_user
from tests.support.corrections import addend, amend, document
from tests.support.ehr import sandbox, stays
from tests.support.mdm_receiver import receiving
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180)]
IN_DOUBT = "was restored: what was signed after it may be in the chart already"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)


@pytest.fixture
async def hospital(nats: NatsServer, empty: NatsServer, tmp_path: Path, request: pytest.FixtureRequest) -> Hospital:
    await nats.provision()
    return Hospital(nats, empty, tmp_path / "backup", getattr(request, "param", sandbox)())


async def awaiting(stack: Stack, encounter: str) -> str:
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "awaiting-review")
    return case_id


async def approve(stack: Stack, case_id: str, **body: Any) -> None:
    answer = await stack.decide(case_id, "approve", **body)
    assert answer.status_code == 200, answer.text


async def held(stack: Stack, case_id: str) -> str:
    await stack.reaches(case_id, "failed")
    (found,) = [item for item in await unfiled(stack) if item["case_id"] == case_id]
    assert found["reason"] == "held"
    return str(found["detail"])


async def test_mdm_sends_nothing_again_until_a_person_has_looked(
    hospital: Hospital,
    nats: NatsServer,
    tmp_path: Path,
) -> None:
    first, second, third, fourth = stays(hospital.ehr.style)[:4]
    async with receiving() as receiver:
        mdm: dict[str, Any] = {"write_back": "mdm", "mdm": receiver.settings}
        async with running(nats, hospital.ehr, **mdm) as stack:
            signed_since, done = [await awaiting(stack, encounter) for encounter in (first, second)]
            await approve(stack, done)
            await stack.reaches(done, "filed")
            receiver.answers.extend(["lost"] * 1000)
            unanswered = await awaiting(stack, third)
            await approve(stack, unanswered)
            await becomes(stack, "retrying")
            await hospital.back_up()
            receiver.answers.clear()
            await stack.reaches(unanswered, "filed")
            await approve(stack, signed_since)
            await stack.reaches(signed_since, "filed")
            opened_since = await awaiting(stack, fourth)
            files = await checkpoints(nats, tmp_path)
        sent = list(receiver.contents)
        async with hospital.restored(**mdm) as stack:
            assert IN_DOUBT in await held(stack, unanswered)
            page = await stack.call("physician", "GET", f"/reviews/{signed_since}")
            assert "Look at the chart first" in page.text

            found = await hospital.reimport(profile="mdm", checkpoints=files)
            assert {item.case: item.state for item in found.unreadable} == {
                signed_since: "awaiting-review",
                unanswered: "failed",
                opened_since: "not in the event stream",
            }
            assert all(item.proven for item in found.unreadable)
            assert (found.cases, found.done) == ([], False)

            await approve(stack, signed_since)
            assert IN_DOUBT in await held(stack, signed_since)
            assert receiver.contents == sent, "nothing is sent again by itself"

            assert await post(stack, unanswered, "confirm") == 200
            await stack.reaches(unanswered, "filed")
            assert await post(stack, signed_since, "retry") == 200
            await stack.reaches(signed_since, "filed")
            (again,) = receiver.contents[len(sent) :]
            earlier = [content for content in sent if signed_since.encode() in content]
            assert control_id(again) not in map(control_id, earlier), "a receiver that drops repeats takes it"

            await amend(stack, signed_since)  # a person has looked: its corrections go on
            assert by_event(receiver)[-1] == "T10"
            assert (await hospital.reimport(profile="mdm")).unreadable == []


async def checkpoints(nats: NatsServer, directory: Path) -> CheckpointFiles:
    """A signed checkpoint of the event stream as it is now, and the public key."""
    key, folder, public = Ed25519PrivateKey.generate(), directory / "checkpoints", directory / "key.pub"
    folder.mkdir()
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    async with as_user(nats, "auditor") as bus:
        assert await Checkpoints(bus, Folder(folder), key, lambda: datetime.now(UTC)).make() is not None
    return CheckpointFiles(folder, public)


def control_id(content: bytes) -> bytes:
    return content.split(b"|")[9]


async def test_what_a_person_transfers_is_held_until_they_have_looked(
    hospital: Hospital,
    nats: NatsServer,
) -> None:
    async with running(nats, hospital.ehr, write_back="none") as stack:
        case_id = await awaiting(stack, stays(hospital.ehr.style)[0])
        await hospital.back_up()
        await approve(stack, case_id)
        await becomes(stack, "transfer")
        assert await post(stack, case_id, "confirm") == 200
    async with hospital.restored(write_back="none") as stack:
        await approve(stack, case_id)
        assert IN_DOUBT in await held(stack, case_id)
        assert await post(stack, case_id, "retry") == 200
        await becomes(stack, "transfer")
        assert await post(stack, case_id, "confirm") == 200
        await stack.reaches(case_id, "filed")


def contents(ehr: Sandbox) -> list[tuple[str, bytes]]:
    found = ehr.store.candidates("DocumentReference", None, None)
    return [(item["id"], base64.b64decode(item["content"][0]["attachment"].get("data", ""))) for item in found]


@pytest.mark.parametrize("hospital", [oracle, sandbox], indirect=True)  # without and with our Provenances
async def test_an_ehr_without_our_identifier_shows_what_was_signed_since(
    hospital: Hospital,
    nats: NatsServer,
) -> None:
    encounters = stays(hospital.ehr.style)
    basic: dict[str, Any] = {"write_back": "fhir-basic", "reconcile_every": timedelta(minutes=30)}
    async with running(nats, hospital.ehr, **basic) as stack:
        plain, edited, corrected, appended = [await awaiting(stack, encounter) for encounter in encounters[:4]]
        for case_id in (corrected, appended):
            await approve(stack, case_id)
            await stack.reaches(case_id, "filed")
        await hospital.back_up()
        await approve(stack, plain)
        await approve(stack, edited, text=f"{(await stack.text(edited)).rstrip()}\nSeen by the dietician.\n")
        for case_id in (plain, edited):
            await stack.reaches(case_id, "filed")
        await amend(stack, corrected)
        await addend(stack, appended)
        shown = {case_id: await document(stack, case_id) for case_id in (plain, edited, corrected)}
    chart = contents(hospital.ehr)
    async with hospital.restored(**basic) as stack:
        await approve(stack, edited)  # as if nobody knew of it
        assert "countersign cases reimport" in await held(stack, edited)
        assert contents(hospital.ehr) == chart, "no second document of the stay"

        done = await hospital.reimport(profile="fhir-basic")
        found = {item.case: (item.state, [line.what for line in item.ready]) for item in done.cases}
        assert found == {
            plain: ("taken over", ["document"]),
            edited: ("taken over", ["document"]),
            corrected: ("taken over", ["correction"]),
            appended: ("stopped", []),
        }
        assert any("missing from the event stream" in words for words in done.unchecked)
        for case_id, before in shown.items():
            after = await document(stack, case_id)
            assert (after["text"], after["digest"]) == (before["text"], before["digest"])
        assert contents(hospital.ehr) == chart, "the chart is not written to"
        await hospital.audit([plain, edited, corrected])
        again = await hospital.reimport(plain, edited, corrected, profile="fhir-basic")
        assert again.cases == []
        await amend(stack, plain, "And by the pharmacist.")
        await hospital.audit([plain, edited, corrected])
