"""Signed checkpoints on a real server: what was re-chained after one is found and named, and one case can be proven."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from cli.commands import audit as audit_command
from cli.main import app
from sandbox_ehr.app import Sandbox
from services.approval.verification import inclusion as proof
from services.approval.verification.report import VerificationReport
from shared.contracts.checkpoint import (
    CaseHead,
    Checkpoint,
    SignedCheckpoint,
    next_checkpoint,
    read_signed,
    sign,
    to_lines,
)
from shared.contracts.errors import PermanentError
from shared.contracts.events import Actor, CaseEvent, Closed, Reassigned, ReviewRequested
from shared.messaging import checkpoints
from shared.messaging.access_log import STREAM as ACCESS
from shared.messaging.checkpoints import Checkpoints, Folder
from shared.messaging.stream_pages import read_stream_pages
from tests.support.backup import as_user, set_environment
from tests.support.corrections import filed
from tests.support.ehr import sandbox, stays
from tests.support.examples import T0
from tests.support.forging import append, audit, read, with_valid_chain, write
from tests.support.server import NatsServer
from tests.support.stack import running, until

pytestmark = pytest.mark.connected

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()


@dataclass
class Covered:
    """A stopped stack with a filed case and one that waits; each was covered by a checkpoint, in this order."""

    nats: NatsServer
    ehr: Sandbox
    path: Path
    done: str
    waiting: str

    @property
    def folder(self) -> Folder:
        return Folder(self.path)

    async def make(self, key: Ed25519PrivateKey = KEY) -> Checkpoint | None:
        return await make(self.nats, self.path, key)

    async def audit(self, case: str | None = None, key: Ed25519PrivateKey = KEY) -> VerificationReport:
        return await audit(self.nats, self.ehr, case, (self.folder, key.public_key()))


async def make(nats: NatsServer, path: Path, key: Ed25519PrivateKey = KEY) -> Checkpoint | None:
    async with as_user(nats, "auditor") as bus:
        return await Checkpoints(bus, Folder(path), key, lambda: T0).make()


@pytest.fixture
async def covered(nats: NatsServer, tmp_path: Path) -> Covered:
    await nats.provision()
    ehr, path = sandbox(), tmp_path / "checkpoints"
    path.mkdir()
    async with running(nats, ehr) as stack:
        done = await filed(stack)
        assert await make(nats, path) is not None
        waiting = await stack.discharge(stays(ehr.style)[1])
        await stack.reaches(waiting, "awaiting-review")
        await stack.review(waiting)
    assert await make(nats, path) is not None
    assert await make(nats, path) is None, "nothing has happened"
    return Covered(nats, ehr, path, done, waiting)


def reasons(report: VerificationReport) -> str:
    return "\n".join(map(str, report.faults))


async def test_an_untouched_trail_agrees_with_every_checkpoint(covered: Covered) -> None:
    report = await covered.audit()
    assert (report.faults, report.unchecked, report.checkpoints) == ((), (), 2)
    assert (await covered.audit(covered.waiting)).verified
    await append(covered.nats, "admin", covered.waiting, Reassigned(owner="Practitioner/x", by=BY, reason="b" * 64))
    later = await covered.audit()
    assert later.verified
    assert "1 events after the last checkpoint" in later.unchecked[0]
    assert (await covered.make()) is not None
    assert (await covered.audit()).checkpoints == 3


BY = Actor(subject="admin", role="operator")


async def test_a_waiting_case_that_was_rechained_is_named_though_no_provenance_knows_it(covered: Covered) -> None:
    def other(body: CaseEvent) -> CaseEvent:
        return body.model_copy(update={"owner": "Practitioner/evil"}) if isinstance(body, ReviewRequested) else body

    messages = await read(covered.nats)
    of_case = [item for item in messages if covered.waiting in item.subject]
    forged = {item.sequence: item for item in with_valid_chain(of_case, other)}
    await write(covered.nats, [forged.get(item.sequence, item) for item in messages])
    without = await audit(covered.nats, covered.ehr)
    assert without.verified, "the chain fits, and nothing of the case is in the chart yet"
    report = await covered.audit()
    (fault,) = report.faults
    assert fault.case == covered.waiting
    assert "it differs from checkpoint 2 of 2026-11-23 09:00 UTC" in fault.reason
    assert not (await covered.audit(covered.waiting)).verified


async def test_what_was_taken_out_or_put_in_is_named(covered: Covered) -> None:
    messages = await read(covered.nats)
    await write(covered.nats, [item for item in messages if covered.waiting not in item.subject])
    report = await covered.audit()
    assert f"case {covered.waiting}: checkpoint 2 of 2026-11-23 09:00 UTC has an event of it" in reasons(report)
    assert "it ends at sequence 6, but the last checkpoint covers it up to 10" in reasons(report)
    stranger = "0b7f5e9c-7d1b-5b5c-8a57-111111111111"
    moved = [
        type(item)(item.subject.replace(covered.waiting, stranger), item.headers, item.data, item.sequence)
        for item in messages
    ]
    await write(covered.nats, moved)
    assert f"case {stranger}: checkpoint 2 of 2026-11-23 09:00 UTC has no such events" in reasons(await covered.audit())


async def test_the_end_of_a_case_that_was_replaced_is_found(covered: Covered) -> None:
    messages = await read(covered.nats)
    await write(covered.nats, messages[:-1])
    await append(covered.nats, "admin", covered.waiting, Closed())
    assert f"case {covered.waiting}: it differs from checkpoint 2" in reasons(await covered.audit())


async def test_another_key_a_missing_and_a_changed_checkpoint_are_told(covered: Covered) -> None:
    assert reasons(await covered.audit(key=OTHER)).count("its signature was not made with this key") == 2
    assert not (await covered.audit(covered.waiting, OTHER)).verified
    with pytest.raises(PermanentError, match="not signed with this key"):
        await covered.make(OTHER)
    first, second = sorted(covered.path.iterdir())
    kept = first.read_bytes()
    first.write_bytes(kept.rsplit(b"\n", 2)[0] + b"\n")
    assert "the heads in its file are not those that were signed" in reasons(await covered.audit())
    first.write_bytes(b"{}\n")
    assert "a checkpoint cannot be read" in reasons(await covered.audit())
    first.unlink()
    assert "the one before it, 1, is missing" in reasons(await covered.audit())
    first.write_bytes(kept)
    lines = iter(second.read_bytes().splitlines(keepends=True))
    signed, heads = read_signed(lines), [CaseHead(*json.loads(line)) for line in lines]
    forged = sign(signed.checkpoint.model_copy(update={"previous": "0" * 64}), KEY)
    second.write_bytes(b"".join(to_lines(forged, heads)))
    assert "checkpoint 2: it does not follow from the one before it" in reasons(await covered.audit())
    for file in (first, second):
        file.unlink()
    assert "the folder has no checkpoint of it" in reasons(await covered.audit())


async def test_looks_that_were_changed_deleted_or_put_in_are_found(covered: Covered) -> None:
    async with as_user(covered.nats, "admin") as bus:
        found = await bus.direct_get(ACCESS, {"seq": 1, "next_by_subj": "access.>", "batch": 100})
        subjects = [dict(item.headers or {})["Nats-Subject"] for item in found]
        await bus.jetstream.delete_stream(ACCESS)
        await bus.jetstream.add_stream(name=ACCESS, subjects=["access.*.*"], allow_direct=True)
        for subject, item in zip(subjects[:-1], found, strict=False):
            await bus.publish(subject, item.data, stream=ACCESS)
        assert "entries that it covers were changed" in reasons(await covered.audit())
        await bus.publish(subjects[-1], found[-1].data, stream=ACCESS)
        assert (await covered.audit()).faults[1:] == ()


async def test_checkpoints_of_a_longer_trail_are_not_gone_on_with(covered: Covered) -> None:
    await write(covered.nats, (await read(covered.nats))[:5])
    with pytest.raises(PermanentError, match="ends before its last checkpoint"):
        await covered.make()


async def test_a_long_trail_is_covered_by_several_checkpoints(
    covered: Covered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkpoints, "MAX_EVENTS", 3)
    monkeypatch.setattr("shared.messaging.event_store.read_stream_pages", partial(read_stream_pages, size=2))
    monkeypatch.setattr(checkpoints, "PAGE", 2)
    path = tmp_path / "again"
    path.mkdir()
    numbers = []
    while (made := await make(covered.nats, path)) is not None:
        numbers.append(made.number)
    assert numbers == [1, 2, 3]
    report = await audit(covered.nats, covered.ehr, None, (Folder(path), KEY.public_key()))
    assert (report.faults, report.checkpoints) == ((), 3)


async def test_of_two_processes_one_makes_the_next_checkpoint(covered: Covered) -> None:
    await append(covered.nats, "admin", covered.waiting, Closed())
    last = covered.folder.last()
    assert last is not None
    signed: SignedCheckpoint = sign(next_checkpoint(last, [], time=T0, last=11, access=(1, "")), KEY)
    assert covered.folder.add(signed, [])
    assert not covered.folder.add(signed, [])
    assert covered.folder.numbers() == [1, 2, 3]
    assert len(list(covered.path.iterdir())) == 3, "nothing unfinished is left"


def tampered(text: str, name: str, value: object) -> bytes:
    return json.dumps(json.loads(text) | {name: value}).encode()


async def test_one_case_is_proven_without_a_stack(covered: Covered) -> None:
    last = {item.sequence: item for item in await read(covered.nats)}
    for case, sequence in ((covered.done, 6), (covered.waiting, 10)):
        text = proof.prove(covered.folder, case).model_dump_json()
        found, checkpoint = proof.check(text.encode(), KEY.public_key())
        assert (found.case, found.sequence, checkpoint.number) == (case, sequence, 2)
        assert case in last[sequence].subject
        others: Sequence[tuple[str, object]] = [
            ("case", covered.path.name),
            ("sequence", 5),
            ("digest", "0" * 64),
            ("index", 1 - found.index),
            ("path", []),
            ("checkpoint", found.checkpoint.replace('"last":10', '"last":11')),
            ("signature", "00" * 64),
            ("path", ["zz"]),
        ]
        for name, value in others:
            with pytest.raises(PermanentError):
                proof.check(tampered(text, name, value), KEY.public_key())
        with pytest.raises(PermanentError, match="not signed with this key"):
            proof.check(text.encode(), OTHER.public_key())
    with pytest.raises(PermanentError, match="no checkpoint covers"):
        proof.prove(covered.folder, "another")


async def test_approval_makes_them_by_itself(nats: NatsServer, tmp_path: Path) -> None:
    await nats.provision()
    key = tmp_path / "key.pem"
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path, ehr = tmp_path / "checkpoints", sandbox()
    path.mkdir()
    settings = {"checkpoint_dir": path, "checkpoint_key_file": key, "checkpoint_every": timedelta(milliseconds=200)}
    async with running(nats, ehr, **settings) as stack:
        await filed(stack)

        async def all_covered() -> bool:
            last = Folder(path).last()
            return last is not None and last.checkpoint.last == 6

        await until(all_covered, "the case to be covered")
    report = await audit(nats, ehr, None, (Folder(path), KEY.public_key()))
    assert report.faults == ()
    assert report.checkpoints >= 1


async def test_what_keeps_a_checkpoint_from_being_made_is_told_and_holds_up_nothing_else(
    nats: NatsServer, tmp_path: Path
) -> None:
    await nats.provision()
    key = tmp_path / "key.pem"
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    settings = {
        "checkpoint_dir": tmp_path / "gone",
        "checkpoint_key_file": key,
        "checkpoint_every": timedelta(milliseconds=100),
    }
    async with running(nats, sandbox(), **settings) as stack:

        async def told() -> bool:
            async with as_user(nats, "admin") as bus:
                query = {"seq": 1, "next_by_subj": "alert.*.checkpoints-failing", "batch": 1}
                return bool(await bus.direct_get("ALERTS", query))

        await until(told, "the alert")
        await filed(stack)
        (tmp_path / "gone").mkdir()

        async def made() -> bool:
            return Folder(tmp_path / "gone").last() is not None

        await until(made, "a checkpoint, now that there is a folder")


async def test_the_commands_of_an_auditor_elsewhere(covered: Covered, monkeypatch: pytest.MonkeyPatch) -> None:
    """NATS is reached by its address; a proof and its check need neither NATS nor a stack."""
    secret, public = covered.path.parent / "key.pem", covered.path.parent / "key.pub"
    secret.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    await append(covered.nats, "admin", covered.waiting, Reassigned(owner="Practitioner/x", by=BY, reason="b" * 64))
    with monkeypatch.context() as environment:
        set_environment(environment, covered.nats, "auditor")
        (made,) = await audit_command.checkpoint(None, covered.path, secret)
        assert (made.number, made.last) == (3, 11)
        assert await audit_command.checkpoint(None, covered.path, secret) == []
    invoke = CliRunner().invoke
    done = invoke(app, ["audit", "proof", covered.waiting, "--checkpoints", str(covered.path), "--json"])
    assert done.exit_code == 0, done.output
    file = covered.path.parent / "case.proof"
    file.write_text(done.stdout)
    said = invoke(app, ["audit", "check-proof", str(file), "--key", str(public)]).stdout
    assert f"checkpoint 3) case {covered.waiting} ended with the event at sequence 11" in said
    told = json.loads(invoke(app, ["audit", "check-proof", str(file), "--key", str(public), "--json"]).stdout)
    assert (told["case"], told["sequence"]) == (covered.waiting, 11)
    file.write_text("{}")
    refused = invoke(app, ["audit", "check-proof", str(file), "--key", str(public)])
    assert isinstance(refused.exception, PermanentError)
    assert "this is not a proof" in str(refused.exception)
