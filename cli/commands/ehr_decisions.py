"""`countersign ehr-decisions`: hold or allow the decisions that physicians take in the EHR's own inbox.

Modules that connect to NATS are imported when a command runs, so that `--help` stays fast.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, By, DataDir, actor_name
from cli.output import emit

if TYPE_CHECKING:
    from services.approval.ehr_tasks.hold import DecisionHold
    from shared.messaging.connection import NatsConnection

app = typer.Typer(no_args_is_help=True, help="Hold or allow decisions that are made in the EHR's own inbox.")
Reason = Annotated[str, typer.Option("--reason", help="recorded with your name; no patient data")]


@app.command()
def show(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show whether decisions in the EHR are held, since when and by whom."""
    from cli.connections import run_with_bus
    from services.approval.ehr_tasks.hold import read_hold

    _print_hold(run_with_bus(data_dir, read_hold), as_json=as_json)


@app.command()
def hold(reason: Reason, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Hold decisions: those taken in the EHR have no effect until they are allowed again."""
    from cli.connections import run_with_bus

    _print_hold(run_with_bus(data_dir, lambda bus: _set(bus, by, reason, held=True)), as_json=as_json)


@app.command()
def allow(reason: Reason, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Allow decisions in the EHR again. Those taken meanwhile take effect within ten minutes."""
    from cli.connections import run_with_bus

    _print_hold(run_with_bus(data_dir, lambda bus: _set(bus, by, reason, held=False)), as_json=as_json)


async def _set(bus: "NatsConnection", by: str | None, reason: str, *, held: bool) -> "DecisionHold | None":
    from services.approval.ehr_tasks.hold import read_hold
    from shared.messaging.requests import DecisionHoldRequest, ask

    request = DecisionHoldRequest.model_construct(held=held, by=actor_name(by), why=reason)
    await ask(bus, "approval", "ehr-decisions", request)
    return await read_hold(bus)


def _print_hold(found: "DecisionHold | None", *, as_json: bool) -> None:
    if found is None:
        emit({"held": False}, as_json, "Decisions in the EHR are allowed.")
        return
    state = "held" if found.held else "allowed"
    text = f"Decisions in the EHR are {state}: {found.by}, {found.at:%Y-%m-%d %H:%M} UTC: {found.why}"
    emit(found.model_dump(mode="json"), as_json, text)
