"""`countersign ehr-decisions`: hold or allow the decisions that physicians take in the EHR's own inbox.

Modules that connect to NATS are imported when a command runs, so that `--help` stays fast.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.client import call_api
from cli.contexts import active_context
from cli.options import AsJson, By, DataDir, actor_name, ensure_by_is_unset
from cli.output import emit

if TYPE_CHECKING:
    from services.approval.ehr_tasks.hold import DecisionHold
    from shared.messaging.connection import NatsConnection

PATH = "/v1/ehr-decisions"

app = typer.Typer(no_args_is_help=True, help="Hold or allow decisions that are made in the EHR's own inbox.")
Reason = Annotated[str, typer.Option("--reason", help="recorded with your name; no patient data")]


@app.command()
def show(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show whether decisions in the EHR are held, since when and by whom."""
    if active_context(data_dir) is not None:
        _print_hold(call_api(data_dir, "GET", PATH), as_json=as_json)
        return
    from cli.connections import run_with_bus
    from services.approval.ehr_tasks.hold import read_hold

    hold = run_with_bus(data_dir, read_hold)
    _print_hold(hold.model_dump(mode="json") if hold is not None else None, as_json=as_json)


@app.command()
def hold(reason: Reason, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Hold decisions: those taken in the EHR have no effect until they are allowed again."""
    _print_hold(_set(data_dir, by, reason, held=True), as_json=as_json)


@app.command()
def allow(reason: Reason, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Allow decisions in the EHR again. Those taken meanwhile take effect within ten minutes."""
    _print_hold(_set(data_dir, by, reason, held=False), as_json=as_json)


def _set(data_dir: Path | None, by: str | None, reason: str, *, held: bool) -> dict[str, Any] | None:
    if active_context(data_dir) is not None:
        ensure_by_is_unset(by)
        set_to: dict[str, Any] = call_api(data_dir, "PUT", PATH, json={"held": held, "reason": reason})
        return set_to
    from cli.connections import run_with_bus

    hold = run_with_bus(data_dir, lambda bus: _ask(bus, by, reason, held=held))
    return hold.model_dump(mode="json") if hold is not None else None


async def _ask(bus: "NatsConnection", by: str | None, reason: str, *, held: bool) -> "DecisionHold | None":
    from services.approval.ehr_tasks.hold import read_hold
    from shared.messaging.requests import DecisionHoldRequest, ask

    request = DecisionHoldRequest.model_construct(held=held, by=actor_name(by), why=reason)
    await ask(bus, "approval", "ehr-decisions", request)
    return await read_hold(bus)


def _print_hold(found: dict[str, Any] | None, *, as_json: bool) -> None:
    if found is None or found["at"] is None:
        emit({"held": False}, as_json, "Decisions in the EHR are allowed.")
        return
    state, at = "held" if found["held"] else "allowed", datetime.fromisoformat(found["at"]).astimezone(UTC)
    text = f"Decisions in the EHR are {state}: {found['by']}, {at:%Y-%m-%d %H:%M} UTC: {found['why']}"
    emit(found, as_json, text)
