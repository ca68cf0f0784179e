"""The `countersign` command.

Modules that a command needs are imported when it runs: `--help` must not wait for the libraries of the servers.
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands import (
    absences,
    alerts,
    audit,
    backup,
    cases,
    context,
    dead_letters,
    doctor,
    document_kinds,
    drafters,
    ehr,
    ehr_decisions,
    erasure,
    escalations,
    events,
    hl7,
    knowledge,
    login,
    models,
    provision,
    secrets,
    system,
    webhooks,
)
from cli.common import complete_commands
from cli.contexts import check_url, choose_context
from cli.errors import CommandError
from cli.options import AsJson, DataDir, EhrUrl
from cli.output import stderr
from cli.runtime import error_boundary, run_async
from cli.stack.access import StackAccess, default_data_dir

if TYPE_CHECKING:
    from cli.stack.embedded import StackOptions
    from services.approval.settings import Escalations

app = typer.Typer(
    no_args_is_help=True,
    help="Clinical AI that a physician countersigns.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
ContextName = Annotated[
    str | None,
    typer.Option("--context", help="installation to work on, added with `context add`; also COUNTERSIGN_CONTEXT"),
]
Port = Annotated[int, typer.Option(help="loopback port of the API, the pages and the sandbox EHR")]
EscalateAfter = Annotated[
    str, typer.Option("--escalate-after", help="times of the three escalation levels after the review was requested")
]
Knowledge = Annotated[
    Path | None,
    typer.Option("--knowledge", help="file that declares the knowledge base; default: the one in the data directory"),
]
Directory = Annotated[
    Path | None,
    typer.Option("--directory", help="file with supervisors, deputies, notification channels and escalation times"),
]
Hl7Port = Annotated[
    int, typer.Option("--hl7-port", min=0, max=65535, help="loopback port for ADT messages (HL7v2 by MLLP); 0: none")
]
Model = Annotated[str, typer.Option("--drafter-model", help="Triton model that writes the drafts")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("countersign"))
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="print the version of this command")
]


@app.callback()
def root(context_name: ContextName = None, version: Version = False) -> None:  # noqa: ARG001 - its callback prints it
    """Choose the installation to work on."""
    choose_context(context_name)


def _durations(text: str) -> "Escalations":
    from services.approval.settings import parse_durations

    try:
        parsed = parse_durations(text)
    except ValueError as error:
        raise CommandError(f"--escalate-after: {error}.") from None
    if not isinstance(parsed, tuple):
        raise CommandError("--escalate-after: give three durations such as 24h,72h,7d.")
    return parsed


def _stack_options(
    data_dir: Path | None,
    port: int,
    ehr_url: str | None,
    escalate_after: str,
    model: str,
    knowledge_file: Path | None,
    directory_file: Path | None,
) -> "StackOptions":
    from pydantic import SecretStr

    from cli.stack.embedded import StackOptions

    if ehr_url is not None:
        check_url(ehr_url, "--ehr-url")
    token = SecretStr(value) if (value := os.environ.get("COUNTERSIGN_EHR_TOKEN")) else None
    if knowledge_file is not None and not knowledge_file.is_file():
        raise CommandError(f"--knowledge: {knowledge_file} does not exist.")
    if directory_file is not None:
        from services.approval.escalation.directory_file import read

        read(directory_file)  # report its errors before the models are loaded
    return StackOptions(
        (data_dir or default_data_dir()).absolute(),
        port,
        _durations(escalate_after),
        ehr_url,
        token,
        model,
        knowledge_file,
        os.environ.get("COUNTERSIGN_QDRANT_URL"),
        directory_file,
    )


@app.command()
def up(
    data_dir: DataDir = None,
    port: Port = 8080,
    ehr_url: EhrUrl = None,
    escalate_after: EscalateAfter = "24h,72h,7d",
    drafter_model: Model = "drafter",
    knowledge_file: Knowledge = None,
    directory: Directory = None,
    hl7_port: Hl7Port = 0,
) -> None:
    """Start the whole stack on this machine. Stop it with Ctrl-C."""
    from cli.stack.embedded import run
    from shared.runtime.logs import configure_logging

    configure_logging(logging.WARNING)
    stack = _stack_options(data_dir, port, ehr_url, escalate_after, drafter_model, knowledge_file, directory)
    options = replace(stack, hl7_port=hl7_port)
    with stderr.status("starting …") as status:

        def on_ready(access: StackAccess) -> None:
            status.stop()
            print(f"ready {access.base_url}", flush=True)
            stderr.print(f"  review pages  {access.base_url}/   (tokens: {options.data_dir}/access.json)")
            stderr.print(f"  API           {access.base_url}/openapi.json")
            stderr.print(f"  EHR           {access.ehr_url}")
            if access.hl7_port:
                stderr.print(f"  HL7v2         127.0.0.1:{access.hl7_port} (MLLP)")

        progress: Callable[[str], None] = lambda text: status.update(f"{text} …")  # noqa: E731
        run_async(run(options, progress, on_ready))


@app.command()
def demo(
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="sign without asking")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option(help="loopback port; 0: a free one")] = 0,
    drafter_model: Model = "drafter",
) -> None:
    """Discharge a synthetic patient, and follow the summary until it is drafted, signed, filed and verified."""
    from cli.demo import Demo
    from shared.runtime.logs import configure_logging

    configure_logging(logging.ERROR)
    result = run_async(Demo(stderr, auto_approve, drafter_model, data_dir, port).run())
    if as_json:
        print(json.dumps(result))


app.add_typer(context.app, name="context")
app.command("login")(login.login)
app.command("logout")(login.logout)
app.add_typer(cases.app, name="cases")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(document_kinds.app, name="document-kinds")
app.add_typer(document_kinds.app, name="kinds", hidden=True, deprecated=True)  # the name until 0.2
app.add_typer(drafters.app, name="drafters")
app.add_typer(models.app, name="models")
app.add_typer(escalations.app, name="escalations")
app.add_typer(absences.app, name="absences")
app.add_typer(hl7.app, name="hl7")
app.add_typer(webhooks.app, name="webhooks")
app.command("events")(events.events)
app.command("doctor")(doctor.doctor)
app.add_typer(alerts.app, name="alerts")
app.command("topology")(system.topology)
app.command("schedules")(system.schedules)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(dead_letters.app, name="deadletter", hidden=True, deprecated=True)  # the name until 0.2
app.add_typer(ehr.app, name="ehr")
app.add_typer(ehr_decisions.app, name="ehr-decisions")
app.add_typer(audit.app, name="audit")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("erase")(erasure.erase)
app.add_typer(erasure.hold_app, name="legal-hold")
app.add_typer(erasure.hold_app, name="hold", hidden=True, deprecated=True)  # the name until 0.2
app.add_typer(secrets.app, name="secrets")
app.command("provision")(provision.provision)


complete_commands(app)


def main() -> None:
    """Run the command line."""
    with error_boundary("countersign"):
        app()


if __name__ == "__main__":
    main()
