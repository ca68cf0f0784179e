"""`countersign context`: the installations that commands reach by HTTP."""

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from cli import contexts
from cli.commands.login import stated_time
from cli.contexts import ApiContext, check_name, check_token, check_url
from cli.errors import CommandError
from cli.options import AsJson
from cli.output import emit, make_table, print_table, stderr
from cli.sign_in.stored import forget_sign_in, locked, read_sign_in

app = typer.Typer(no_args_is_help=True, help="Add, choose and list the installations that commands work on by HTTP.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="name of the context")]
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@app.command()
def add(
    name: Name,
    url: Annotated[str, typer.Option("--url", help="address of approval, or of the proxy before all services")],
    ingest_url: Annotated[
        str, typer.Option("--ingest-url", help="address of ingest (refreshes of the knowledge base); default: --url")
    ] = "",
    evaluator_url: Annotated[
        str, typer.Option("--evaluator-url", help="address of the evaluator (knowledge base); default: --url")
    ] = "",
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="file with your bearer token; it stays where it is. Default: ask for it"),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="certificate authority of the server, PEM; default: this machine's")
    ] = None,
) -> None:
    """Add an installation, or replace it. The token is asked for, or read from stdin, and stored in a file of yours."""
    made = ApiContext(
        check_name(name),
        check_url(url, "--url"),
        token_file.absolute() if token_file else contexts.stored_token_file(name),
        check_url(ingest_url, "--ingest-url", optional=True),
        check_url(evaluator_url, "--evaluator-url", optional=True),
        ca_file.absolute() if ca_file else None,
    )
    stored = contexts.read_contexts()
    if token_file is None:
        contexts.write_file(contexts.stored_token_file(name), _ask_for_token())
    else:
        made.read_token()
    contexts.write_contexts(stored.with_context(made))
    if token_file is not None:
        contexts.forget_token(name)  # of a context that this one replaces
    _forget_sign_in(name)
    for address in sorted({made.url, made.ingest_url, made.evaluator_url} - {""}):
        if address.startswith("http://") and urlsplit(address).hostname not in LOOPBACK:
            stderr.print(f"warning: {address} is not encrypted: the token can be read on the network", highlight=False)
    print(f"context {name} added; use it with: countersign context use {name}")


def _ask_for_token() -> str:
    if sys.stdin.isatty():
        text = str(typer.prompt("token", hide_input=True, err=True, default="", show_default=False))
    else:
        text = sys.stdin.read()
    return check_token(text.strip(), "The token")


@app.command()
def use(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="name of the context")] = None,
    none: Annotated[bool, typer.Option("--none", help="use no context: commands work on an embedded stack")] = False,
) -> None:
    """Make a context the current one, for every command that names no other."""
    if (name is None) != none:
        raise CommandError("Name a context, or give --none.")
    stored = contexts.read_contexts()
    current = stored.get(name).name if name is not None else None
    contexts.write_contexts(contexts.Contexts(current, stored.items))
    print(f"commands work on {current}" if current else "commands work on the embedded stack of the data directory")


@app.command("list")
def list_contexts(as_json: AsJson = False) -> None:
    """List the contexts. The active one is marked; tokens are not shown."""
    stored, active = contexts.read_contexts(), contexts.active_context()
    items: list[dict[str, Any]] = [
        {
            "name": item.name,
            "active": active is not None and active.name == item.name,
            "url": item.url,
            "ingest_url": item.ingest_url or item.url,
            "evaluator_url": item.evaluator_url or item.url,
            "token_file": None if item.token_file is None else str(item.token_file),
            **_authentication(item),
        }
        for _, item in sorted(stored.items.items())
    ]

    def show() -> None:
        table = make_table("", "name", "url", "authentication")
        for item in items:
            table.add_row("*" if item["active"] else "", item["name"], item["url"], _describe(item))
        print_table(table if items else "There are no contexts. Add one with: countersign context add")
        if active is not None and active.name not in stored.items:
            print(f"active: {active.url}, {active.name}")

    emit(items, as_json, show)


def _authentication(item: ApiContext) -> dict[str, Any]:
    """Return how a context is authenticated; tokens are not part of it."""
    if item.token_file is not None:
        return {"authentication": "token file"}
    found = read_sign_in(item)
    if found is None:
        return {"authentication": "signed out"}
    return {
        "authentication": "signed in",
        "subject": found.subject,
        "person": found.name or None,
        "issuer": found.issuer,
        "expires_at": stated_time(found.expires_at),
        "renewable": bool(found.refresh_token),
    }


def _describe(item: dict[str, Any]) -> str:
    if item["authentication"] != "signed in":
        return str(item["token_file"] or item["authentication"])
    until = item["expires_at"] or "it expires"
    renewed = ", renewed by commands" if item["renewable"] else ""
    return f"signed in as {item['person'] or item['subject']} until {until}{renewed}"


@app.command()
def remove(name: Name) -> None:
    """Remove a context, and its token if it was stored here. Afterwards no context is current, if it was this one."""
    stored = contexts.read_contexts()
    contexts.write_contexts(stored.without(stored.get(name).name))
    contexts.forget_token(name)
    _forget_sign_in(name)
    print(f"context {name} removed")


def _forget_sign_in(name: str) -> None:
    with locked(name):
        if forget_sign_in(name):
            warning = "warning: the tokens of your sign-in were deleted here, not revoked: use countersign logout first"
            stderr.print(warning, highlight=False, soft_wrap=True)
