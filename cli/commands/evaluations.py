"""`countersign drafters evaluate`, `evaluations` and `sets`: judge a candidate on stays that were signed."""

import asyncio
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client import Api, call_api, run_with_api
from cli.commands.drafter_options import PATH, SHOWN, Configuration, Document, Reason
from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table, progress_bar

SETS = "/v1/evaluation-sets"
POLL_INTERVAL_S = 0.5
WORST_PARTS = 3  # shown; --json has all
STAY_FIGURES = ("contradicted", "not_in_record", "rouge_l", "similarity")

sets = typer.Typer(no_args_is_help=True, help="Stays under a name, to evaluate several candidates on the same.")
Limit = Annotated[int | None, typer.Option("--limit", min=1, max=500, help="stays that were signed last; default: 50")]
Department = Annotated[str | None, typer.Option("--department", help="only its stays")]
Cases = Annotated[list[str] | None, typer.Option("--case", help="case to take, in place of the last; repeatable")]
CasesFile = Annotated[
    Path | None,
    typer.Option(
        "--cases-file", help="file with the cases to take, one id a line; lines that start with # are skipped"
    ),
]
Synthetic = Annotated[
    bool,
    typer.Option("--synthetic", help="synthetic stays that ship with Countersign; --case and --without name them"),
]
Without = Annotated[list[str] | None, typer.Option("--without", help="case to leave out; repeatable")]


def _cases(named: list[str] | None, file: Path | None) -> list[str]:
    """Return the cases of the options and of the file, each once. Raises CommandError."""
    found = list(named or ())
    if file is not None:
        try:
            lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise CommandError(f"{file} cannot be read: {reason}.") from None
        listed = [line for line in lines if line and not line.startswith("#")]
        if not listed:
            raise CommandError(f"{file} names no case.")
        found += listed
    return list(dict.fromkeys(found))


def _choice(
    limit: int | None, department: str | None, cases: list[str] | None, without: list[str] | None, *, synthetic: bool
) -> dict[str, Any]:
    """Return what was given of a choice of stays. Raises CommandError."""
    if synthetic and department is not None:
        raise CommandError("Synthetic stays are of no department: give --synthetic or --department.")
    given = {"limit": limit, "department": department, "cases": cases, "without": without, "synthetic": synthetic}
    return {name: value for name, value in given.items() if value}


def evaluate(
    configuration: Configuration,
    reason: Reason,
    stays: Annotated[
        str | None, typer.Option("--set", help="evaluation set, such as icu, or a version of it: icu@2")
    ] = None,
    limit: Limit = None,
    department: Department = None,
    cases: Cases = None,
    cases_file: CasesFile = None,
    without: Without = None,
    synthetic: Synthetic = False,
    wait: Annotated[bool, typer.Option("--wait", help="wait until every stay was drafted")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Draft stays again by a candidate and by the live configuration, and compare both with what was signed."""
    choice = _choice(limit, department, _cases(cases, cases_file), without, synthetic=synthetic)
    if stays is not None and choice:
        raise CommandError(
            "Give --set alone, or choose stays by --limit, --department, --case, --cases-file, --without, --synthetic."
        )
    body = choice | {"reason": reason} | ({"set": stays} if stays is not None else {})

    async def work(call: Api) -> dict[str, Any]:
        found: dict[str, Any] = await call("POST", f"{PATH}/{configuration}/evaluations", json=body)
        return await wait_for_evaluation(call, found) if wait else found

    found = run_with_api(data_dir, work)
    emit(found, as_json, lambda: _print_evaluation(found))
    if wait and not found["passed"]:
        raise typer.Exit(1)


async def wait_for_evaluation(call: Api, found: dict[str, Any]) -> dict[str, Any]:
    """Wait until every stay was drafted, with a progress bar on a terminal."""
    with progress_bar("drafting") as (progress, task):
        while found["judged"] + found["left_out"] < found["stays"]:
            progress.update(task, total=found["stays"], completed=found["judged"] + found["left_out"])
            await asyncio.sleep(POLL_INTERVAL_S)
            found = await call("GET", f"{PATH}/{found['candidate']}/evaluations/{found['id']}")
    return found


def list_evaluations(
    configuration: Configuration,
    each: Annotated[bool, typer.Option("--stays", help="also each stay, candidate and live side by side")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show the evaluations of a configuration, oldest first."""

    async def work(call: Api) -> list[dict[str, Any]]:
        path = f"{PATH}/{configuration}/evaluations"
        items: list[dict[str, Any]] = (await call("GET", path))["items"]
        for item in items if each else ():
            item["by_stay"] = (await call("GET", f"{path}/{item['id']}/stays"))["items"]
        return items

    items = run_with_api(data_dir, work)

    def show() -> None:
        for item in items:
            _print_evaluation(item)
            if each:
                _print_stays(item["by_stay"])
            print()

    emit(items, as_json, show if items else "it was not evaluated")


def _print_evaluation(found: dict[str, Any]) -> None:
    done = found["judged"] + found["left_out"]
    print(f"evaluation  {found['id']}: {done} of {found['stays']} stays, {found['left_out']} left out")
    print(f"candidate   {found['candidate'][:SHOWN]} against {found['live'][:SHOWN]} ({found['document']})")
    if found["set"]:
        print(f"set         {found['set']}")
    if found["metrics"]:
        _print_metrics(found["metrics"])
    if found["absent"]:
        print(f"absent      {', '.join(found['absent'])}: nothing was signed for these stays")
    for item in found["departments"] if len(found["departments"]) > 1 else ():
        print(f"{item['department']}, {item['judged']} stays")
        _print_metrics([metric for metric in item["metrics"] if metric["passed"] is not None], gate=False)
    if found["parts"]:
        parts = (f"{item['part']} {item['candidate']:.3f} (live {item['live']:.3f})" for item in found["parts"])
        print(f"parts       {', '.join(islice(parts, WORST_PARTS))}: least similar to what was signed, against live")
    if found["worst"]:
        print(f"worst       {', '.join(found['worst'])}")
    print("passed" if found["passed"] else f"not passed: {'; '.join(found['reasons'])}")


def _print_metrics(metrics: list[dict[str, Any]], *, gate: bool = True) -> None:
    table = make_table("metric", "candidate", "live", "difference", "95 %", *(("gate",) if gate else ()))
    for item in metrics:
        verdict = {True: "passed", False: "held back", None: ""}[item["passed"]]
        values = (_number(item[name]) for name in ("candidate", "live", "difference"))
        interval = f"{item['low']:.3f} to {item['high']:.3f}" if item["low"] is not None else ""
        row = (item["name"], *values, interval)
        table.add_row(*row, *((verdict,) if gate else ()))
    print_table(table)


def _number(value: float | None) -> str:
    return f"{value:.3f}" if value is not None else "-"


def _print_stays(items: list[dict[str, Any]]) -> None:
    """Print a row for each stay; a cell has the figure of the candidate and that of the live configuration."""
    names = (name.replace("_", " ") for name in STAY_FIGURES)
    table = make_table("case", "department", *names, "without an answer of the model")
    table.columns[0].no_wrap = True
    for item in items:
        sides = item["candidate"], item["live"]
        if None in sides:
            table.add_row(item["case"], item["department"], item["left_out"])
            continue
        cells = (" / ".join(_figure(side[name]) for side in sides) for name in STAY_FIGURES)
        silent = "; ".join(
            f"{name}: {item[name]['model_silent'] or 'not recorded'}"
            for name in ("candidate", "live")
            if item[name]["silent"]
        )
        table.add_row(item["case"], item["department"], *cells, silent)
    print_table(table)


def _figure(value: float | None) -> str:
    return f"{value:.3g}" if value is not None else "-"


@sets.command("list")
def list_sets(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the evaluation sets with their versions."""
    items = call_api(data_dir, "GET", SETS)["items"]
    table = make_table("set", "document", "stays", "departments", "by", "reason")
    table.columns[0].no_wrap = True
    for item in items:
        stamp = f"{item['name']}@{item['version']}"
        departments = ", ".join(item["departments"])
        table.add_row(stamp, item["document"], str(item["stays"]), departments, item["by"], item["reason"])
    emit(items, as_json, (lambda: print_table(table)) if items else "there is no evaluation set")


@sets.command("show")
def show_set(
    name: Annotated[str, typer.Argument(metavar="SET", help="name of the set, or name@version")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show one version of a set, the last one by default, with its cases."""
    found = call_api(data_dir, "GET", f"{SETS}/{name}")
    emit(found, as_json, lambda: _print_set(found))


@sets.command("make")
def make_set(
    name: Annotated[str, typer.Argument(metavar="SET", help="name: lower-case letters, digits and hyphens")],
    document: Document,
    reason: Reason,
    limit: Limit = None,
    department: Department = None,
    cases: Cases = None,
    cases_file: CasesFile = None,
    without: Without = None,
    synthetic: Synthetic = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a set of signed stays, or of synthetic ones, or its next version. A version never changes."""
    body = _choice(limit, department, _cases(cases, cases_file), without, synthetic=synthetic) | {
        "name": name,
        "document": document,
        "reason": reason,
    }
    found = call_api(data_dir, "POST", SETS, json=body)
    emit(found, as_json, lambda: _print_set(found))


def _print_set(found: dict[str, Any]) -> None:
    kind = f"{found['stays']}{' synthetic' if found['synthetic'] == found['stays'] else ''} stays"
    print(f"{found['name']}@{found['version']}: {kind} of {found['document']}, by {found['by']}")
    print(f"departments  {', '.join(f'{name} {number}' for name, number in found['departments'].items())}")
    for case in found["cases"]:
        print(case)
