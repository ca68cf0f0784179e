"""What the doctor says about sign-in, asked of a provider that others wrote and of the sandbox EHR."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from cli.doctor.target import DoctorTarget
from shared.runtime.checks.findings import Group
from shared.runtime.checks.sign_on import check_sign_on
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.oidc import OidcSettings
from tests.support.client_certificates import pem_of, rsa_key, write_pair
from tests.support.ehr import sandbox
from tests.support.launch import APP, launching
from tests.support.oidc import oidc_server
from tests.support.oidc_provider import oidc_provider

URL = "https://countersign.example"
CLIENT: dict[str, Any] = {
    "client_id": "countersign",
    "client_secret": "s3cret+%",
    "redirect_uris": [f"{URL}/sign-in/callback"],
    "post_logout_redirect_uris": [f"{URL}/sign-in/ended"],
}


@dataclass
class Target:
    """The part of a DoctorTarget that this check uses."""

    oidc: OidcSettings
    launch: LaunchSettings
    public_url: str = URL


async def levels(
    oidc: OidcSettings | None = None, launch: LaunchSettings | None = None, url: str = URL
) -> dict[str, str]:
    group = Group("connections")
    place = Target(oidc or OidcSettings(), launch or LaunchSettings(), url)
    async with httpx.AsyncClient(timeout=10) as http:
        await check_sign_on(group, http, cast(DoctorTarget, place))
    return {item.what: item.level for item in group.found}


async def test_a_registration_is_checked_piece_by_piece(tmp_path: Path) -> None:
    with oidc_provider(tmp_path, [CLIENT], {}) as issuer:
        right = OidcSettings(issuer=issuer, client_secret=SecretStr("s3cret+%"))
        assert await levels(right) == {
            "identity provider": "ok",
            "identity provider: client": "ok",
            "identity provider: redirect": "ok",
            "identity provider: sign-out": "ok",
        }
        other = OidcSettings(issuer=issuer, client_secret=SecretStr("s3cret"))
        wrong = await levels(other, url="https://other.example")
        assert wrong == {
            "identity provider": "ok",
            "identity provider: client": "fault",
            "identity provider: redirect": "warning",
            "identity provider: sign-out": "warning",
        }
        assert await levels(OidcSettings(issuer=f"{issuer}/x")) == {"identity provider": "fault"}
    assert await levels(right) == {"identity provider": "fault"}


async def test_keys_that_verify_nothing_are_a_fault() -> None:
    with oidc_server() as provider:
        assert (await levels(OidcSettings(issuer=provider.issuer)))["identity provider"] == "ok"
        provider.unusable = True
        assert await levels(OidcSettings(issuer=provider.issuer)) == {"identity provider": "fault"}


async def test_a_launch_is_checked() -> None:
    async with launching(sandbox(), URL) as ehr:
        launch = LaunchSettings(issuer=ehr.issuer, client_id=APP)
        found = await levels(launch=launch)
        assert found == {"EHR launch": "ok", "EHR launch: client": "ok", "EHR launch: roles": "warning"}
        other = await levels(launch=LaunchSettings(issuer=ehr.issuer, client_id="another"))
        assert other["EHR launch: client"] == "fault"
    assert await levels(launch=launch) == {"EHR launch": "fault"}


async def test_a_client_certificate_is_tried_and_its_end_is_shown(tmp_path: Path) -> None:
    key = rsa_key()
    public = RSAKey.import_key(pem_of(key)).as_dict(private=False)
    registration = CLIENT | {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [public]}}
    registration |= {"token_endpoint_auth_signing_alg": "PS256"}
    del registration["client_secret"]
    with oidc_provider(tmp_path, [registration], {}) as issuer:
        for days, level in ((365, "ok"), (20, "warning")):
            found = await levels(OidcSettings(issuer=issuer, **write_pair(tmp_path, key, days=days)))  # type: ignore[arg-type]
            assert (found["identity provider: client"], found["identity provider: certificate"]) == ("ok", level)


async def test_the_client_of_the_command_is_checked(tmp_path: Path) -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"
    public = {"token_endpoint_auth_method": "none", "redirect_uris": [], "response_types": []}
    cli = public | {"client_id": "cli", "grant_types": [device, "refresh_token"]}
    what = "identity provider: countersign login"
    with oidc_provider(tmp_path, [CLIENT, cli], {}, api={"audience": URL, "seconds": 60}) as issuer:
        for client_id, resource, level in (("cli", URL, "ok"), ("cli", "urn:other", "warning"), ("x", "", "warning")):
            asked = OidcSettings(
                issuer=issuer, client_secret=SecretStr("s3cret+%"), cli_client_id=client_id, cli_resource=resource
            )
            assert (await levels(asked))[what] == level, (client_id, resource)
        assert what not in await levels(OidcSettings(issuer=issuer, client_secret=SecretStr("s3cret+%")))
    with oidc_provider(tmp_path, [CLIENT], {}) as issuer:
        asked = OidcSettings(issuer=issuer, client_secret=SecretStr("s3cret+%"), cli_client_id="cli")
        assert (await levels(asked))[what] == "warning"
