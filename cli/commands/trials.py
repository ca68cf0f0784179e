"""`countersign drafters trial`: draft some signed stays by a candidate and by the live configuration, to be read."""

from typing import Annotated, Any

import typer

from cli.client import Api, run_with_api
from cli.commands.drafter_options import PATH, SHOWN, Configuration, Reason
from cli.commands.evaluations import SETS, wait_for_evaluation
from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit

MAX_STAYS = 12


def trial(
    configuration: Configuration,
    reason: Reason,
    cases: Annotated[list[str] | None, typer.Option("--case", help="signed case to draft; repeatable")] = None,
    stays: Annotated[
        str | None, typer.Option("--set", help="first stays of an evaluation set, such as icu or icu@2, instead")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MAX_STAYS, help="stays of the set")] = MAX_STAYS,
    wait: Annotated[bool, typer.Option("--wait", help="wait until every stay was drafted")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Draft stays again by a candidate and by the live configuration, and keep both drafts for engineers to read."""
    if bool(cases) == (stays is not None):
        raise CommandError("Give --case (once or more) or --set.")

    async def work(call: Api) -> dict[str, Any]:
        chosen = cases or await _cases_of_set(call, str(stays), limit)
        body = {"cases": chosen, "reason": reason}
        found: dict[str, Any] = await call("POST", f"{PATH}/{configuration}/trials", json=body)
        found = await wait_for_evaluation(call, found) if wait else found
        return found | {"drafts": [f"/trials/{case}/{found['id']}" for case in chosen]}

    found = run_with_api(data_dir, work, role="engineer")
    emit(found, as_json, lambda: _print_trial(found))


async def _cases_of_set(call: Api, stays: str, limit: int) -> list[str]:
    """Return the first cases of a set. Raises CommandError where its stays are synthetic: they have no case."""
    found = await call("GET", f"{SETS}/{stays}")
    if found["synthetic"]:
        raise CommandError(f"The stays of {stays} are synthetic: there is no signed text to read drafts beside.")
    return [str(case) for case in found["cases"][:limit]]


def _print_trial(found: dict[str, Any]) -> None:
    done = found["judged"] + found["left_out"]
    print(f"trial       {found['id']}: {done} of {found['stays']} stays, {found['left_out']} left out")
    print(f"candidate   {found['candidate'][:SHOWN]} against {found['live'][:SHOWN]} ({found['document']})")
    for path in found["drafts"]:
        print(f"drafts      {path}")
