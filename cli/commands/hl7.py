"""`countersign hl7`: explain, send and watch HL7v2 messages."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import CommandError
from cli.options import AsJson
from cli.output import emit, make_table, print_table, stderr
from cli.runtime import run_async

if TYPE_CHECKING:
    from services.ingest.hl7.receive import FrameOutcome

app = typer.Typer(no_args_is_help=True, help="Explain, send and watch HL7v2 messages.")
File = Annotated[Path, typer.Argument(metavar="FILE", help="HL7v2 messages, in MLLP frames or one without a frame")]
SendersFile = Annotated[
    Path | None,
    typer.Option("--senders", envvar="COUNTERSIGN_HL7_SENDERS", help="file of senders; default: one without settings"),
]
SenderName = Annotated[str | None, typer.Option("--sender", help="the sender of the file to read the messages as")]
Zone = Annotated[str, typer.Option("--zone", help="time zone of the sender, without a file of senders")]
Host = Annotated[str, typer.Option("--host", help="address of the listener")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="port of the listener")]


@app.callback()
def hl7() -> None:
    """Explain, send and watch HL7v2 messages."""


@app.command()
def explain(
    file: File, senders: SendersFile = None, sender: SenderName = None, zone: Zone = "UTC", as_json: AsJson = False
) -> None:
    """Show what would be answered to each message of a file and done about it, and why. Nothing is stored or sent."""
    from cli.hl7.explain import choose_senders, explain, read_frames

    found = list(explain(read_frames(file), choose_senders(senders, sender, zone), datetime.now(UTC)))
    emit(found, as_json, lambda: _show(found))


@app.command()
def send(
    file: File,
    port: Port,
    host: Host = "127.0.0.1",
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="seconds to wait for each answer")] = 30.0,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="CA of the listener; without it no TLS")] = None,
    certificate_file: Annotated[Path | None, typer.Option("--certificate-file", help="own TLS certificate")] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", help="private key of the certificate")] = None,
    as_json: AsJson = False,
) -> None:
    """Send the messages of a file by MLLP, one at a time. Exit code 1: an answer was negative, or there was none."""
    from cli.hl7.client import POSITIVE, Target, send
    from cli.hl7.explain import read_frames
    from shared.hl7.mllp import Frame

    contents = [item.content for item in read_frames(file) if isinstance(item, Frame)]
    target = Target(host, port, timeout, ca_file, certificate_file, key_file)

    async def collect() -> list[dict[str, Any]]:
        return [item async for item in send(contents, target)]

    found = run_async(collect())
    lines = [f"message {item['message']}: {', '.join(item['answers']) or _no_answer(item)}" for item in found]
    emit(found, as_json, "\n".join(lines))
    if len(found) < len(contents) or any(item["missing"] or set(item["answers"]) - {*POSITIVE} for item in found):
        raise typer.Exit(1)


@app.command()
def listen(
    port: Port,
    host: Host = "127.0.0.1",
    senders: SendersFile = None,
    sender: SenderName = None,
    zone: Zone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Answer a copy of a feed as ingest would, and show what each message would do. Nothing is stored."""
    from cli.hl7.explain import choose_senders
    from services.ingest.hl7.sender import Senders
    from shared.runtime.settings import Hl7Settings

    known = Senders(senders=choose_senders(senders, sender, zone))
    settings = Hl7Settings(port=port, host=host, senders=senders or Path("-"))
    run_async(_listen(settings, known, as_json))


async def _listen(settings: Any, known: Any, as_json: bool) -> None:
    from cli.hl7.explain import describe
    from services.ingest.hl7.listener import MllpListener

    class Shown:
        async def store(self, outcome: "FrameOutcome") -> None:
            found = describe(outcome)
            print(json.dumps(found) if as_json else _line(found), flush=True)

        report_broken_frame = store

    listener = MllpListener(settings, known, Shown(), lambda: datetime.now(UTC), lambda: "LOOK")
    try:
        await listener.start()
    except (OSError, UnicodeError) as error:  # the latter: no name of a host has such characters, or so many
        reason = getattr(error, "strerror", None) or "no such host"
        raise CommandError(f"{settings.host}:{settings.port} cannot be listened on ({reason}).") from None
    stderr.print("listening; messages are answered and not stored: send a copy of the feed")
    try:
        await asyncio.Event().wait()
    finally:
        await listener.stop()


def _no_answer(item: dict[str, Any]) -> str:
    return "no answer" if item["missing"] else "sent; it asks for no answer"


def _show(found: list[dict[str, Any]]) -> None:
    table = make_table("event", "answer", "effect", "why", "department", "happened", "stored as")
    for item in found:
        stored = item["stored"] or {}
        happened = stored.get("occurred_at") or stored.get("recorded_at")
        cells = (item["answer"], item["effect"], item["reason"], stored.get("department"), happened)
        table.add_row(item["event"], *(cell or "-" for cell in cells), stored.get("subject") or "-")
    print_table(table)


def _line(item: dict[str, Any]) -> str:
    return f"{item['sender']} {item['event']} {item['answer'] or '-'} {item['effect']}: {item['reason']}"
