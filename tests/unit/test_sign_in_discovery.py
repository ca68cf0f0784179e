"""Where to sign in: what an installation and its identity provider may say (RFC 9728, RFC 8414)."""

from typing import Any

import httpx
import pytest

from cli.errors import CommandError
from cli.sign_in.discovery import find_place, metadata_url, parse_issuer_metadata, parse_resource_metadata
from shared.runtime.oidc import OidcSettings
from shared.runtime.oidc.resource_metadata import protected_resource

URL, ISSUER = "https://countersign.example", "https://id.example/realms/x"
SETTINGS = OidcSettings(issuer=ISSUER, cli_client_id="cli", cli_resource="urn:api", cli_scope="openid x")
RESOURCE: dict[str, Any] = protected_resource(SETTINGS, URL)
PROVIDER: dict[str, Any] = {
    "issuer": ISSUER,
    "device_authorization_endpoint": f"{ISSUER}/device",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
}


def test_the_metadata_of_an_installation_is_of_its_own_address() -> None:
    found = parse_resource_metadata(RESOURCE, f"{URL}:443/")
    assert (found.issuers, found.client_id, found.resource, found.scope) == ((ISSUER,), "cli", "urn:api", "openid x")
    for other in ("https://evil.example", "http://countersign.example", f"{URL}:8443", f"{URL}/path"):
        with pytest.raises(CommandError, match=f"calls itself {URL}"):
            parse_resource_metadata(RESOURCE, other)
    bare = {"resource": URL, "authorization_servers": [ISSUER]}
    assert parse_resource_metadata(bare, URL).scope == "openid profile offline_access"
    for body in (None, {}, bare | {"authorization_servers": []}, bare | {"authorization_servers": [7]}):
        with pytest.raises(CommandError, match="RFC 9728"):
            parse_resource_metadata(body, URL)


def test_the_well_known_path_comes_before_the_path_of_an_installation() -> None:
    assert metadata_url(URL) == f"{URL}/.well-known/oauth-protected-resource"
    assert metadata_url(f"{URL}/a/b/") == f"{URL}/.well-known/oauth-protected-resource/a/b"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"issuer": f"{ISSUER}/"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"device_authorization_endpoint": "http://id.example/device"}, "not an https address"),
        ({"token_endpoint": "http://id.example/token"}, "not an https address"),
        ({"token_endpoint": None}, "not an https address"),
    ],
)
def test_endpoints_are_those_of_the_issuer_and_encrypted(change: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        parse_issuer_metadata(PROVIDER | change, ISSUER)
    assert parse_issuer_metadata(PROVIDER, ISSUER).revocation == f"{ISSUER}/revoke"
    assert parse_issuer_metadata(PROVIDER | {"revocation_endpoint": "http://x"}, ISSUER).revocation == ""
    with pytest.raises(CommandError, match="does not offer the device"):
        parse_issuer_metadata({"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}, ISSUER)


async def place(installation: httpx.Response, url: str = URL, **more: str) -> Any:
    def provider(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{ISSUER}/.well-known/openid-configuration"
        return httpx.Response(200, json=PROVIDER)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(lambda _: installation)) as first,
        httpx.AsyncClient(transport=httpx.MockTransport(provider)) as second,
    ):
        return await find_place(first, second, url, **more)


NOTHING = httpx.Response(404, json={"title": "There is no identity provider", "detail": "Tokens are in a file."})


async def test_where_and_as_which_client() -> None:
    found = await place(httpx.Response(200, json=RESOURCE))
    assert (found.endpoints.issuer, found.client_id, found.resource) == (ISSUER, "cli", "urn:api")
    assert (await place(httpx.Response(200, json=RESOURCE), client_id="mine")).client_id == "mine"
    assert (await place(NOTHING, issuer=ISSUER, client_id="mine")).client_id == "mine"


REFUSED: list[tuple[httpx.Response, dict[str, str], str]] = [
    (NOTHING, {}, "There is no identity provider. Tokens are in a file."),
    (NOTHING, {"issuer": ISSUER}, "Give --client-id"),
    (httpx.Response(502, html="x"), {"issuer": ISSUER, "client_id": "c"}, "HTTP 502"),
    (httpx.Response(302, headers={"location": "https://evil.example"}), {}, "HTTP 302"),
    (httpx.Response(200, json=RESOURCE), {"issuer": "https://evil.example"}, "does not accept sign-ins of"),
    (httpx.Response(200, json=RESOURCE | {"countersign_cli_client_id": ""}), {}, "Give --client-id"),
    (httpx.Response(200, json=RESOURCE | {"authorization_servers": [ISSUER, "https://b.example"]}), {}, "--issuer"),
    (httpx.Response(200, json=RESOURCE | {"authorization_servers": ["http://id.example"]}), {}, "not an https"),
    (httpx.Response(200, json=RESOURCE), {"url": "http://countersign.example"}, "not an https address"),
]


@pytest.mark.parametrize(("answer", "more", "said"), REFUSED)
async def test_where_nobody_signs_in(answer: httpx.Response, more: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        await place(answer, **more)


def test_a_resource_indicator_is_an_absolute_uri() -> None:
    for wrong in ("api", "https://x.example/#a"):
        with pytest.raises(ValueError, match="RFC 8707"):
            OidcSettings(issuer=ISSUER, cli_resource=wrong)
