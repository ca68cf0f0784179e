"""`countersign erase` and `countersign legal-hold`: erase the texts of cases, and legal holds that prevent it."""

from typing import Annotated, Any

import typer

from cli.client import Api, call_api, run_with_api
from cli.errors import CommandError
from cli.options import AsJson, CaseId, DataDir
from cli.output import emit, make_table, print_table

hold_app = typer.Typer(no_args_is_help=True, help="Place and release legal holds, which prevent erasure.")
Reference = Annotated[
    str | None, typer.Option("--reference", help="reference number in your own files; no patient data")
]
GROUNDS = "patient-request, consent-withdrawn, court-order, wrong-patient, test-data, retention"


def erase(
    case: Annotated[str | None, typer.Option("--case", help="case id")] = None,
    patient: Annotated[str | None, typer.Option("--patient", help="id of the Patient in the EHR")] = None,
    ground: Annotated[str | None, typer.Option("--ground", help=f"required with --yes: {GROUNDS}")] = None,
    reference: Reference = None,
    yes: Annotated[bool, typer.Option("--yes", help="erase; without it, only print what would be erased")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Erase the texts of a case, or of all cases of a patient, for good. Events stay and can still be verified."""
    if (case is None) == (patient is None):
        raise CommandError("Name a case with --case, or a patient with --patient.")
    if yes and ground is None:
        raise CommandError(f"Give the ground with --ground: {GROUNDS}.")
    query = {"case": case} if case is not None else {"patient": (patient or "").removeprefix("Patient/")}

    async def work(call: Api) -> tuple[list[dict[str, Any]], list[str]]:
        found = (await call("GET", "/v1/erasures", params=query))["items"]
        ready = [item["case_id"] for item in found if item["obstacle"] is None] if yes else []
        for case_id in ready:
            await call("POST", f"/v1/cases/{case_id}/erasure", json=_without_none(ground=ground, reference=reference))
        return found, ready

    found, ordered = run_with_api(data_dir, work)
    emit({"items": found, "ordered": ordered}, as_json, lambda: _print_erasure(found, ordered, yes=yes))
    if yes and len(ordered) + sum(item["erased_at"] is not None for item in found) < len(found):
        raise typer.Exit(1)  # something could not be erased


@hold_app.command()
def place(
    case_id: CaseId,
    ground: Annotated[str, typer.Option("--ground", help="litigation, investigation, patient-claim, audit")],
    reference: Reference = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Place a legal hold: nothing of the case is erased until it is released."""
    body = _without_none(ground=ground, reference=reference)
    result = call_api(data_dir, "POST", f"/v1/cases/{case_id}/hold", json=body)
    emit(result, as_json, f"Legal hold placed on case {case_id}.")


@hold_app.command()
def release(case_id: CaseId, reference: Reference = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Release a legal hold. Retention periods, where set, still count from the end of the case."""
    body = _without_none(reference=reference)
    result = call_api(data_dir, "POST", f"/v1/cases/{case_id}/hold/release", json=body)
    emit(result, as_json, f"Legal hold on case {case_id} released.")


def _print_erasure(found: list[dict[str, Any]], ordered: list[str], *, yes: bool) -> None:
    table = make_table("case", "department", "state", "texts", "")
    for item in found:
        status = _status(item, ordered=item["case_id"] in ordered)
        table.add_row(item["case_id"], item["department"], item["state"], str(item["texts"]), status)
    print_table(table if found else "No such case.")
    ready = sum(item["obstacle"] is None for item in found)
    if ready and not yes:
        print(f"Nothing was erased. To erase the texts of {ready} of them for good, add --yes.")


def _status(item: dict[str, Any], *, ordered: bool) -> str:
    if ordered:
        return "erased"
    return str(item["obstacle"] or "would be erased")


def _without_none(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
