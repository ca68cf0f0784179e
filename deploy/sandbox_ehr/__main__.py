"""`python -m deploy.sandbox_ehr`: the sandbox as a process of its own."""

from pathlib import Path
from typing import Annotated

import httpx
import typer
import uvicorn

from deploy.sandbox_ehr.app import Sandbox, Style, create_app
from deploy.sandbox_ehr.notify import Subscriber
from deploy.sandbox_ehr.seed import SEED, seed
from deploy.sandbox_ehr.store import Store


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
) -> None:
    """Serve FHIR R4 under /fhir."""
    chosen: Style = "opaque" if style == "opaque" else "plain"
    store = Store(db)
    seed(store, chosen, folder)
    subscriber = Subscriber(httpx.AsyncClient(), notify, notify_token) if notify else None
    app = create_app(Sandbox(store, chosen, token, subscriber), faults=faults)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    typer.run(run)
