"""`countersign knowledge`: refresh it, see what is live and why, ask it, go back."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.cases import make_table
from cli.client import Api, api
from cli.errors import CommandError
from cli.stack.access import default_data_dir

app = typer.Typer(no_args_is_help=True, help="Refresh the knowledge base, ask it, go back.")
sources_app = typer.Typer(no_args_is_help=True, help="The file that declares the sources.")
app.add_typer(sources_app, name="sources")

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
POLL = 0.25
WORDS = {
    "waiting": "waiting for its turn",
    "preparing": "looking at the sources",
    "embedding": "embedding",
    "settling": "settling the version",
    "judging": "asking the golden queries",
}


def _call(data_dir: Path | None, method: str, path: str, **sent: Any) -> Any:
    async def call() -> Any:
        async with api(data_dir or default_data_dir(), "operator") as ask:
            return await ask(method, path, **sent)

    return asyncio.run(call())


@sources_app.command("validate")
def validate(file: Annotated[Path, typer.Argument(help="the file")], as_json: AsJson = False) -> None:
    """Check a file: its form, and that everything is there that it names."""
    from services.evaluator import golden
    from shared.contracts.errors import PermanentError
    from shared.knowledge import knowledge_file

    problems: list[str] = []
    sources: list[str] = []
    try:
        found = knowledge_file.read_knowledge_file(file)
        sources = [source.name for source in found.sources]
        problems = knowledge_file.missing_paths(found)
        for path in (found.golden, *(source.golden for source in found.sources)):
            if path is not None and path.is_file():
                golden.read_golden_queries(path)
    except PermanentError as error:
        problems.append(error.reason)
    if as_json:
        print(json.dumps({"valid": not problems, "sources": sources, "problems": problems}))
    else:
        for problem in problems:
            print(problem)
        print("valid: " + (", ".join(sources) or "no sources") if not problems else "NOT VALID")
    if problems:
        raise typer.Exit(1)


@app.command()
def refresh(
    source: Annotated[str | None, typer.Option("--source", help="only this source")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="until it has ended")] = False,
    full: Annotated[bool, typer.Option("--full", help="embed everything again")] = False,
    judge: Annotated[bool, typer.Option("--judge", help="only ask the golden queries again")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Look at the sources now; embed what has changed; promote the new version if it is good enough."""
    result = asyncio.run(_refresh(data_dir or default_data_dir(), source, wait, full, judge))
    if as_json:
        print(json.dumps(result))
    else:
        _tell(result)
    if result.get("state") == "failed":
        raise typer.Exit(1)


async def _refresh(data_dir: Path, source: str | None, wait: bool, full: bool, judge: bool) -> dict[str, Any]:
    async with api(data_dir, "operator") as call:
        body = {"source": source, "full": full, "judge": judge}
        begun: dict[str, Any] = await call("POST", "/v1/knowledge/refreshes", json=body)
        return await watch(call, begun["refresh"]) if wait else begun


async def watch(call: Api, id: str) -> dict[str, Any]:
    """Wait until a refresh has ended, with a bar on a terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("waiting", total=None)
        paused = ""
        while True:
            found: dict[str, Any] = await call("GET", f"/v1/knowledge/refreshes/{id}")
            if found["ended"]:
                return found
            if found["state"] == "embedding" and found["batches_done"] == 0:
                until = (await call("GET", "/v1/knowledge"))["paused_until"]
                paused = f" (paused until {until}: peak hours)" if until else ""
            again = (
                f" (attempt {found['attempt']} failed, again at {found['again_at'][:19]})" if found["again_at"] else ""
            )
            words = WORDS.get(found["state"], found["state"])
            total = found["batches"] or None
            progress.update(task, description=f"{words}{paused}{again}", total=total, completed=found["batches_done"])
            await asyncio.sleep(POLL)


def _tell(result: dict[str, Any]) -> None:
    if "state" not in result:
        print(f"refresh {result['refresh']} begun; see it with: countersign knowledge show {result['refresh']}")
        return
    counts, chunks = result["documents"], result["chunks"]
    if counts:
        print(
            f"documents  {counts['new']} new, {counts['changed']} changed, {counts['removed']} removed, "
            f"{counts['unchanged']} unchanged, {counts['unreadable']} unreadable"
        )
    if chunks:
        print(f"chunks     {chunks['embedded']} embedded, {chunks['kept']} kept, {chunks['removed']} removed")
    for item in result["unreadable"]:
        print(f"unreadable {item['source']}/{item['document']}: {item['reason']}")
    if result["metrics"]:
        figures = result["metrics"]
        print(
            f"quality    MRR@10 {figures['mrr_at_10']:.3f}, recall@5 {figures['recall_at_5']:.3f}, recall@10 "
            f"{figures['recall_at_10']:.3f}, nDCG@10 {figures['ndcg_at_10']:.3f} over {figures['queries']} queries"
        )
    version = f"version {result['version']} " if result["version"] else ""
    took = f" ({result['seconds']:g} s)" if result["seconds"] is not None else ""
    print(f"{version}{result['state']}: {result['reason'] or ''}{took}")


@app.command()
def show(
    refresh: Annotated[str, typer.Argument(help="id of a refresh")], as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """How a refresh goes, or how it ended."""
    found = _call(data_dir, "GET", f"/v1/knowledge/refreshes/{refresh}")
    if as_json:
        print(json.dumps(found))
    else:
        _tell(found)


@app.command()
def status(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """What is live and since when, what is newest, what is going on."""
    found = _call(data_dir, "GET", "/v1/knowledge")
    if as_json:
        print(json.dumps(found))
        return
    live, newest = found["live"], found["newest"]
    if live:
        since = f"since {live['since'][:19]} by {live['by']}"
        print(f"live        version {live['version']} {since}, {found['passages']} passages")
        relevance = live["relevance"]
        print(f"relevance   {relevance['threshold']:.2f}, {relevance['origin']}: {relevance['reason']}")
    else:
        print("live        nothing yet")
    if newest:
        print(f"newest      version {newest['version']}, {newest['decision']}: {newest['reason']}")
    print(
        f"refreshing  {found['refreshing'] or 'no'}"
        + (f", {len(found['waiting'])} waiting" if found["waiting"] else "")
    )
    if found["paused_until"]:
        print(f"paused      until {found['paused_until']}: peak hours")
    print(f"declared in {found['file']}")
    if found["problem"]:
        print(f"problem     {found['problem']}")


@app.command()
def history(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Every version: when, how good, promoted or held back and why."""
    found = _call(data_dir, "GET", "/v1/knowledge/versions")
    if as_json:
        print(json.dumps(found))
        return
    table = make_table("version", "time", "decision", "MRR@10", "recall@10", "changed", "why")
    for item in found["items"]:
        figures, counts = item["metrics"] or {}, item["documents"]
        live = " (live)" if item["version"] == found["live"] else ""
        table.add_row(
            f"{item['version']}{live}",
            item["time"][:19],
            item["decision"],
            f"{figures['mrr_at_10']:.3f}" if figures else "-",
            f"{figures['recall_at_10']:.3f}" if figures else "-",
            f"+{counts['new']} ~{counts['changed']} -{counts['removed']}",
            item["reason"],
        )
    Console().print(table)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="what to look for")],
    at: Annotated[int | None, typer.Option("--at", help="a version; what is live where absent")] = None,
    k: Annotated[int, typer.Option("-k", help="how many passages")] = 5,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """The best passages, and which of them a draft would cite for a problem of that name."""
    if not text.strip():
        raise CommandError("Say what to look for.")
    params = {"q": text, "k": k} | ({"at": at} if at is not None else {})
    found = _call(data_dir, "GET", "/v1/knowledge/search", params=params)
    if as_json:
        print(json.dumps(found))
        return
    console = Console()
    relevance = found["relevance"]
    chosen = "the default" if relevance["origin"] == "default" else relevance["origin"]
    console.print(f"version {found['version']}, cited from a similarity of {relevance['threshold']:.2f} ({chosen})")
    for number, item in enumerate(found["items"], 1):
        heading = " > ".join([item["title"], *item["path"]])
        console.print(f"\n[bold]{number}. {heading}[/]  {item['source']}/{item['document']}", highlight=False)
        near = "" if item["cited"] else ": not near enough, no draft would cite it"
        console.print(f"[dim]similarity {item['similarity']:.2f}{near}[/]", highlight=False)
        console.print(item["text"], markup=False, highlight=False)


@app.command()
def rollback(
    to: Annotated[int, typer.Option("--to", help="the version that is to be live")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make an earlier version live again."""
    found = _call(data_dir, "POST", "/v1/knowledge/rollback", json={"to": to})
    print(json.dumps(found) if as_json else f"version {found['version']} is live again")
