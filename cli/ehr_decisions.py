"""`countersign ehr-decisions`: whether what physicians decide in the EHR's own inbox counts.

What speaks to the bus is imported when a command runs: `--help` must not wait for it.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cli.deadletters import AsJson, By, DataDir, who

if TYPE_CHECKING:
    from services.approval.ehr_tasks.hold import DecisionHold
    from shared.messaging.connection import Bus

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="Hold or allow decisions that are taken in the EHR's own inbox.")
Reason = Annotated[str, typer.Option("--reason", help="kept with your name; no patient data")]


@app.command()
def show(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Whether they count, and who said so."""
    from services.approval.ehr_tasks.hold import read_hold

    _say(_run(data_dir, read_hold), as_json=as_json)


@app.command()
def hold(reason: Reason, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Decide nothing from the EHR: what is decided there waits."""
    _say(_run(data_dir, lambda bus: _set(bus, by, reason, held=True)), as_json=as_json)


@app.command()
def allow(reason: Reason, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Let decisions in the EHR count again, those that waited too (within ten minutes)."""
    _say(_run(data_dir, lambda bus: _set(bus, by, reason, held=False)), as_json=as_json)


def _run(data_dir: Path | None, work: Callable[["Bus"], Coroutine[Any, Any, T]]) -> T:
    """As the operator."""
    from cli.reach import reach

    async def connected() -> T:
        async with reach(data_dir, "operator") as connection:
            return await work(connection)

    return asyncio.run(connected())


async def _set(bus: "Bus", by: str | None, reason: str, *, held: bool) -> "DecisionHold | None":
    from services.approval.ehr_tasks.hold import read_hold
    from shared.messaging.requests import OfDecisions, ask

    await ask(bus, "approval", "ehr-decisions", OfDecisions.model_construct(held=held, by=who(by), why=reason))
    return await read_hold(bus)


def _say(found: "DecisionHold | None", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.model_dump(mode="json") if found else {"held": False}))
    elif found is None:
        print("Decisions in the EHR count.")
    else:
        does = "are held" if found.held else "count"
        print(f"Decisions in the EHR {does}: {found.by}, {found.at:%Y-%m-%d %H:%M} UTC: {found.why}")
