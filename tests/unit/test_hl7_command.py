"""`countersign hl7`: what the commands print, and what they send."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.errors import CommandError
from cli.hl7.client import Target, send
from cli.hl7.explain import choose_senders
from cli.main import app
from cli.stack.ports import free_port
from services.ingest.hl7.listener import MllpListener
from services.ingest.hl7.receive import FrameOutcome
from services.ingest.hl7.sender import Senders
from shared.runtime.settings import Hl7Settings
from tests.support.hl7 import NOW, adt, framed, sender

SENDERS = """
senders:
  - {name: engine, zone: America/Chicago, departments: {MED: internal-medicine}}
  - {name: other, zone: UTC, applications: [ELSEWHERE]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "messages.hl7"
    path.write_bytes(framed() + framed("A01") + framed(PV1_19="") + framed()[:50])
    return path


def test_explain_says_what_would_be_answered_and_done_and_names_no_patient(file: Path, tmp_path: Path) -> None:
    (tmp_path / "senders.yaml").write_text(SENDERS)
    done = CliRunner().invoke(app, ["hl7", "explain", str(file), "--senders", str(tmp_path / "senders.yaml"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert [(item["event"], item["answer"], item["effect"]) for item in found] == [
        ("a03", "AA", "opens"),
        ("a01", "AA", "ignored"),
        ("a03", "AE", "refused"),
        ("other", None, "refused"),
    ]
    assert found[0]["sender"] == "engine"
    assert found[0]["stored"]["department"] == "internal-medicine"
    assert found[0]["stored"]["occurred_at"] == "2026-06-26T09:12:00+00:00"
    assert found[2]["error"] == {"code": "101", "location": "PV1^1^19"}
    assert not [value for value in ("MRN-1", "Nobody", "V-1") if value in done.output]
    text = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["hl7", "explain", str(file)]).output
    assert "the visit number is missing" in text


def test_explain_reads_a_message_without_a_frame(tmp_path: Path) -> None:
    (tmp_path / "plain.hl7").write_bytes(adt().replace(b"\r", b"\n"))
    done = CliRunner().invoke(app, ["hl7", "explain", str(tmp_path / "plain.hl7"), "--json"])
    assert [item["effect"] for item in json.loads(done.output)] == ["opens"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "absent.hl7"], "absent.hl7 cannot be read"),
        (["explain", "FILE", "--zone", "Nowhere"], "is not a time zone"),
        (["explain", "FILE", "--senders", "SENDERS", "--sender", "nobody"], "does not declare nobody"),
        (["send", "FILE", "--port", "1"], "does not answer"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], said: str, file: Path, tmp_path: Path) -> None:
    (tmp_path / "senders.yaml").write_text(SENDERS)
    places = {"FILE": str(file), "SENDERS": str(tmp_path / "senders.yaml")}
    done = CliRunner().invoke(app, ["hl7", *(places.get(item, item) for item in arguments)])
    assert isinstance(done.exception, CommandError)
    assert said in str(done.exception)


def test_without_a_file_there_is_one_sender_without_settings() -> None:
    (found,) = choose_senders(None, None, "Europe/Berlin")
    assert (found.name, str(found.zone)) == ("anybody", "Europe/Berlin")


async def test_send_waits_for_the_answers_that_are_asked_for() -> None:
    class Store:
        stored = 0

        async def store(self, outcome: FrameOutcome) -> None:
            self.stored += 1

        report_broken_frame = store

    store = Store()
    listener = MllpListener(Hl7Settings(), Senders(senders=(sender(),)), store, lambda: NOW, lambda: "1")
    await listener.start()
    contents = [adt(), adt(PV1_19=""), adt(MSH_15="NE", MSH_16="NE"), adt(MSH_9="ACK"), adt()]
    found = [item async for item in send(contents, Target("127.0.0.1", listener.port, 0.3))]
    await listener.stop()
    assert [item["answers"] for item in found] == [["AA"], ["AE"], [], [], ["AA"]]
    assert store.stored == 5


async def test_send_stops_where_no_answer_comes() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = [item async for item in send([adt(), adt()], Target("127.0.0.1", port, 30))]
    server.close()
    assert found == [{"message": 1, "answers": [], "missing": 1}]


async def test_listen_answers_and_shows_without_storing(tmp_path: Path) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "hl7", "listen", "--port", str(port), "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert process.stdout is not None
        assert b"not stored" in await asyncio.wait_for(process.stderr.readline(), 60)
        (answer,) = [item async for item in send([adt()], Target("127.0.0.1", port, 30))]
        assert answer["answers"] == ["AA"]
        assert json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["effect"] == "opens"
    finally:
        process.kill()
        await process.wait()
