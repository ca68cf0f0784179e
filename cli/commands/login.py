"""`countersign login` and `logout`: sign in to an installation with one's own account."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from cli import contexts
from cli.contexts import ApiContext, check_name, check_url
from cli.errors import CommandError, RefusedError
from cli.options import AsJson
from cli.output import emit, stderr
from cli.sign_in.stored import SignIn, forget_sign_in, locked, read_sign_in, write_sign_in

if TYPE_CHECKING:
    from cli.sign_in.discovery import SignInPlace

ContextName = Annotated[str | None, typer.Option("--context", help="name of the context; default: the current one")]


def login(
    context_name: ContextName = None,
    url: Annotated[
        str | None, typer.Option("--url", help="address of an installation; a context is added for it")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="name of that context; default: the host of --url")] = None,
    ingest_url: Annotated[str, typer.Option("--ingest-url", help="with --url: address of ingest")] = "",
    evaluator_url: Annotated[str, typer.Option("--evaluator-url", help="with --url: address of the evaluator")] = "",
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="with --url: certificate authority of the server, PEM")
    ] = None,
    issuer: Annotated[str, typer.Option("--issuer", help="identity provider; default: the installation's")] = "",
    client_id: Annotated[
        str, typer.Option("--client-id", help="client to sign in as; default: the one that the installation names")
    ] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="open no browser; show the address only")] = False,
    as_json: AsJson = False,
) -> None:
    """Sign in with your own account, in a browser on this or another device. Later commands use and renew it."""
    if (url is None) and (name or ingest_url or evaluator_url or ca_file):
        raise CommandError("--name, --ingest-url, --evaluator-url and --ca-file belong to --url.")
    if url is not None and context_name is not None:
        raise CommandError("Name a context with --context, or an installation with --url, not both.")
    if url is None:
        context = replace(contexts.stored_context(context_name), token_file=None)
    else:
        context = _new_context(url, name, ingest_url, evaluator_url, ca_file)
    found, roles = asyncio.run(_sign_in(context, issuer, client_id, browser=not no_browser))
    _show(context, found, roles, as_json, added=url is not None)


def _show(context: ApiContext, found: SignIn, roles: list[str], as_json: bool, *, added: bool) -> None:
    result = {
        "context": context.name,
        "url": context.url,
        "issuer": found.issuer,
        "subject": found.subject,
        "name": found.name or None,
        "roles": roles,
        "expires_at": stated_time(found.expires_at),
        "renewable": bool(found.refresh_token),
    }
    who = f"{found.name} ({found.subject})" if found.name else found.subject
    until = "" if found.refresh_token else f", until {stated_time(found.expires_at) or 'the token expires'}"
    used = f"; use it with: countersign context use {context.name}" if added else ""
    emit(result, as_json, f"signed in to {context.name} as {who}: {', '.join(roles)}{until}{used}")


def _new_context(url: str, name: str | None, ingest_url: str, evaluator_url: str, ca_file: Path | None) -> ApiContext:
    address = check_url(url, "--url")
    chosen = check_name(name or urlsplit(address).hostname or "")
    if name is None and chosen in contexts.read_contexts().items:
        raise CommandError(f"There is a context {chosen} already. Sign in with --context {chosen}, or give a --name.")
    return ApiContext(
        chosen,
        address,
        None,
        check_url(ingest_url, "--ingest-url", optional=True),
        check_url(evaluator_url, "--evaluator-url", optional=True),
        ca_file.absolute() if ca_file else None,
    )


async def _sign_in(context: ApiContext, issuer: str, client_id: str, *, browser: bool) -> tuple[SignIn, list[str]]:
    import httpx

    from cli.client import TIMEOUT_S, authorities
    from cli.sign_in import device
    from cli.sign_in.discovery import find_place
    from cli.sign_in.renewal import identity_client

    opens = browser and device.has_browser()
    clocks = device.Clocks(time.time, time.monotonic, asyncio.sleep)
    async with (
        httpx.AsyncClient(timeout=TIMEOUT_S, verify=authorities(context)) as installation,
        identity_client(context) as provider,
    ):
        place: SignInPlace = await find_place(installation, provider, context.url, issuer, client_id)
        found = await device.sign_in(
            provider, place, context.url, clocks, lambda code: device.show_instructions(code, browser=opens)
        )
        try:
            me = await _who(installation, context, found)
            found = replace(found, subject=str(me["subject"]), name=str(me["name"] or ""))
            previous = _store(context, found)
        except CommandError:
            await _revoke_quietly(provider, found)
            raise
        if previous is not None:
            await _revoke_quietly(provider, previous)
        return found, [str(role) for role in me["roles"]]


def _store(context: ApiContext, found: SignIn) -> SignIn | None:
    """Store tokens and context; returns the sign-in that they replace."""
    with locked(context.name):
        try:
            previous = read_sign_in(context)
        except CommandError:  # a file that is not valid is replaced
            previous = None
        write_sign_in(context, found)
    contexts.write_contexts(contexts.read_contexts().with_context(context))
    contexts.forget_token(context.name)  # of a token file that was asked for
    return previous


async def _who(http: Any, context: ApiContext, found: SignIn) -> dict[str, Any]:
    """Return whom the installation takes the person for. Raises RefusedError where it refuses the token."""
    import httpx

    try:
        answer = await http.get(f"{context.url}/v1/me", headers={"Authorization": f"Bearer {found.access_token}"})
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise CommandError(f"{context.name} ({context.url}) does not answer ({type(error).__name__}).") from None
    said = body if isinstance(body, dict) else {}
    if answer.status_code in (401, 403):
        reason = said.get("detail") or said.get("title")
        raise RefusedError(f"{found.issuer} signed you in, but {context.name} refuses you: {reason}.")
    if not answer.is_success or not {"subject", "name", "roles"} <= set(said):
        raise CommandError(f"{context.name} ({context.url}) does not say who you are (HTTP {answer.status_code}).")
    return said


async def _revoke_quietly(http: Any, found: SignIn) -> None:
    """Revoke tokens that are not kept; where that fails, they expire by themselves."""
    from cli.sign_in import device
    from shared.contracts.errors import TransientError

    try:
        await device.revoke(http, found, time.time())
    except TransientError as error:
        stderr.print(f"warning: tokens that are no longer used were not revoked: {error.reason}", highlight=False)


def logout(context_name: ContextName = None, as_json: AsJson = False) -> None:
    """Sign out: revoke the tokens at the identity provider, and delete them here."""
    context = contexts.stored_context(context_name)
    if context.token_file is not None:
        raise CommandError(f"{context.name} uses the token file {context.token_file}; nobody is signed in.")
    with locked(context.name):
        found = read_sign_in(context)
        if found is None:
            raise CommandError(f"You are not signed in to {context.name}.")
        try:
            revoked = asyncio.run(_revoke(context, found))
        finally:
            forget_sign_in(context.name)
    missing = "" if revoked else f"; {found.issuer} revokes no tokens, they expire by themselves"
    emit({"context": context.name, "revoked": revoked}, as_json, f"signed out of {context.name}{missing}")


async def _revoke(context: ApiContext, found: SignIn) -> bool:
    from cli.sign_in import device
    from cli.sign_in.renewal import identity_client
    from shared.contracts.errors import TransientError

    async with identity_client(context) as http:
        try:
            return await device.revoke(http, found, time.time())
        except TransientError as error:
            raise RefusedError(
                f"Your tokens were deleted here, but {found.issuer} has not revoked them: {error.reason}."
            ) from None


def stated_time(expires_at: float | None) -> str | None:
    """Return a time as RFC 3339 in UTC."""
    return None if expires_at is None else datetime.fromtimestamp(expires_at, UTC).isoformat(timespec="seconds")
