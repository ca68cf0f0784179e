"""`python -m sandbox_ehr`: the sandbox as a process of its own."""

from pathlib import Path
from typing import Annotated, Any, get_args

import httpx
import typer
import uvicorn

from sandbox_ehr.app import Sandbox, Style, create_app
from sandbox_ehr.notifications import Subscriber
from sandbox_ehr.quirks import Quirks, Spelling
from sandbox_ehr.seed import SEED, seed
from sandbox_ehr.smart import EVERYTHING, AuthorizationServer, RegisteredClient, keys_at
from sandbox_ehr.store import Store


def run(
    port: int = 8090,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    db: Annotated[Path | None, typer.Option(help="SQLite file; in memory without one")] = None,
    folder: Annotated[Path, typer.Option("--seed", help="folder of Bundles to start with")] = SEED,
    style: Annotated[str, typer.Option(help="plain or opaque")] = "plain",
    token: Annotated[str | None, typer.Option(help="bearer token to ask for")] = None,
    faults: Annotated[bool, typer.Option(help="open /sandbox/faults")] = False,
    notify: Annotated[str | None, typer.Option(help="endpoint that is told of every Task that has ended")] = None,
    notify_token: Annotated[str | None, typer.Option(help="bearer token for it")] = None,
    cache: Annotated[float, typer.Option(help="seconds for which searches are answered from a cache")] = 0.0,
    page: Annotated[int | None, typer.Option(help="entries of a page, at most")] = None,
    references: Annotated[str, typer.Option(help="relative, absolute, versioned or absolute-versioned")] = "relative",
    typed: Annotated[bool, typer.Option(help="find nothing by ids without a type")] = False,
    next_page: Annotated[str, typer.Option(help="here, path or host")] = "here",
    created: Annotated[str, typer.Option(help="what a create answers: whole, location or nothing")] = "whole",
    contended: Annotated[bool, typer.Option(help="answer 409 to the first conditional create of each type")] = False,
    raced: Annotated[bool, typer.Option(help="commit the first conditional create of each type twice")] = False,
    refuse: Annotated[list[str] | None, typer.Option(help="TYPE=STATUS or TYPE?PARAMETER=STATUS")] = None,
    incomplete: Annotated[list[str] | None, typer.Option(help="TYPE: say that its searches are incomplete")] = None,
    late: Annotated[float, typer.Option(help="seconds after which the first create of each type is committed")] = 0.0,
    contents: Annotated[int | None, typer.Option(help="contents that a document may have, at most")] = None,
    deletes: Annotated[bool, typer.Option(help="let resources be deleted")] = False,
    token_file: Annotated[Path | None, typer.Option(help="ask for the token that this file always has")] = None,
    token_life: Annotated[float, typer.Option(help="seconds until the token is another one")] = 300.0,
    client_id: Annotated[str | None, typer.Option(help="client that may ask for tokens (SMART)")] = None,
    client_jwks: Annotated[str | None, typer.Option(help="its key set: a URL or a file")] = None,
    client_secret: Annotated[str | None, typer.Option(help="its secret, instead of keys")] = None,
    client_scope: Annotated[str, typer.Option(help="scopes that it may be granted")] = EVERYTHING,
    anonymous: Annotated[bool, typer.Option(help="let requests without a token pass too")] = False,
) -> None:
    """Serve FHIR R4 under /fhir."""
    chosen: Style = "opaque" if style == "opaque" else "plain"
    store = Store(db)
    seed(store, chosen, folder)
    subscriber = Subscriber(httpx.AsyncClient(), notify, notify_token) if notify else None
    quirks = Quirks(
        cache=cache,
        page=page,
        references=_one_of("--references", references, get_args(Spelling)),
        typed=typed,
        next=_one_of("--next-page", next_page, ("here", "path", "host")),
        created=_one_of("--created", created, ("whole", "location", "nothing")),
        contended=contended,
        raced=raced,
        refused={type: int(status) for type, _, status in (item.partition("=") for item in refuse or [])},
        incomplete=frozenset(incomplete or []),
        late=late,
        contents=contents,
        deletes=deletes,
        token_file=token_file,
        token_life=token_life,
    )
    authorization = None
    if client_id is not None:
        url = client_jwks if client_jwks and client_jwks.startswith(("http://", "https://")) else None
        keys = keys_at(client_jwks) if client_jwks else None
        client = RegisteredClient(client_id, keys, url, client_secret, client_scope)
        authorization = AuthorizationServer([client], life=token_life, anonymous=anonymous)
    app = create_app(Sandbox(store, chosen, token, subscriber, quirks, authorization), faults=faults)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)


def _one_of(option: str, value: str, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise typer.BadParameter(f"{value} is none of {', '.join(allowed)}", param_hint=option)
    return value


if __name__ == "__main__":
    typer.run(run)
