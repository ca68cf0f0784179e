"""`make bench-proof`: what checkpoints and `audit verify` take, by how many cases the trail has.

A trail of cases with two events each, on a real server that syncs every write. Checkpoints are made and the trail is
verified in processes of their own, so that their memory is theirs alone. No case is filed: the chart is not asked.
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.result_files import keep
from services.approval.verification.verifier import EventStreamVerifier
from shared.contracts.envelope import CHAIN_START
from shared.contracts.subjects import CaseRef
from shared.messaging.checkpoints import Checkpoints, Folder, signing_key
from shared.messaging.connection import NatsConnection, connect
from shared.messaging.event_store import EventStore
from tests.support.ehr import client, sandbox
from tests.support.examples import T0, event
from tests.support.server import NatsServer

WRITERS = 128
app = typer.Typer()


async def publish_cases(bus: NatsConnection, cases: int) -> None:
    """Append two events of each case."""
    journal, numbers = EventStore(bus, "admin"), iter(range(cases))

    async def write() -> None:
        for number in numbers:
            ref, head = CaseRef("surgery", str(UUID(int=number))), CHAIN_START
            for step, name in enumerate(("discharged", "context-extracted")):
                id = str(UUID(int=number * 2 + step))
                head = await journal.append(ref, event(name), after=head, id=id, time=T0)

    await asyncio.gather(*(write() for _ in range(WRITERS)))


async def child(what: str, url: str, seed: str, folder: Path) -> dict[str, Any]:
    bus, begun = await connect(url, "auditor", seed), time.perf_counter()
    key = signing_key(folder / "key.pem")
    before = _memory()
    if what == "checkpoints":
        maker, count = Checkpoints(bus, Folder(folder), key, lambda: datetime.now(UTC)), 0
        while await maker.make() is not None:
            count += 1
        found: dict[str, Any] = {"checkpoints": count}
    else:
        report = await EventStreamVerifier(bus, client(sandbox()), (Folder(folder), key.public_key())).all()
        assert report.verified, report.faults[:3]
        found = {"cases": report.cases, "events": report.events}
    await bus.close()
    seconds = round(time.perf_counter() - begun, 1)
    return found | {"seconds": seconds, "mb_before": before, "mb_at_most": _memory()}


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def measure(cases: int) -> dict[str, Any]:
    found: dict[str, Any] = {"cases": cases}
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        folder = Path(directory) / "checkpoints"
        folder.mkdir()
        key = Ed25519PrivateKey.generate()
        (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        server = NatsServer(Path(directory))
        server.start()
        try:
            await server.provision()
            bus = await server.connect("admin")
            await publish_cases(bus, cases)
            await bus.close()
            for what in ("checkpoints", "verify"):
                command = ("-m", "bench.proof", "child", what, server.url, server.secrets.seeds["auditor"], str(folder))
                process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
                found[what] = json.loads((await process.communicate())[0])
            found["mb_of_checkpoints"] = round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6, 1)
        finally:
            server.kill()
    return found


@app.command("child", hidden=True)
def run_child(what: str, url: str, seed: str, folder: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(child(what, url, seed, folder))))


@app.command()
def main(cases: Annotated[int, typer.Option(help="cases on the trail")] = 100_000) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(cases))
    keep("proof", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    app()
