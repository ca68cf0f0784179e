"""`python -m sandbox_ehr`: run the sandbox as a separate process."""

from pathlib import Path
from typing import Annotated, Any, get_args

import httpx
import typer
import uvicorn

from sandbox_ehr.app import Sandbox, Style, create_app
from sandbox_ehr.app_launch import AppLaunch, RegisteredApp
from sandbox_ehr.notifications import Content, Shape, SubscriptionNotifier
from sandbox_ehr.quirks import Quirks, ReferenceStyle
from sandbox_ehr.seed import SEED, seed
from sandbox_ehr.smart import EVERYTHING, AuthorizationServer, RegisteredClient, keys_at
from sandbox_ehr.store import Store
from sandbox_ehr.subscriptions import Subscriptions


def run(
    port: int = 8090,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    db: Annotated[Path | None, typer.Option(help="SQLite file; without one, resources are in memory only")] = None,
    folder: Annotated[Path, typer.Option("--seed", help="folder of Bundles to load")] = SEED,
    style: Annotated[str, typer.Option(help="plain or opaque")] = "plain",
    token: Annotated[str | None, typer.Option(help="bearer token to require")] = None,
    faults: Annotated[bool, typer.Option(help="serve /sandbox/faults")] = False,
    notify: Annotated[str | None, typer.Option(help="endpoint to notify of every ended Task")] = None,
    notify_encounters: Annotated[bool, typer.Option(help="notify it of changed Encounters too")] = False,
    notify_appointments: Annotated[bool, typer.Option(help="notify it of changed Appointments too")] = False,
    notify_shape: Annotated[
        str, typer.Option(help="put, empty, backport, r4b, r5, transaction, medplum or athena")
    ] = "backport",
    notify_content: Annotated[
        str, typer.Option(help="empty, id-only or full-resource, of shapes that are Bundles")
    ] = "id-only",
    notify_secret_file: Annotated[Path | None, typer.Option(help="secret that signs medplum and athena")] = None,
    notify_token: Annotated[str | None, typer.Option(help="bearer token for the endpoint")] = None,
    subscriptions: Annotated[bool, typer.Option(help="let clients create Subscriptions by criteria")] = False,
    cache_seconds: Annotated[
        float, typer.Option("--cache-seconds", "--cache", help="seconds for which search results are cached")
    ] = 0.0,
    max_page_size: Annotated[
        int | None, typer.Option("--max-page-size", "--page", help="maximum entries of a page")
    ] = None,
    reference_style: Annotated[
        str,
        typer.Option("--reference-style", "--references", help="relative, absolute, versioned or absolute-versioned"),
    ] = "relative",
    requires_reference_type: Annotated[
        bool,
        typer.Option("--require-reference-type", "--typed", help="find nothing by references without a type"),
    ] = False,
    next_link: Annotated[str, typer.Option("--next-link", "--next-page", help="here, path or host")] = "here",
    create_response: Annotated[
        str, typer.Option("--create-response", "--created", help="body of a create: whole, location or nothing")
    ] = "whole",
    first_create_conflicts: Annotated[
        bool,
        typer.Option("--first-create-conflicts", "--contended", help="409 for the first conditional create of a type"),
    ] = False,
    first_create_races: Annotated[
        bool,
        typer.Option("--first-create-races", "--raced", help="commit the first conditional create of a type twice"),
    ] = False,
    refuse_search: Annotated[
        list[str] | None, typer.Option("--refuse-search", "--refuse", help="TYPE=STATUS or TYPE?PARAMETER=STATUS")
    ] = None,
    keyed_encounter_search: Annotated[
        bool, typer.Option(help="find Encounters by id, identifier or patient only")
    ] = False,
    incomplete_type: Annotated[
        list[str] | None,
        typer.Option("--incomplete-type", "--incomplete", help="TYPE whose search results are marked as incomplete"),
    ] = None,
    first_create_delay: Annotated[
        float,
        typer.Option("--first-create-delay", "--late", help="seconds until the first create of a type is committed"),
    ] = 0.0,
    max_contents: Annotated[
        int | None, typer.Option("--max-contents", "--contents", help="maximum contents of a document")
    ] = None,
    supports_delete: Annotated[bool, typer.Option("--supports-delete", "--deletes", help="support DELETE")] = False,
    token_file: Annotated[
        Path | None, typer.Option(help="require a bearer token, and write the valid one to this file")
    ] = None,
    token_lifetime: Annotated[
        float, typer.Option("--token-lifetime", "--token-life", help="seconds until the token is replaced")
    ] = 300.0,
    client_id: Annotated[str | None, typer.Option(help="client that may ask for tokens (SMART)")] = None,
    client_jwks: Annotated[str | None, typer.Option(help="its key set: a URL or a file")] = None,
    client_secret: Annotated[str | None, typer.Option(help="its secret, instead of keys")] = None,
    client_scope: Annotated[str, typer.Option(help="scopes that it may be granted")] = EVERYTHING,
    oracle_documents: Annotated[bool, typer.Option(help="take documents as Oracle Health does, and no Tasks")] = False,
    anonymous: Annotated[bool, typer.Option(help="let requests without a token pass too")] = False,
    app_id: Annotated[str | None, typer.Option(help="app that the EHR opens (SMART App Launch)")] = None,
    app_url: Annotated[str, typer.Option(help="public URL of the app")] = "http://127.0.0.1:8080",
    app_secret: Annotated[str | None, typer.Option(help="secret of the app; without one it is public")] = None,
) -> None:
    """Serve FHIR R4 under /fhir."""
    chosen: Style = "opaque" if style == "opaque" else "plain"
    store = Store(db)
    seed(store, chosen, folder)
    notifier = None
    if notify:
        notifier = SubscriptionNotifier(
            httpx.AsyncClient(),
            notify,
            notify_token,
            shape=_one_of("--notify-shape", notify_shape, get_args(Shape)),
            content=_one_of("--notify-content", notify_content, get_args(Content)),
            encounters=notify_encounters,
            appointments=notify_appointments,
            secret=notify_secret_file.read_bytes().strip() if notify_secret_file else b"",
        )
    quirks = Quirks(
        cache_seconds=cache_seconds,
        max_page_size=max_page_size,
        reference_style=_one_of("--reference-style", reference_style, get_args(ReferenceStyle)),
        requires_reference_type=requires_reference_type,
        next_link=_one_of("--next-link", next_link, ("here", "path", "host")),
        create_response=_one_of("--create-response", create_response, ("whole", "location", "nothing")),
        first_create_conflicts=first_create_conflicts,
        first_create_races=first_create_races,
        refused_searches={
            type: int(status) for type, _, status in (item.partition("=") for item in refuse_search or [])
        },
        keyed_encounter_search=keyed_encounter_search,
        incomplete_types=frozenset(incomplete_type or []),
        first_create_delay=first_create_delay,
        max_contents=max_contents,
        supports_delete=supports_delete,
        token_file=token_file,
        token_lifetime=token_lifetime,
    )
    client = _client(client_id, client_jwks, client_secret, client_scope) if client_id is not None else None
    app = _app(app_id, app_url.rstrip("/"), app_secret) if app_id is not None else None
    authorization = _authorization_server(store, client, app, token_lifetime, anonymous=anonymous)
    created = Subscriptions(store, httpx.AsyncClient()) if subscriptions else None
    sandbox = Sandbox(
        store,
        chosen,
        token,
        notifier,
        quirks,
        authorization,
        oracle_documents=oracle_documents,
        subscriptions=created,
    )
    uvicorn.run(create_app(sandbox, faults=faults), host=host, port=port, log_level="warning", access_log=False)


def _client(id: str, jwks: str | None, secret: str | None, scope: str) -> RegisteredClient:
    url = jwks if jwks and jwks.startswith(("http://", "https://")) else None
    return RegisteredClient(id, keys_at(jwks) if jwks else None, url, secret, scope)


def _app(id: str, url: str, secret: str | None) -> RegisteredApp:
    return RegisteredApp(id, f"{url}/launch", (f"{url}/launch/callback",), secret)


def _authorization_server(
    store: Store, client: RegisteredClient | None, app: RegisteredApp | None, life: float, *, anonymous: bool
) -> AuthorizationServer | None:
    """Return the authorization server of the registered client and app; None where neither is registered.

    Without a client, nobody could get a token for requests: they need none.
    """
    if client is None and app is None:
        return None
    return AuthorizationServer(
        [client] if client is not None else [],
        life=life,
        anonymous=anonymous or client is None,
        apps=AppLaunch(store, app) if app is not None else None,
    )


def _one_of(option: str, value: str, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise typer.BadParameter(f"{value} is none of {', '.join(allowed)}", param_hint=option)
    return value


if __name__ == "__main__":
    typer.run(run)
