"""`countersign audit`: verify the event stream, sign checkpoints of it, prove single cases.

Modules that connect to NATS are imported when a command runs, so that `--help` stays fast.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from cli.client import call_api
from cli.contexts import active_context
from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table, progress_bar
from cli.runtime import run_async

if TYPE_CHECKING:
    from services.approval.verification.report import VerificationReport
    from shared.contracts.checkpoint import Checkpoint

app = typer.Typer(no_args_is_help=True, help="Verify the audit trail.")

CHECKPOINT_DIR = "COUNTERSIGN_CHECKPOINT_DIR"
PUBLIC_KEY_FILE = "COUNTERSIGN_CHECKPOINT_PUBLIC_KEY_FILE"
CheckpointFolder = Annotated[
    Path | None, typer.Option("--checkpoints", envvar=CHECKPOINT_DIR, help="folder with the signed checkpoints")
]
PublicKey = Annotated[
    Path | None, typer.Option("--key", envvar=PUBLIC_KEY_FILE, help="Ed25519 public key of the checkpoints, PEM file")
]


@app.command("verify")
def verify_command(
    case: Annotated[str | None, typer.Option("--case", help="verify only this case")] = None,
    checkpoints: CheckpointFolder = None,
    key: PublicKey = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Recompute every digest, and compare the event stream with the EHR and with its signed checkpoints.

    In a context the installation verifies itself, and says what it did not check.
    """
    if (checkpoints is None) != (key is None):
        raise CommandError("Checkpoints are verified with a key: give --checkpoints and --key, or neither.")
    from cli.settings import remote_stack

    if checkpoints is None and remote_stack(data_dir) is None and active_context(data_dir) is not None:
        from cli.audit.remote import print_run, verify_by_http

        run = verify_by_http(data_dir, case)
        emit(run, as_json, lambda: print_run(run))
        if not run["verified"]:
            raise typer.Exit(1)
        return
    report = run_async(verify(data_dir, case, checkpoints, key))
    emit(report.as_dict(), as_json, lambda: _print_report(report))
    if not report.verified:
        raise typer.Exit(1)


@app.command("access")
def access_command(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]", help="case id; none: the whole log")] = None,
    person: Annotated[str | None, typer.Option("--person", help="who, as the sign-in names them")] = None,
    action: Annotated[
        str | None, typer.Option("--action", help="viewed, refused, signed-in, signed-out or exported")
    ] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="inclusive, in this machine's time zone")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="exclusive, in this machine's time zone")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="entries to list; not for a case alone")] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List who viewed drafts, signed in, exported, and who was refused; latest first, of a case alone oldest first.

    Needs a token of the role auditor.
    """
    from cli.audit.remote import search_access

    criteria = {"subject": person, "action": action, "since": since, "until": until}
    if case_id is not None and not any(criteria.values()):
        result = call_api(data_dir, "GET", f"/v1/cases/{quote(case_id, safe='')}/access", role="auditor")
    else:
        result = search_access(data_dir, criteria | {"case": case_id}, limit)
    emit(result, as_json, lambda: _print_access(result))


def _print_access(result: dict[str, Any]) -> None:
    table = make_table("time", "what", "who", "role", "case", "detail")
    for item in result["items"]:
        fields = (item["time"][:19], item["event"], item["subject"], item["role"], item["case_id"], item["detail"])
        table.add_row(*(field or "-" for field in fields))
    print_table(table if result["items"] else "Nothing of it is in the access log.")
    if result.get("next"):
        print("There are older entries: raise --limit, or narrow the period.")


@app.command("checkpoint")
def checkpoint_command(
    to: Annotated[Path, typer.Option("--to", envvar=CHECKPOINT_DIR, help="folder of the checkpoints")],
    key: Annotated[
        Path, typer.Option("--key", envvar="COUNTERSIGN_CHECKPOINT_KEY_FILE", help="Ed25519 private key, PEM file")
    ],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Sign the current end of every case's chain. Run it on a machine that NATS administrators cannot reach."""
    made = run_async(checkpoint(data_dir, to, key))

    def show() -> None:
        for item in made:
            print(
                f"checkpoint {item.number}: events up to {item.last}, "
                f"access log up to {item.access_last}, root {item.root}"
            )
        if not made:
            print("Nothing has happened since the last checkpoint.")

    emit([item.model_dump(mode="json") for item in made], as_json, show)


@app.command("proof")
def proof_command(
    case: Annotated[str, typer.Argument(metavar="CASE", help="case id")],
    checkpoints: Annotated[
        Path, typer.Option("--checkpoints", envvar=CHECKPOINT_DIR, help="folder with the signed checkpoints")
    ],
    as_json: AsJson = False,
) -> None:
    """Prove from the checkpoints alone with which event the chain of a case ended."""
    from services.approval.verification.inclusion import prove
    from shared.messaging.checkpoints import Folder

    found = prove(Folder(checkpoints), case)
    text = f"case {case}: event at sequence {found.sequence}, digest {found.digest}; --json prints the proof"
    emit(found.model_dump(mode="json"), as_json, text)


@app.command("check-proof")
def check_proof_command(
    file: Annotated[Path, typer.Argument(help="output of `audit proof --json`", exists=True, dir_okay=False)],
    key: Annotated[
        Path, typer.Option("--key", envvar=PUBLIC_KEY_FILE, help="Ed25519 public key of the checkpoints, PEM file")
    ],
    as_json: AsJson = False,
) -> None:
    """Check a proof. Needs no stack."""
    from services.approval.verification.inclusion import check
    from shared.messaging.checkpoints import public_key

    found, checkpoint = check(file.read_bytes(), public_key(key))
    facts = {"case": found.case, "sequence": found.sequence, "digest": found.digest}
    text = (
        f"proven: on {checkpoint.time:%Y-%m-%d %H:%M} UTC (checkpoint {checkpoint.number}) case {found.case} "
        f"ended with the event at sequence {found.sequence}, whose digest is {found.digest}"
    )
    emit(facts | {"checkpoint": checkpoint.number, "time": checkpoint.time.isoformat()}, as_json, text)


async def verify(
    data_dir: Path | None, case: str | None, checkpoints: Path | None, key: Path | None
) -> "VerificationReport":
    """Verify one case or every case; shows a progress bar on a terminal."""
    from cli.audit import run

    with progress_bar("events") as (progress, task):

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        return await run.verify(data_dir, case, update, checkpoints, key)


def _print_report(report: "VerificationReport") -> None:
    for fault in report.faults:
        print(fault)
    for reason in report.unchecked:
        print(f"not checked: {reason}")
    for case in report.reimported:
        print(f"case {case}: re-imported from the EHR after a restore (countersign cases history {case})")
    if report.erased:
        print(f"erased: the texts of {report.erased} cases; their events and their documents in the EHR were verified")
    counts = f"{report.cases} cases, {report.events} events, {report.checkpoints} checkpoints"
    print(f"{'verified' if report.verified else 'NOT VERIFIED'}: {counts}")


async def checkpoint(data_dir: Path | None, folder: Path, key: Path) -> "list[Checkpoint]":
    """Sign as many checkpoints as there are events to cover, and return them."""
    from cli.connections import open_bus
    from shared.messaging.checkpoints import Checkpoints, Folder, signing_key

    made: list[Checkpoint] = []
    private = signing_key(key)
    async with open_bus(data_dir, "auditor") as connection:
        maker = Checkpoints(connection, Folder(folder), private, lambda: datetime.now(UTC))
        while (found := await maker.make()) is not None:
            made.append(found)
    return made
