"""`countersign drafters`: which configuration drafts each kind of document; add one, try it on a share, promote it."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.client import call_api
from cli.commands import evaluations, trials
from cli.commands.drafter_options import PATH, SHOWN, Configuration, Document, Reason
from cli.comparison_view import print_comparison
from cli.drift_view import print_drift
from cli.edits_view import print_edits
from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table

app = typer.Typer(
    no_args_is_help=True, help="Show what drafts each kind of document; add, try, promote and roll back configurations."
)
Unevaluated = Annotated[
    bool, typer.Option("--unevaluated", help="without an evaluation against the live configuration, or against one")
]


@app.command("list")
def list_drafters(
    document: Annotated[str | None, typer.Option("--document", help="only this kind of document")] = None,
    everything: Annotated[bool, typer.Option("--all", help="also retired configurations")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the configurations of each kind of document, and who brought them into their state."""
    query = {"document": document} if document is not None else {}
    items = call_api(data_dir, "GET", PATH, params=query)["items"]
    items = [item for item in items if everything or item["state"] != "retired"]
    table = drafters_table(items) if items else "no drafter has declared a configuration"
    emit(items, as_json, lambda: print_table(table))


def drafters_table(items: list[dict[str, Any]]) -> Table:
    """Return a table of configurations, one a row. It fits 80 columns; `show` and `--json` have the rest."""
    table = make_table("document", "configuration", "state", "model", "since", "by")
    for column in table.columns[:3]:
        column.no_wrap = True  # what is copied into the next command
    for item in items:
        table.add_row(
            *(item["document"], item["digest"][:SHOWN], _state(item), item["model"], item["since"][:10], item["by"])
        )
    return table


def _state(item: dict[str, Any]) -> str:
    return f"{item['state']} {item['share']:.0%}" if item["share"] is not None else str(item["state"])


@app.command("show")
def show_drafter(
    configuration: Configuration,
    prompt: Annotated[bool, typer.Option("--prompt", help="only the text of the prompt")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show one configuration and its history. The digest is that of a draft, or of `drafters list`."""
    found = call_api(data_dir, "GET", f"{PATH}/{configuration}")

    def show() -> None:
        stamp, sampling = found["prompt"], found["sampling"]
        print(f"configuration  {found['digest']}")
        print(f"document       {found['document']}")
        print(f"state          {_state(found)}, since {found['since'][:19]}, by {found['by']}: {found['reason']}")
        print(f"model          {found['model']}" + (f" ({found['served']})" if found["served"] else ""))
        print(f"prompt         {stamp['name']} {stamp['version']}, sha256 {stamp['digest']}")
        values = ", ".join(f"{name} {value}" for name, value in sampling.items())
        print(f"sampling       {values}, at most {found['max_tokens']} tokens")
        print(f"policy         {found['policy']}")
        if found["state"] == "live":
            print(f"drift          {found['drifted'] or 'none'}")
        for item in found["history"]:
            share = f" {item['share']:.0%}" if item["share"] is not None else ""
            print(f"{item['time'][:19]}  {item['event']}{share}, by {item['by']}: {item['reason']}")
        if found["state"] == "canary" and found["comparison"] is not None:
            print_comparison(found["comparison"])

    emit(found, as_json, found["text"].rstrip("\n") if prompt else show)


@app.command()
def add(
    document: Document,
    reason: Reason,
    base: Annotated[
        str | None, typer.Option("--base", help="configuration to start from; default: the live one")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="name of an endpoint, or of a model of Triton")] = None,
    prompt: Annotated[Path | None, typer.Option("--prompt", help="prompt file: header, =====, text")] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", min=0, max=2, help="0: greedy")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="of the sampling")] = None,
    policy: Annotated[str | None, typer.Option("--policy", help="strict or marked")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Add a candidate: the live configuration, or another one, with changes. It drafts nothing yet."""
    sampling = {name: value for name, value in (("temperature", temperature), ("seed", seed)) if value is not None}
    body: dict[str, Any] = {"document": document, "base": base, "model": model, "policy": policy, "reason": reason}
    body |= {"sampling": sampling or None, "prompt": _read_prompt(prompt) if prompt is not None else None}
    if all(body[name] is None for name in ("model", "policy", "sampling", "prompt")):
        raise CommandError("Give what differs: --model, --prompt, --temperature, --seed or --policy.")
    _print_move(call_api(data_dir, "POST", PATH, json=body), as_json)


def _read_prompt(file: Path) -> dict[str, Any]:
    from shared.contracts.drafters import PromptText

    try:
        return PromptText.parse(file.stem, file.read_text()).model_dump()
    except KeyError as missing:
        raise CommandError(f"{file}: the header has no line `{missing.args[0]}: …`.") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} is not a prompt: {str(error).splitlines()[0]}.") from None


@app.command()
def shadow(configuration: Configuration, reason: Reason, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Have every stay that is signed from now on drafted again by a candidate. Nobody sees its drafts."""
    _move(data_dir, configuration, "shadow", reason, as_json)


@app.command()
def canary(
    configuration: Configuration,
    share: Annotated[float, typer.Option("--share", help="of the cases, between 0 and 1, such as 0.1")],
    reason: Reason,
    unevaluated: Unevaluated = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Let a candidate draft a share of the cases. A case keeps its configuration through all of its drafts."""
    if not 0 <= share <= 1:
        raise CommandError("--share is a number between 0 and 1, such as 0.1.")
    body = {"share": share, "reason": reason, "unevaluated": unevaluated}
    _print_move(call_api(data_dir, "POST", f"{PATH}/{configuration}/canary", json=body), as_json)


@app.command()
def compare(configuration: Configuration, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show what physicians did with a canary's drafts, beside those of the live configuration of the same time."""
    found = call_api(data_dir, "GET", f"{PATH}/{configuration}/comparison")
    emit(found, as_json, lambda: print_comparison(found))


@app.command()
def edits(
    configuration: Configuration,
    cases: Annotated[bool, typer.Option("--cases", help="also the last cases with each kind of edit")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what physicians change again and again in the drafts of a configuration, and how they rate them."""
    found = call_api(data_dir, "GET", f"{PATH}/{configuration}/edits")

    emit(found, as_json, lambda: print_edits(found, cases=cases))


@app.command()
def drift(configuration: Configuration, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show what becomes of the live configuration's drafts, beside its first decisions, and whether it has drifted."""
    found = call_api(data_dir, "GET", f"{PATH}/{configuration}/drift")
    emit(found, as_json, lambda: print_drift(found))


@app.command("reset-baseline")
def reset_baseline(
    configuration: Configuration, reason: Reason, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """After a drift that is not the drafter's: watch the live configuration anew, from its next decisions on."""
    _move(data_dir, configuration, "baseline", reason, as_json)


@app.command()
def promote(
    configuration: Configuration,
    reason: Reason,
    unevaluated: Unevaluated = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Let a configuration draft every case from the next one on. The live one is retired."""
    body = {"reason": reason, "unevaluated": unevaluated}
    _print_move(call_api(data_dir, "POST", f"{PATH}/{configuration}/promote", json=body), as_json)


@app.command()
def rollback(configuration: Configuration, reason: Reason, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Take a shadow, the canary, or the live configuration back; in place of the latter, the one before is live."""
    _move(data_dir, configuration, "rollback", reason, as_json)


@app.command()
def retire(configuration: Configuration, reason: Reason, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Put a candidate aside. It can be added again."""
    _move(data_dir, configuration, "retire", reason, as_json)


def _move(data_dir: Path | None, configuration: str, move: str, reason: str, as_json: bool) -> None:
    _print_move(call_api(data_dir, "POST", f"{PATH}/{configuration}/{move}", json={"reason": reason}), as_json)


def _print_move(found: dict[str, Any], as_json: bool) -> None:
    emit(found, as_json, f"{found['document']}  {found['digest'][:SHOWN]} is {_state(found)}")


app.command()(evaluations.evaluate)
app.command("evaluations")(evaluations.list_evaluations)
app.command("trial")(trials.trial)
app.add_typer(evaluations.sets, name="sets")
