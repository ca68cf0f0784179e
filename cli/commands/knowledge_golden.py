"""`countersign knowledge golden`: list, add, edit, remove and export golden queries."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import Api, call_api, run_with_api
from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table

PATH = "/v1/knowledge/golden"
app = typer.Typer(no_args_is_help=True, help="List, edit and export the golden queries that versions are judged by.")
Id = Annotated[str, typer.Argument(metavar="ID", help="id of the golden query, from `golden list`")]
Reason = Annotated[str, typer.Option("--reason", help="why; recorded with your name")]
Documents = Annotated[
    list[str] | None,
    typer.Option("--document", metavar="NAME[=GRADE]", help="expected document, with a grade from 1 to 9; repeatable"),
]


@app.command("list")
def list_queries(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the golden queries that count, with the documents that they expect."""
    found = call_api(data_dir, "GET", PATH)
    emit(found, as_json, lambda: _print(found))


def _print(found: dict[str, Any]) -> None:
    table = make_table("id", "query", "expected", "from")
    for item in found["items"]:
        expected = ", ".join(_named(item["unknown"], document) for document in item["relevant"]) or "nothing"
        words = item["query"] or f"{item['problem']} (a problem)"
        edited = "edited" if item["file"] else "added"
        origin = item["file"] if item["changed_in"] is None else f"{edited}, version {item['changed_in']}"
        table.add_row(item["id"], words, expected, origin)
    print_table(table)
    print(f"version {found['version']}" if found["version"] else "not numbered yet: the files have changed")
    if found["removed"]:
        print(f"removed, and still in the files: {', '.join(found['removed'])}")
    if found["managed_in"]:
        print(f"managed in {found['managed_in']}: they cannot be edited here")
    for problem in found["problems"]:
        print(f"problem: {problem}")


def _named(unknown: list[str], document: dict[str, Any]) -> str:
    grade = f"={document['grade']}" if document["grade"] != 1 else ""
    return f"{document['doc_id']}{grade}{' (does not exist)' if document['doc_id'] in unknown else ''}"


@app.command()
def add(
    text: Annotated[str, typer.Argument(help="question, or with --problem a diagnosis as records name it")],
    reason: Reason,
    documents: Documents = None,
    problem: Annotated[bool, typer.Option("--problem", help="a problem; it needs no document")] = False,
    id: Annotated[str | None, typer.Option("--id", help="default: derived from the text")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Add a golden query. Its documents must exist in the newest or the live version."""
    body: dict[str, Any] = {"problem" if problem else "query": text, "relevant": _expected(documents), "reason": reason}
    found = call_api(data_dir, "POST", PATH, json=body | ({"id": id} if id else {}))
    emit(found, as_json, f"golden query {found['id']} is in version {found['version']}")


@app.command()
def edit(
    id: Id,
    reason: Reason,
    text: Annotated[str | None, typer.Option("--text", help="another question or problem")] = None,
    documents: Documents = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Change the text of a golden query, or the documents that it expects."""
    if text is None and not documents:
        raise CommandError("Give what changes: --text or --document.")
    item = _find(data_dir, id)
    body = {
        "problem" if item["problem"] else "query": text or item["query"] or item["problem"],
        "relevant": _expected(documents) if documents else [found for found in item["relevant"] if found["grade"]],
        "reason": reason,
        "digest": item["digest"],
    }
    done = call_api(data_dir, "PUT", f"{PATH}/{quote(id, safe='')}", json=body)
    emit(done, as_json, f"golden query {id} is changed in version {done['version']}")


@app.command()
def remove(id: Id, reason: Reason, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Remove a golden query. One of a file stays in the file, and does not count."""
    params = {"digest": _find(data_dir, id)["digest"], "reason": reason}
    done = call_api(data_dir, "DELETE", f"{PATH}/{quote(id, safe='')}", params=params)
    emit(done, as_json, f"golden query {id} is removed in version {done['version']}")


@app.command()
def history(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List who changed the golden queries, when and why, newest first."""
    items = call_api(data_dir, "GET", f"{PATH}/history")["items"]
    table = make_table("version", "time", "by", "action", "query", "reason")
    for item in items:
        table.add_row(
            str(item["version"]),
            item["time"][:19],
            item["by"] or "-",
            item["action"],
            item["id"] or "-",
            item["reason"],
        )
    emit(items, as_json, lambda: print_table(table))


@app.command()
def export(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="file to write, one query on a line")],
    version: Annotated[int | None, typer.Option("--version", min=1, help="of the set; default: as it is now")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write the golden queries that count to a file, to put it under version control."""

    async def read(call: Api) -> list[str]:
        params = {"version": version} if version else {}
        return [line async for line in call.lines(f"{PATH}/export", params=params)]

    lines = run_with_api(data_dir, read)
    try:
        to.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{to} cannot be written ({error.strerror}).") from None
    emit({"file": str(to), "queries": len(lines)}, as_json, f"{len(lines)} golden queries are in {to}")


def _find(data_dir: Path | None, id: str) -> dict[str, Any]:
    items: list[dict[str, Any]] = call_api(data_dir, "GET", PATH)["items"]
    found = next((item for item in items if item["id"] == id), None)
    if found is None:
        raise CommandError(f"There is no golden query {id}. List them with: countersign knowledge golden list")
    return found


def _expected(documents: list[str] | None) -> list[dict[str, Any]]:
    found = []
    for item in documents or []:
        name, equals, grade = item.rpartition("=")
        graded = bool(equals) and len(grade) == 1 and grade in "123456789"
        found.append({"doc_id": name, "grade": int(grade)} if graded else {"doc_id": item, "grade": 1})
    return found
