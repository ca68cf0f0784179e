"""`countersign erase` and `countersign hold`: the end of a case's texts, and what keeps them from it."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from cli.client import Api, open_api
from cli.commands.cases import make_table
from cli.errors import CommandError
from cli.stack.access import default_data_dir

T = TypeVar("T")
hold_app = typer.Typer(no_args_is_help=True, help="Keep the texts of a case: a legal hold.")
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
CaseId = Annotated[str, typer.Argument(help="case id")]
Reference = Annotated[str | None, typer.Option("--reference", help="a number in your files; no patient data")]
GROUNDS = "patient-request, consent-withdrawn, court-order, wrong-patient, test-data, retention"


def erase(
    case: Annotated[str | None, typer.Option("--case", help="case id")] = None,
    patient: Annotated[str | None, typer.Option("--patient", help="id of the Patient in the EHR")] = None,
    ground: Annotated[str | None, typer.Option("--ground", help=f"why: {GROUNDS}")] = None,
    reference: Reference = None,
    yes: Annotated[bool, typer.Option("--yes", help="erase; without it only what would be erased is said")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Erase every text of a case, or of a patient's cases, for good. The trail stays, and can still be proven."""
    if (case is None) == (patient is None):
        raise CommandError("Name a case with --case, or a patient with --patient.")
    if yes and ground is None:
        raise CommandError(f"Say why with --ground: {GROUNDS}.")
    query = {"case": case} if case is not None else {"patient": (patient or "").removeprefix("Patient/")}

    async def work(call: Api) -> tuple[list[dict[str, Any]], list[str]]:
        found = (await call("GET", "/v1/erasures", params=query))["items"]
        ready = [item["case_id"] for item in found if item["obstacle"] is None] if yes else []
        for id in ready:
            await call("POST", f"/v1/cases/{id}/erasure", json=_without_none(ground=ground, reference=reference))
        return found, ready

    found, ordered = _run(data_dir, work)
    _print_erasure(found, ordered, yes=yes, as_json=as_json)
    if yes and len(ordered) + sum(item["erased_at"] is not None for item in found) < len(found):
        raise typer.Exit(1)  # something was left


@hold_app.command()
def place(
    case_id: CaseId,
    ground: Annotated[str, typer.Option("--ground", help="litigation, investigation, patient-claim, audit")],
    reference: Reference = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Nothing of the case is erased until the hold is released."""
    sent = _without_none(ground=ground, reference=reference)
    done = _run(data_dir, lambda call: call("POST", f"/v1/cases/{case_id}/hold", json=sent))
    print(json.dumps(done) if as_json else f"held: {case_id}")


@hold_app.command()
def release(case_id: CaseId, reference: Reference = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """End the hold. Retention, where it is set, counts from the case's end as before."""
    sent = _without_none(reference=reference)
    done = _run(data_dir, lambda call: call("POST", f"/v1/cases/{case_id}/hold/release", json=sent))
    print(json.dumps(done) if as_json else f"released: {case_id}")


def _run(data_dir: Path | None, work: Callable[[Api], Coroutine[Any, Any, T]]) -> T:
    """As the operator."""

    async def connected() -> T:
        async with open_api(data_dir or default_data_dir(), "operator") as call:
            return await work(call)

    return asyncio.run(connected())


def _print_erasure(found: list[dict[str, Any]], ordered: list[str], *, yes: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"items": found, "ordered": ordered}))
        return
    table = make_table("case", "department", "state", "texts", "")
    for item in found:
        table.add_row(
            item["case_id"],
            item["department"],
            item["state"],
            str(item["texts"]),
            _status(item, ordered=item["case_id"] in ordered),
        )
    Console().print(table if found else "There is no such case.")
    ready = sum(item["obstacle"] is None for item in found)
    if ready and not yes:
        print(f"Nothing was erased. To erase the texts of {ready} of them for good, say --yes.")


def _status(item: dict[str, Any], *, ordered: bool) -> str:
    if ordered:
        return "erased"
    return str(item["obstacle"] or "would be erased")


def _without_none(**sent: str | None) -> dict[str, str]:
    return {name: value for name, value in sent.items() if value is not None}
