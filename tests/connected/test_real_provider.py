"""Sign-in and sign-out with a provider that others wrote, over real sockets: `oidc-provider` in Node.js."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from cli.stack.ports import free_port
from shared.oauth.client_keys import dump_keys, generate_key, public_jwks
from shared.runtime.oidc import OidcSettings
from shared.runtime.service import make_server
from tests.support.client_certificates import pem_of, rsa_key, write_pair
from tests.support.ehr import sandbox
from tests.support.oidc import GEE
from tests.support.oidc_provider import oidc_provider, walk
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected
SECRET = "a+b%2B:c d/ %"  # RFC 6749 allows visible ASCII; others are in the unit tests
PEOPLE = {"mgee": {name: value for name, value in GEE.items() if name != "sub"}, "nobody": {"name": "No Role"}}


def registered(url: str, **more: Any) -> dict[str, Any]:
    ordinary = {
        "client_id": "countersign",
        "client_secret": SECRET,
        "redirect_uris": [f"{url}/sign-in/callback"],
        "post_logout_redirect_uris": [f"{url}/sign-in/ended"],
        "backchannel_logout_uri": f"{url}/sign-in/back-channel-logout",
        "backchannel_logout_session_required": True,
        "grant_types": ["authorization_code", "refresh_token"],
        "require_auth_time": True,
        "id_token_signed_response_alg": "ES256",
    }
    return {name: value for name, value in (ordinary | more).items() if value is not None}


@asynccontextmanager
async def hospital(
    nats: NatsServer, directory: Path, registration: dict[str, Any], *, id_token_claims: bool = True, **oidc: Any
) -> AsyncIterator[tuple[str, str, Stack]]:
    """Our URL, the issuer, and the services."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    await nats.provision()
    with oidc_provider(directory, [registered(url, **registration)], PEOPLE, id_token_claims=id_token_claims) as issuer:
        settings = OidcSettings(issuer=issuer, client_id="countersign", **oidc)
        async with running(nats, sandbox(), oidc=settings, public_url=url) as stack:
            server = make_server(stack.app, "127.0.0.1", port)
            server.config.lifespan = "off"  # the services run already
            serving = asyncio.create_task(server.serve())
            await until(lambda: asyncio.sleep(0, server.started), "the server")
            try:
                yield url, issuer, stack
            finally:
                server.should_exit = server.force_exit = True
                await serving


async def signed_in(browser: httpx.AsyncClient, url: str, issuer: str, login: str = "mgee") -> httpx.Response:
    return await walk(browser, f"{url}/sign-in/provider", issuer, login)


async def test_sign_in_sign_out_and_a_sign_out_elsewhere(nats: NatsServer, tmp_path: Path) -> None:
    """A secret with every awkward character, PKCE, ES256; both browsers of a person lose their sessions."""
    async with (
        hospital(nats, tmp_path, {}, client_secret=SecretStr(SECRET)) as (url, issuer, _),
        httpx.AsyncClient() as browser,
    ):
        landed = await signed_in(browser, url, issuer)
        assert (landed.status_code, str(landed.url)) == (200, f"{url}/")
        assert "Maxine Gee" in landed.text
        async with httpx.AsyncClient() as second:  # at another browser, with a session of its own at the provider
            assert (await signed_in(second, url, issuer)).status_code == 200
            left = await browser.post(f"{url}/sign-out", headers={"Origin": url})
            assert (left.status_code, issuer in left.text) == (200, True)
            assert (await browser.get(f"{url}/")).status_code == 303, "ours has ended, whatever the provider does"
            back = await walk(browser, _refresh(left.text), issuer)
            assert urlsplit(str(back.url)).path == "/sign-in/ended"
            assert "signed out, here and at your hospital account" in back.text
            assert (await second.get(f"{url}/")).status_code == 200, "another session of the provider"
            # The second browser ends its session at the provider itself; the provider tells us (back channel).
            await walk(second, f"{issuer}/session/end", issuer)

            async def ended() -> bool:
                return (await second.get(f"{url}/")).status_code == 303

            await until(ended, "the session to be ended by the provider")
        nobody = httpx.AsyncClient()
        refused = await signed_in(nobody, url, issuer, "nobody")
        await nobody.aclose()
        assert (refused.status_code, "no role here" in refused.text) == (403, True)


def _refresh(text: str) -> str:
    return text.split('content="0; url=')[1].split('"')[0].replace("&amp;", "&")


@pytest.mark.parametrize("way", ["client_secret_post", "private_key_jwt", "certificate", "none"])
async def test_clients_authenticate_as_they_are_registered(nats: NatsServer, tmp_path: Path, way: str) -> None:
    """Roles come from the userinfo endpoint here: the provider keeps them out of ID tokens."""
    registration: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt" if way == "certificate" else way}
    given: dict[str, Any] = {"claims_from": "userinfo"}
    if way == "client_secret_post":
        given |= {"client_secret": SecretStr(SECRET), "client_secret_method": way}
    elif way == "private_key_jwt":
        key = generate_key("ES384", 0)
        file = tmp_path / "keys.json"
        file.write_text(dump_keys([key]))
        registration |= {"client_secret": None, "jwks": public_jwks([key])}
        given |= {"client_key_file": file}
    elif way == "certificate":  # it finds the key by its algorithm, where Entra ID finds it by the thumbprint
        private = rsa_key()
        public = RSAKey.import_key(pem_of(private)).as_dict(private=False)
        registration |= {"client_secret": None, "jwks": {"keys": [public]}}
        registration["token_endpoint_auth_signing_alg"] = "PS256"
        given |= write_pair(tmp_path, private)
    else:
        registration |= {"client_secret": None}
    async with (
        hospital(nats, tmp_path, registration, id_token_claims=False, **given) as (url, issuer, _),
        httpx.AsyncClient() as browser,
    ):
        landed = await signed_in(browser, url, issuer)
        assert (landed.status_code, "Maxine Gee" in landed.text) == (200, True), landed.text
