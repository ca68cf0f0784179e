"""`countersign knowledge`: refresh the knowledge base, show its versions, search it; check the knowledge file."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cli.client import Api, call_api, run_with_api
from cli.commands import knowledge_golden, knowledge_live
from cli.commands.drafter_options import SHOWN
from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table, progress_bar

app = typer.Typer(no_args_is_help=True, help="Refresh the knowledge base, show its versions, search it, roll back.")
sources_app = typer.Typer(no_args_is_help=True, help="Check the file that declares the sources.")
app.add_typer(sources_app, name="sources")
app.add_typer(knowledge_golden.app, name="golden")
app.add_typer(knowledge_live.app)

POLL_INTERVAL_S = 0.25
STATE_LABELS = {
    "waiting": "waiting for another refresh",
    "preparing": "scanning the sources",
    "embedding": "embedding",
    "settling": "finalizing the version",
    "judging": "evaluating the golden queries",
}


@sources_app.command("validate")
def validate(file: Annotated[Path, typer.Argument(help="file to check")], as_json: AsJson = False) -> None:
    """Check a file, that what it names exists, and that golden queries expect documents of the sources."""
    from services.evaluator import golden
    from services.ingest.connectors.names import document_names
    from shared.contracts.errors import PermanentError
    from shared.knowledge import knowledge_file

    problems: list[str] = []
    warnings: list[str] = []
    sources: list[str] = []
    try:
        found = knowledge_file.read_knowledge_file(file)
        sources = [source.name for source in found.sources]
        problems = knowledge_file.missing_paths(found)
        paths = [path for path in golden.golden_files(found, sources) if path.is_file()]
        queries = {path: golden.read_golden_queries(path) for path in paths}
        documents = document_names(found) if not problems else None
        if documents is not None:
            warnings = [
                f"{path}, query {query.id}: no source has a document '{name}'"
                for path, items in queries.items()
                for query, name in golden.unknown_documents(items, documents)
            ]
    except PermanentError as error:
        problems.append(error.reason)

    def show() -> None:
        for problem in (*problems, *(f"warning: {item}" for item in warnings)):
            print(problem)
        print("valid: " + (", ".join(sources) or "no sources") if not problems else "NOT VALID")

    emit({"valid": not problems, "sources": sources, "problems": problems, "warnings": warnings}, as_json, show)
    if problems:
        raise typer.Exit(1)


@app.command()
def refresh(
    source: Annotated[str | None, typer.Option("--source", help="refresh only this source")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait until the refresh has ended")] = False,
    full: Annotated[bool, typer.Option("--full", help="embed all documents again, not only the changed ones")] = False,
    evaluate_only: Annotated[
        bool, typer.Option("--evaluate-only", help="only evaluate the golden queries again; embed nothing")
    ] = False,
    judge: Annotated[bool, typer.Option("--judge", hidden=True, help="old name of --evaluate-only")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Scan the sources, embed what has changed, and promote the new version if it evaluates well enough.

    With `--wait`, the exit code is 1 if the refresh has failed or its version was held back.
    """
    body = {"source": source, "full": full, "judge": evaluate_only or judge}

    async def work(call: Api) -> dict[str, Any]:
        begun: dict[str, Any] = await call("POST", "/v1/knowledge/refreshes", json=body)
        return await wait_for_refresh(call, begun["refresh"]) if wait else begun

    result = run_with_api(data_dir, work)
    emit(result, as_json, lambda: _print_refresh(result))
    if result.get("state") in ("failed", "held-back"):
        raise typer.Exit(1)


async def wait_for_refresh(call: Api, id: str) -> dict[str, Any]:
    """Wait until a refresh has ended and return it; shows a progress bar on a terminal."""
    with progress_bar("waiting") as (progress, task):
        paused = ""
        while True:
            found: dict[str, Any] = await call("GET", f"/v1/knowledge/refreshes/{id}")
            if found["ended"]:
                return found
            if found["state"] == "embedding" and found["batches_done"] == 0:
                until = (await call("GET", "/v1/knowledge"))["paused_until"]
                paused = f" (paused until {until}: peak hours)" if until else ""
            again = (
                f" (attempt {found['attempt']} failed, next at {found['again_at'][:19]})" if found["again_at"] else ""
            )
            words = STATE_LABELS.get(found["state"], found["state"])
            total = found["batches"] or None
            progress.update(task, description=f"{words}{paused}{again}", total=total, completed=found["batches_done"])
            await asyncio.sleep(POLL_INTERVAL_S)


def _print_refresh(result: dict[str, Any]) -> None:
    if "state" not in result:
        print(f"refresh {result['refresh']} started; follow it with: countersign knowledge show {result['refresh']}")
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
    """Show the progress or the result of a refresh."""
    found = call_api(data_dir, "GET", f"/v1/knowledge/refreshes/{refresh}")
    emit(found, as_json, lambda: _print_refresh(found))


@app.command()
def status(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show the live version, the newest version, and running refreshes."""
    found = call_api(data_dir, "GET", "/v1/knowledge")
    emit(found, as_json, lambda: _print_status(found))


def _print_status(found: dict[str, Any]) -> None:
    live, newest = found["live"], found["newest"]
    if live:
        since = f"since {live['since'][:19]} by {live['by']}"
        print(f"live        version {live['version']} {since}, {found['passages']} passages")
        if pin := live.get("pin"):
            print(f"pinned      by {pin['by']} {pin['since'][:19]}: {pin['reason']}")
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
    """List every version with its metrics, and why it was promoted or not."""
    found = call_api(data_dir, "GET", "/v1/knowledge/versions")
    emit(found, as_json, lambda: _print_history(found))


def _print_history(found: dict[str, Any]) -> None:
    table = make_table("version", "time", "decision", "MRR@10", "recall@10", "changed", "reason")
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
    print_table(table)


@app.command()
def version(
    number: Annotated[int, typer.Argument(help="number of the version, as a draft names it")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show a version and the digests of its documents, also when it can no longer be searched. JSON has them whole."""
    found = call_api(data_dir, "GET", f"/v1/knowledge/versions/{number}")
    emit(found, as_json, lambda: _print_version(found))


def _print_version(found: dict[str, Any]) -> None:
    by = f", promoted by {found['promoted_by']}" if found["promoted_by"] else ""
    print(f"version     {found['version']}, {found['decision']}: {found['reason']}{by}")
    print(f"evaluated   {found['time'][:19]} by refresh {found['refresh']}")
    print(f"embedder    {found['embedder']}")
    print(f"searchable  {'yes' if found['searchable'] else 'no: its passages are no longer kept'}")
    if found["listed"] is None:
        print("documents   not recorded: the version was made before they were")
        return
    table = make_table("source", "document", "passages", "sha256")
    for item in found["listed"]:
        table.add_row(item["source"], item["document"], str(item["passages"]), item["digest"][:SHOWN] or "-")
    print_table(table)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="text to search for")],
    at: Annotated[int | None, typer.Option("--at", help="version to search; default: the live one")] = None,
    k: Annotated[int, typer.Option("-k", help="number of passages")] = 5,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Search for passages, and show which of them a draft about this problem would cite."""
    if not text.strip():
        raise CommandError("Give a text to search for.")
    params = {"q": text, "k": k} | ({"at": at} if at is not None else {})
    found = call_api(data_dir, "GET", "/v1/knowledge/search", params=params)
    emit(found, as_json, lambda: _print_passages(found))


def _print_passages(found: dict[str, Any]) -> None:
    console = Console()
    relevance = found["relevance"]
    chosen = "the default" if relevance["origin"] == "default" else relevance["origin"]
    console.print(f"version {found['version']}, citation threshold {relevance['threshold']:.2f} ({chosen})")
    for number, item in enumerate(found["items"], 1):
        heading = escape(" > ".join([item["title"], *item["path"]]))
        place = escape(f"{item['source']}/{item['document']}")
        console.print(f"\n[bold]{number}. {heading}[/]  {place}", highlight=False)
        near = "" if item["cited"] else ": below the threshold, not cited"
        console.print(f"[dim]similarity {item['similarity']:.2f}{near}[/]", highlight=False)
        console.print(item["text"], markup=False, highlight=False)
