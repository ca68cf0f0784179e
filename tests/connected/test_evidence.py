"""The evidence pack of a case: a third party checks it offline, and finds whatever was changed in it."""

import asyncio
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from services.approval.verification.inclusion import prove
from shared.contracts.errors import PermanentError
from shared.messaging.checkpoints import Folder
from tests.support.corrections import amend, filed, retract
from tests.support.ehr import sandbox, stays
from tests.support.oidc import OidcServer
from tests.support.people import access_entries, bearer, open_review_case
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected
PYTHON = [sys.executable, "-I", "-S"]  # no package but the standard library


@pytest.fixture
async def signing(nats: NatsServer, tmp_path: Path) -> AsyncIterator[tuple[Stack, Path, Path]]:
    """A stack that signs checkpoints; their folder, and the public key of them."""
    await nats.provision()
    key = Ed25519PrivateKey.generate()
    private, public, folder = tmp_path / "key.pem", tmp_path / "public.pem", tmp_path / "checkpoints"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    folder.mkdir()
    settings = {"checkpoint_dir": folder, "checkpoint_key_file": private}
    async with running(nats, sandbox(), checkpoint_every=timedelta(milliseconds=100), **settings) as stack:
        yield stack, folder, public


async def covered(folder: Path, case_id: str, sequence: int) -> None:
    async def there() -> bool:
        try:
            return (await asyncio.to_thread(prove, Folder(folder), case_id)).sequence >= sequence
        except PermanentError:
            return False

    await until(there, "a checkpoint of the case")


async def unpacked(stack: Stack, case_id: str, role: str, to: Path) -> Path:
    answer = await stack.call(role, "GET", f"/v1/cases/{case_id}/evidence")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(to)
    return to / f"evidence-{case_id}"


def check(folder: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run([*PYTHON, str(folder / "verify.py"), *options], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def resum(folder: Path) -> None:
    """Make SHA256SUMS again, as whoever tampers with the pack would."""
    files = sorted(item for item in folder.rglob("*") if item.is_file() and item.name != "SHA256SUMS")
    lines = (
        f"{hashlib.sha256(item.read_bytes()).hexdigest()}  {item.relative_to(folder).as_posix()}\n" for item in files
    )
    (folder / "SHA256SUMS").write_text("".join(lines))


def changed(path: Path, change: Callable[[Any], Any]) -> None:
    found = json.loads(path.read_bytes())
    path.write_text(json.dumps(change(found) or found))


async def test_a_pack_is_checked_offline_and_every_change_of_it_is_found(
    signing: tuple[Stack, Path, Path], tmp_path: Path
) -> None:
    stack, folder, public = signing
    case_id = await filed(stack)
    await amend(stack, case_id)
    events = (await stack.reaches(case_id, "filed", 8))["events"]
    await covered(folder, case_id, len(events))  # the stream has no other case
    pack = await unpacked(stack, case_id, "physician", tmp_path / "whole")
    code, said = check(pack, "--key", str(public))
    assert code == 0, said
    assert "0 later events" in said
    files = [item for item in pack.rglob("*") if item.is_file()]
    assert len(files) >= 13
    assert any(item.suffix == ".txt" and item.parent.name == "renditions" for item in files)
    for file in files:
        kept = file.read_bytes()
        at = len(kept) // 2
        file.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
        if file.name != "verify.py":  # who changes that one runs another program
            assert check(pack, "--key", str(public))[0] != 0, f"{file.name} was changed"
        file.unlink()
        if file.name != "verify.py":
            assert check(pack, "--key", str(public))[0] != 0, f"{file.name} was removed"
        file.write_bytes(kept)
    assert check(pack)[0] == 0
    await asyncio.to_thread(forge, pack, public)


def forge(pack: Path, public: Path) -> None:
    """Change one thing at a time, and make the sums fit: what the events or the checkpoint prove is found even so."""

    def last_line(data: bytes) -> bytes:
        return b"".join(data.splitlines(keepends=True)[:-1])

    rendition = next((pack / "renditions").glob("*.txt"))
    forgeries: dict[str, Callable[[], Any]] = {
        "events.jsonl": lambda: (pack / "events.jsonl").write_bytes(last_line((pack / "events.jsonl").read_bytes())),
        "digests.json": lambda: changed(pack / "digests.json", lambda it: it["filings"].pop()),
        "signature.json": lambda: changed(pack / "signature.json", lambda it: it[0]["by"].update(subject="evil")),
        "provenance.json": lambda: changed(
            pack / "provenance.json", lambda it: it[0]["resource"].update(entity=it[1]["resource"]["entity"])
        ),
        "renditions.json": lambda: changed(pack / "renditions.json", lambda it: it[0].update(sha256="0" * 64)),
        "checkpoint.json": lambda: changed(
            pack / "checkpoint.json", lambda it: it.update(path=[*it["path"], 64 * "0"])
        ),
        "checkpoint-key.pem": lambda: (pack / "checkpoint-key.pem").write_bytes(
            Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        ),
        "manifest.json": lambda: changed(pack / "manifest.json", lambda it: it.update(case="another")),
        rendition.name: lambda: rendition.write_bytes(b"another text"),
    }
    for name, tamper in forgeries.items():
        kept = {item: item.read_bytes() for item in pack.rglob("*") if item.is_file()}
        tamper()
        resum(pack)
        code, said = check(pack)
        assert code == 1, f"{name}: {said}"
        assert "ok      files as they were packed" in said, "it is found by its meaning"
        for item, data in kept.items():
            item.write_bytes(data)
    assert check(pack, "--key", str(public))[0] == 0


async def test_an_auditor_gets_digests_without_texts_and_it_is_logged(
    signing: tuple[Stack, Path, Path], tmp_path: Path
) -> None:
    stack, _, _ = signing
    case_id = await filed(stack)
    pack = await unpacked(stack, case_id, "auditor", tmp_path / "auditor")
    manifest = json.loads((pack / "manifest.json").read_bytes())
    assert (manifest["texts"], manifest["role"]) == (False, "auditor")
    assert any("does not read them" in reason for reason in manifest["not_included"])
    assert not (pack / "renditions").exists()
    text = next(iter(stack.in_chart("DocumentReference")))["content"][0]["attachment"]["data"]
    whole = b"".join(item.read_bytes() for item in pack.rglob("*") if item.is_file())
    patient = stack.in_chart("Patient")
    assert text.encode()[:200] not in whole
    names = {name["family"] for item in patient for name in item["name"]}
    assert not any(name.encode() in whole for name in names)
    code, said = check(pack)
    assert code == 0, said
    assert "not their texts" in said
    entries = [item for item in await access_entries(stack, case_id) if item["event"] == "exported"]
    assert [(item["subject"], item["detail"]) for item in entries] == [
        ("demo-auditor", "evidence pack without documents")
    ]


async def test_a_pack_of_a_case_that_is_not_signed_and_of_one_that_was_retracted_holds(
    secured: Stack, tmp_path: Path
) -> None:
    waiting, retracted = await open_review_case(secured), await filed(secured, stays(secured.ehr.style)[1])
    await retract(secured, retracted)
    for case_id, name in ((waiting, "waiting"), (retracted, "retracted")):
        pack = await unpacked(secured, case_id, "physician", tmp_path / name)
        code, said = check(pack)
        assert code == 0, said
    names = [item["event"] for item in json.loads((pack / "signature.json").read_bytes())]
    assert names == ["approved", "retracted"]


async def test_who_may_have_it(secured: Stack, provider: OidcServer) -> None:
    case_id = await open_review_case(secured)
    path = f"/v1/cases/{case_id}/evidence"
    for claims, status in (
        ({"roles": ["operator"], "departments": None}, 403),
        ({"departments": ["cardiology"]}, 404),
        ({"roles": ["auditor"], "departments": ["cardiology"]}, 404),
        ({"roles": ["auditor"], "departments": None}, 200),
        ({}, 200),
    ):
        answer = await secured.http.get(path, headers=bearer(provider.token(**claims)))
        assert answer.status_code == status, claims
    unknown = "/v1/cases/00000000-0000-0000-0000-000000000000/evidence"
    assert (await secured.call("auditor", "GET", unknown)).status_code == 404
    assert (await secured.call("auditor", "GET", "/v1/cases/*/evidence")).status_code == 404


async def test_a_pack_without_a_checkpoint_says_so_and_one_with_a_finding_fails(secured: Stack, tmp_path: Path) -> None:
    case_id = await filed(secured)
    pack = await unpacked(secured, case_id, "auditor", tmp_path / "before")
    code, said = check(pack)
    assert code == 0, said
    assert "no signed checkpoint covers the case" in said
    secured.in_chart("DocumentReference")[0]["content"][0]["attachment"]["data"] = "b3RoZXI="
    code, said = check(await unpacked(secured, case_id, "auditor", tmp_path / "after"))
    assert code == 1
    assert "the server found when it made the pack" in said
