"""The `countersign` command.

What a command needs is imported when it runs: `--help` must not wait for servers' libraries.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from cli import cases, deadletters, deployment, ehr_decisions, erasing, escalations, kinds, knowledge
from cli.errors import CommandError
from cli.stack.access import Access, default_data_dir
from shared.contracts.errors import CountersignError

if TYPE_CHECKING:
    from cli.stack.embedded import Options
    from services.approval.settings import Escalations

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Clinical AI that a physician countersigns.")
app.add_typer(cases.app, name="cases")
app.add_typer(deadletters.app, name="deadletter")
app.add_typer(ehr_decisions.app, name="ehr-decisions")
app.add_typer(erasing.hold_app, name="hold")
app.command("erase")(erasing.erase)
app.add_typer(escalations.app, name="escalations")
app.add_typer(kinds.app, name="kinds")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(deployment.secrets_app, name="secrets")
app.command("provision")(deployment.provision)
audit_app = typer.Typer(no_args_is_help=True, help="Prove the trail.")
app.add_typer(audit_app, name="audit")

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="where everything is kept; default .countersign")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Port = Annotated[int, typer.Option(help="loopback port of the API, the pages and the sandbox EHR")]
EhrUrl = Annotated[str | None, typer.Option("--ehr-url", help="FHIR R4 base of another EHR than the sandbox")]
EscalateAfter = Annotated[str, typer.Option("--escalate-after", help="three durations: 24h,72h,7d")]
Knowledge = Annotated[
    Path | None,
    typer.Option("--knowledge", help="file that declares the knowledge base; default in the data directory"),
]
Directory = Annotated[
    Path | None, typer.Option("--directory", help="file that names supervisors, deputies, channels and times")
]
Model = Annotated[str, typer.Option("--drafter-model", help="Triton model that drafts")]

CheckpointFolder = Annotated[
    Path | None,
    typer.Option("--checkpoints", envvar="COUNTERSIGN_CHECKPOINT_DIR", help="folder of the trail's checkpoints"),
]
PublicKey = Annotated[
    Path | None,
    typer.Option("--key", envvar="COUNTERSIGN_CHECKPOINT_PUBLIC_KEY_FILE", help="their Ed25519 public key, PEM"),
]

T = TypeVar("T")
console = Console(stderr=True)


def execute(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _durations(text: str) -> "Escalations":
    from services.approval.settings import parse_durations

    try:
        parsed = parse_durations(text)
    except ValueError as error:
        raise CommandError(f"--escalate-after: {error}.") from None
    if not isinstance(parsed, tuple):
        raise CommandError("--escalate-after: give three durations such as 24h,72h,7d.")
    return parsed


def _options(
    data_dir: Path | None,
    port: int,
    ehr_url: str | None,
    escalate_after: str,
    model: str,
    knowledge_file: Path | None,
    people: Path | None,
) -> "Options":
    from pydantic import SecretStr

    from cli.stack.embedded import Options

    if ehr_url is not None and not ehr_url.startswith(("http://", "https://")):
        raise CommandError("--ehr-url must be an http or https address.")
    token = SecretStr(value) if (value := os.environ.get("COUNTERSIGN_EHR_TOKEN")) else None
    directory = (data_dir or default_data_dir()).absolute()
    if knowledge_file is not None and not knowledge_file.is_file():
        raise CommandError(f"--knowledge: {knowledge_file} is not there.")
    if people is not None:
        from services.approval.directory_file import read

        read(people)  # what is wrong with it is said before the models are loaded
    qdrant = os.environ.get("COUNTERSIGN_QDRANT_URL")
    return Options(directory, port, _durations(escalate_after), ehr_url, token, model, knowledge_file, qdrant, people)


def _progress(status: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: status(f"{text} …")


@app.command()
def up(
    data_dir: DataDir = None,
    port: Port = 8080,
    ehr_url: EhrUrl = None,
    escalate_after: EscalateAfter = "24h,72h,7d",
    drafter_model: Model = "drafter",
    knowledge_file: Knowledge = None,
    directory: Directory = None,
) -> None:
    """Start the whole stack on this machine, and stop it with Ctrl-C."""
    from cli.stack.embedded import run
    from shared.runtime.logs import configure_logging

    configure_logging(logging.WARNING)
    options = _options(data_dir, port, ehr_url, escalate_after, drafter_model, knowledge_file, directory)
    with console.status("starting …") as status:

        def on_ready(access: Access) -> None:
            status.stop()
            print(f"ready {access.base_url}", flush=True)
            console.print(f"  review pages  {access.base_url}/   (tokens: {options.data_dir}/access.json)")
            console.print(f"  API           {access.base_url}/openapi.json")
            console.print(f"  EHR           {access.ehr_url}")

        execute(run(options, _progress(status.update), on_ready))


@app.command()
def demo(
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="sign without asking")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    port: Port = 0,
    drafter_model: Model = "drafter",
) -> None:
    """Discharge a synthetic patient and watch the summary being drafted, reviewed, signed, filed and proven."""
    from cli.demo import Demo
    from shared.runtime.logs import configure_logging

    configure_logging(logging.ERROR)
    result = execute(Demo(console, auto_approve, drafter_model, data_dir, port).run())
    if as_json:
        print(json.dumps(result))


@app.command()
def backup(
    to: Annotated[Path | None, typer.Option("--to", help="a new folder")] = None,
    into: Annotated[Path | None, typer.Option("--into", help="a folder of backups: a new one is added to it")] = None,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="of those below --into, the newest so many")] = None,
    keep_weekly: Annotated[int, typer.Option("--keep-weekly", min=0, help="and the newest of so many weeks")] = 0,
    encrypt_to: Annotated[Path | None, typer.Option("--encrypt-to", help="X25519 public key, PEM")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Everything that a stack knows as files, while it runs. No EHR, no keys, no tokens."""
    from cli.backups import make_backup

    if not execute(make_backup(to, into, keep, keep_weekly, data_dir, encrypt_to, as_json=as_json)):
        raise typer.Exit(1)


@app.command()
def restore(
    source: Annotated[Path, typer.Option("--from", help="the folder of a backup")],
    key: Annotated[Path | None, typer.Option("--key", help="X25519 private key of an encrypted one, PEM")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="even if the stack is not empty: what it holds goes")
    ] = False,
    erasures: Annotated[Path | None, typer.Option("--erasures", help="folder of what was erased since")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup into an empty stack that is stopped, and verify every chain."""
    from cli.backups import restore as put_back
    from cli.backups import say_restored

    say_restored(execute(put_back(source, data_dir, key, replace=replace, erasures=erasures)), as_json=as_json)


@app.command()
def doctor(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Check every connection, permission, stream and consumer against what is wanted, and say what to do."""
    from cli.checkup import check_up

    if not execute(check_up(data_dir, as_json=as_json)):
        raise typer.Exit(1)


@audit_app.command("verify")
def audit_verify(
    case: Annotated[str | None, typer.Option("--case", help="only this case")] = None,
    checkpoints: CheckpointFolder = None,
    key: PublicKey = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Recompute every digest, and hold the trail against what stands in the EHR and against its checkpoints."""
    from cli.audits import say, verify

    if (checkpoints is None) != (key is None):
        raise CommandError("Checkpoints are verified with a key: give --checkpoints and --key, or neither.")
    report = execute(verify(data_dir, case, checkpoints, key))
    say(report, as_json=as_json)
    if not report.verified:
        raise typer.Exit(1)


@audit_app.command("checkpoint")
def audit_checkpoint(
    to: Annotated[Path, typer.Option("--to", envvar="COUNTERSIGN_CHECKPOINT_DIR", help="folder of checkpoints")],
    key: Annotated[Path, typer.Option("--key", envvar="COUNTERSIGN_CHECKPOINT_KEY_FILE", help="Ed25519 key, PEM")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Sign where every case stands, now: from a machine that is out of reach of who rules over NATS."""
    from cli.audits import checkpoint, say_made

    say_made(execute(checkpoint(data_dir, to, key)), as_json=as_json)


@audit_app.command("proof")
def audit_proof(
    case: Annotated[str, typer.Argument(help="id of the case")],
    checkpoints: Annotated[Path, typer.Option("--checkpoints", envvar="COUNTERSIGN_CHECKPOINT_DIR")],
    as_json: AsJson = False,
) -> None:
    """Prove, from the checkpoints alone, where the chain of one case ended."""
    from cli.audits import prove

    prove(case, checkpoints, as_json=as_json)


@audit_app.command("check-proof")
def audit_check_proof(
    file: Annotated[Path, typer.Argument(help="what `audit proof --json` wrote", exists=True, dir_okay=False)],
    key: Annotated[Path, typer.Option("--key", envvar="COUNTERSIGN_CHECKPOINT_PUBLIC_KEY_FILE", help="public, PEM")],
    as_json: AsJson = False,
) -> None:
    """Check such a proof, without a stack."""
    from cli.audits import check_proof

    check_proof(file, key, as_json=as_json)


@contextmanager
def in_a_sentence(name: str) -> Iterator[None]:
    """What cannot be done is one sentence after the program's `name`, and exit code 2."""
    try:
        yield
        return
    except CommandError as error:
        said = str(error)
    except CountersignError as failure:
        said = f"{failure.reason}."
    except ValueError as error:
        from pydantic import ValidationError
        from pydantic_settings import SettingsError

        from shared.runtime.start import describe_settings_error

        if not isinstance(error, ValidationError | SettingsError):
            raise
        said = f"{describe_settings_error(error)}."
    print(f"{name}: {said}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """Entry point."""
    with in_a_sentence("countersign"):
        app()


if __name__ == "__main__":
    main()
