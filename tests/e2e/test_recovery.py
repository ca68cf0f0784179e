"""Mending by the command, on the whole embedded stack: dead letters, backup, restore, doctor."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from nats.js import JetStreamContext

from cli.backup.run import back_up, restore
from cli.errors import CommandError
from cli.stack.ports import free_port
from cli.stack.secrets import load_or_create
from shared.messaging.connection import connect
from tests.e2e.test_command import SCRIPTED, approve, case_in, children_of, discharge, refused, until
from tests.support.command import COUNTERSIGN, Up, run, up
from tests.support.keys import pair

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def told(stack: Up, *arguments: str, code: int = 0) -> Any:
    """`countersign … --json`, as an operator runs it."""
    done = run(*arguments, "--json", "--data-dir", str(stack.data_dir))
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


async def test_a_disaster_from_backup_to_signature(tmp_path: Path) -> None:
    """Cases, a knowledge base and a dead letter; a backup of the running stack; the machine is lost; another one."""
    backup, new = tmp_path / "backup", tmp_path / "new"
    key, public = pair(tmp_path, "backup")
    with up(tmp_path / "old", free_port(), *SCRIPTED) as stack:
        assert told(stack, "knowledge", "refresh", "--wait")["state"] == "promoted"
        first, second, third = stack.access["demo_encounters"][:3]
        filed, waiting, late = discharge(stack, first), discharge(stack, second), discharge(stack, third)
        failed = discharge(stack, "enc-of-nobody")
        case_in(stack, waiting, "awaiting-review")
        case_in(stack, late, "awaiting-review")
        case_in(stack, filed, "awaiting-review")
        assert approve(stack, filed).status_code == 200
        case_in(stack, filed, "filed")
        case_in(stack, failed, "failed")
        check_dead_letters(stack, failed)
        check_a_killed_backup(stack, backup)
        made = told(stack, "backup", "--to", str(backup), "--encrypt-to", str(public))
        assert (made["cases"], made["points"], made["encrypted"]) == (4, 61, True)
        check_rotation(stack, tmp_path / "backups")
        check_an_erasure(stack, filed, waiting)
        with pytest.raises(CommandError, match="must not lie in the data directory"):
            await back_up(stack.data_dir / "backup", stack.data_dir, None)
        with pytest.raises(CommandError, match="stop it first"):
            await restore(backup, stack.data_dir, key, replace=False)
        assert approve(stack, late).status_code == 200
        case_in(stack, late, "filed")
        stack.kill()
    with pytest.raises(CommandError, match="--key"):
        await restore(backup, new, None, replace=False)
    list_of = ("--erasures", str(tmp_path / "old" / "erasures"))
    done = run("restore", "--from", str(backup), "--key", str(key), *list_of, "--json", "--data-dir", str(new))
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["cases"], json.loads(done.stdout)["erased"]) == (4, 1)
    for file in (tmp_path / "old").glob("sandbox-ehr.sqlite*"):  # the EHR was not lost
        shutil.copy(file, new / file.name)
    with up(new, free_port(), *SCRIPTED) as stack:
        check_what_was_signed_since(stack, late)
        assert approve(stack, waiting).status_code == 200
        case_in(stack, waiting, "filed")
        proof = told(stack, "audit", "verify")
        assert (proof["verified"], proof["reimported"]) == (True, [late])
        assert proof["erased"] == 1, "it was erased after the backup was made"
        found = told(stack, "knowledge", "search", "weigh every morning", "-k", "1")
        assert (found["version"], found["items"][0]["document"]) == (1, "heart-failure.md")
        assert told(stack, "knowledge", "refresh", "--wait")["state"] == "skipped"
        (letter,) = told(stack, "dead-letters", "list", "--all")
        assert (letter["state"], letter["by"], letter["why"]) == ("discarded", "kim", "a test of the interface")
        await check_the_doctor(stack)
        assert stack.stop(signal.SIGTERM) == 0


def check_what_was_signed_since(stack: Up, late: str) -> None:
    """It stands in the chart, and the trail has it as waiting."""
    assert told(stack, "audit", "verify", code=1)["verified"] is False
    command = ("cases", "reimport")
    (found,) = told(stack, *command, code=1)["cases"]
    assert (found["case_id"], found["state"]) == (late, "to be taken over")
    assert "Give the reason" in refused(run(*command, "--yes", "--data-dir", str(stack.data_dir)))
    (done,) = told(stack, *command, "--yes", "--reason", "last night's backup", "--by", "kim")["cases"]
    assert (done["case_id"], done["state"]) == (late, "taken over")
    assert [event["actor"] for event in told(stack, "cases", "history", late)][-1] == "kim"
    assert told(stack, *command) == {"cases": [], "refused": [], "unchecked": [], "unreadable": []}


def check_dead_letters(stack: Up, failed: str) -> None:
    (letter,) = told(stack, "dead-letters", "list")
    number = str(letter["sequence"])
    said = told(stack, "dead-letters", "discard", number, "--reason", "a test of the interface", "--by", "kim")["done"]
    assert f"case {failed} stays failed and open" in said
    assert told(stack, "dead-letters", "list") == []
    many = ("dead-letters", "redrive", "--all", "--consumer", "drafter-extract", "--yes")
    assert told(stack, *many) == {"done": 0, "refused": []}
    assert case_in(stack, failed, "failed")


def check_rotation(stack: Up, folder: Path) -> None:
    made = [told(stack, "backup", "--into", str(folder), "--keep", "1")["to"] for _ in range(2)]
    assert [str(path) for path in folder.iterdir()] == made[1:]


def check_an_erasure(stack: Up, filed: str, waiting: str) -> None:
    """A case under review is refused and named; one that has ended goes for good."""
    asked = ("--ground", "patient-request", "--reference", "DSR-1", "--yes")
    assert told(stack, "erase", "--case", waiting, *asked, code=1)["ordered"] == []
    assert told(stack, "erase", "--case", filed, *asked)["ordered"] == [filed]

    def erased() -> bool:
        return "erased" in [event["event"] for event in told(stack, "cases", "history", filed)]

    until(erased, "the texts to be erased")


def check_a_killed_backup(stack: Up, to: Path) -> None:
    """kill -9 in the middle: no restore takes what is left, and the next backup takes its place."""
    command = [str(COUNTERSIGN), "backup", "--to", str(to), "--data-dir", str(stack.data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (to / "streams").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.kill()
    process.wait()
    said = refused(run("restore", "--from", str(to), "--data-dir", str(stack.data_dir.parent / "none")))
    assert "was never finished" in said
    assert said.count("\n") == 1


async def check_the_doctor(stack: Up) -> None:
    """Healthy; then everything is broken that can be, and each is named."""
    before = told(stack, "doctor")
    assert before["healthy"] is True
    await break_streams(stack)
    (triton,) = [item for item in children_of(stack.process) if item.name() == "tritonserver"]
    triton.suspend()
    try:
        after = told(stack, "doctor", code=1)
    finally:
        triton.resume()
    faults = {item["what"]: item for item in after["findings"] if item["level"] == "fault"}
    assert "missing on DISCHARGE" in faults["consumer drafter-draft"]["says"]
    assert faults["stream EHR"]["says"] == "max_age is 3600.0, expected 2592000.0"
    assert "not ready" in faults["model embedder"]["says"]
    assert "permissions are missing: deadletter.evaluator.*" in faults["user evaluator"]["says"]
    assert "other users can read access.json" in faults["secrets"]["says"]
    assert "none of its vectors" not in json.dumps(after)
    assert all(item["do"] for item in faults.values())


async def break_streams(stack: Up) -> None:
    bus = await connect(stack.access["nats_url"], "admin", load_or_create(stack.data_dir).seeds["admin"])
    jetstream: JetStreamContext = bus.jetstream
    await jetstream.delete_consumer("DISCHARGE", "drafter-draft")
    info = await jetstream.stream_info("EHR")
    await jetstream.update_stream(info.config.evolve(max_age=3600.0))
    await bus.close()
    (stack.data_dir / "access.json").chmod(0o644)
    config = stack.data_dir / "nats.conf"
    config.write_text(config.read_text().replace('"deadletter.evaluator.*"', '"deadletter.evaluator.x"'))
    (server,) = [item for item in children_of(stack.process) if item.name() == "nats-server"]
    reloaded = (stack.data_dir / "logs" / "nats.log").read_text().count("Reloaded server configuration")
    server.send_signal(signal.SIGHUP)
    log = stack.data_dir / "logs" / "nats.log"
    until(lambda: log.read_text().count("Reloaded server configuration") > reloaded, "the new rights")
    assert psutil.pid_exists(server.pid)
