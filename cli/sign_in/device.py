"""Sign in and out at an identity provider: device code, tokens, revocation."""

import os
import sys
import webbrowser
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx

from cli.errors import CommandError, RefusedError
from cli.output import stderr
from cli.sign_in.discovery import SignInPlace
from cli.sign_in.stored import SignIn
from shared.contracts.errors import TransientError
from shared.oauth.client_authentication import PublicClient
from shared.oauth.device_grant import EXPIRED, GRANT_TYPE, DeviceAuthorization, parse_device_authorization, poll
from shared.oauth.errors import TokenRefusedError
from shared.oauth.revocation import revoke_token
from shared.oauth.token_endpoint import REGISTRATION_CODES, request_tokens

DEVICE_ENDPOINT = "device authorization endpoint"


@dataclass(frozen=True, slots=True)
class Clocks:
    """`now` is in seconds since 1970, `monotonic` in seconds."""

    now: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


async def sign_in(
    http: httpx.AsyncClient, place: SignInPlace, url: str, clocks: Clocks, show: Callable[[DeviceAuthorization], None]
) -> SignIn:
    """Let a person sign in, and return the tokens. `show` tells them where to enter which code.

    Raises CommandError, RefusedError where the person denies it.
    """
    client, named = PublicClient(place.client_id), {"resource": place.resource} if place.resource else {}
    ends = place.endpoints
    try:
        asked = {"scope": place.scope, **named}
        answer = await request_tokens(http, ends.device_authorization, client, (), clocks.now(), asked, DEVICE_ENDPOINT)
        device = parse_device_authorization(answer)
        show(device)
        grant = {"grant_type": GRANT_TYPE, "device_code": device.device_code, **named}
        tokens = await poll(
            lambda: request_tokens(http, ends.token, client, (), clocks.now(), grant),
            device,
            clocks.monotonic,
            clocks.sleep,
        )
    except TokenRefusedError as refusal:
        raise explain(refusal, place) from None
    except TransientError as error:
        raise CommandError(f"The sign-in at {ends.issuer} failed: {error.reason}.") from None
    empty = SignIn(
        url=url,
        issuer=ends.issuer,
        client_id=place.client_id,
        token_endpoint=ends.token,
        revocation_endpoint=ends.revocation,
        resource=place.resource,
        access_token="",
    )
    return empty.with_tokens(tokens, clocks.now())


def explain(refusal: TokenRefusedError, place: SignInPlace) -> CommandError:
    """Return the sentence for an error code of RFC 8628 or RFC 6749."""
    issuer = place.endpoints.issuer
    if refusal.code == "access_denied":
        return RefusedError("The sign-in was denied at the identity provider.")
    if refusal.code in (EXPIRED, "invalid_grant"):
        return CommandError("The code has expired: nobody entered it in time. Run the command again.")
    if refusal.code == "invalid_target":
        return CommandError(f"{issuer} does not know the resource {place.resource} (COUNTERSIGN_OIDC_CLI_RESOURCE).")
    if refusal.code in REGISTRATION_CODES:
        return CommandError(
            f"{issuer} refuses the client {place.client_id!r} ({refusal.code}): check its registration as a public "
            "client for the device authorization grant, and its scopes."
        )
    return CommandError(f"{issuer} refuses the sign-in ({refusal.code}).")


async def revoke(http: httpx.AsyncClient, found: SignIn, now: float) -> bool:
    """Revoke the tokens at the provider; returns whether it can. Raises TransientError, TokenRefusedError.

    Where a refresh token is revoked, the provider ends the grant (RFC 7009, section 2.1).
    """
    if not found.revocation_endpoint:
        return False
    client = PublicClient(found.client_id)
    if found.refresh_token:
        await revoke_token(http, found.revocation_endpoint, client, now, found.refresh_token, "refresh_token")
    else:
        await revoke_token(http, found.revocation_endpoint, client, now, found.access_token, "access_token")
    return True


def show_instructions(device: DeviceAuthorization, *, browser: bool) -> None:
    """Print on stderr where to enter which code, and open a browser there."""
    lines = [f"Open {device.verification_uri} and enter the code {device.user_code}"]
    if device.complete_uri:
        lines.append(f"or open {device.complete_uri} and compare the code.")
    for line in lines:
        stderr.print(line, highlight=False, markup=False, soft_wrap=True)
    if browser and webbrowser.open(device.complete_uri or device.verification_uri):
        stderr.print("A browser was opened.", highlight=False)
    stderr.print("Waiting for you to sign in …", highlight=False)


def has_browser(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Return whether a browser with windows can be opened; one in the terminal would hide the code."""
    if "SSH_CONNECTION" in environment:
        return False
    return platform in ("darwin", "win32") or bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
