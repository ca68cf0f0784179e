"""`countersign login` with a provider that others wrote: device code, renewal, revocation, and commands that use it."""

import asyncio
import json
import os
import re
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.stack.ports import free_port
from shared.runtime.oidc import OidcSettings
from shared.runtime.service import make_server
from tests.support.ehr import sandbox
from tests.support.oidc import GEE
from tests.support.oidc_provider import oidc_provider, walk
from tests.support.server import NatsServer
from tests.support.serving import CommandResult
from tests.support.stack import running, until

pytestmark = [pytest.mark.connected, pytest.mark.system]
AUDIENCE = "https://countersign.hospital.example/api"
PEOPLE = {
    "mgee": {name: value for name, value in GEE.items() if name != "sub"},
    "ops": {"name": "Kim Ops", "roles": ["operator"]},
    "nobody": {"name": "No Role"},
}
CLIENT = {
    "client_id": "countersign-cli",
    "application_type": "native",
    "token_endpoint_auth_method": "none",
    "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    "response_types": [],
    "redirect_uris": [],
}


@dataclass
class Site:
    """An installation, its provider, and a person's machine with its configuration."""

    url: str
    issuer: str
    home: Path

    @property
    def file(self) -> Path:
        return self.home / "countersign" / "sign-ins" / "prod.json"

    @property
    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}
        environment = kept | {"XDG_CONFIG_HOME": str(self.home), "COLUMNS": "300"}
        command = (sys.executable, "-m", "cli.main", *words)
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)

    async def run(self, *words: str) -> CommandResult:
        process = await self.start(*words)
        out, err = await process.communicate()
        return CommandResult(process.returncode or 0, out.decode(), err.decode())

    async def login(self, *words: str, who: str = "ops", deny: bool = False) -> CommandResult:
        """Run the command, and enter the code that it shows on the provider's pages."""
        process = await self.start("login", *words)
        try:
            return await self._enter(process, who, deny=deny)
        finally:
            if process.returncode is None:  # the test has failed
                process.kill()

    async def _enter(self, process: asyncio.subprocess.Process, who: str, *, deny: bool) -> CommandResult:
        assert process.stderr is not None
        line = (await process.stderr.readline()).decode()
        shown = re.fullmatch(r"Open (\S+) and enter the code (\S+)\n", line)
        assert shown, line + (await process.stderr.read()).decode()
        async with httpx.AsyncClient() as browser:
            page = await walk(browser, shown[1], self.issuer, who, shown[2], deny=deny)
        assert page.status_code == 200, page.text
        out, err = await process.communicate()
        return CommandResult(process.returncode or 0, out.decode(), line + err.decode())


@asynccontextmanager
async def site(nats: NatsServer, directory: Path, *, seconds: int = 3600) -> AsyncIterator[Site]:
    """`seconds` is how long access tokens are good."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    await nats.provision()
    with oidc_provider(directory, [CLIENT], PEOPLE, api={"audience": AUDIENCE, "seconds": seconds}) as issuer:
        settings = OidcSettings(
            issuer=issuer, audience=AUDIENCE, cli_client_id="countersign-cli", cli_resource=AUDIENCE, leeway=0
        )
        async with running(nats, sandbox(), oidc=settings, public_url=url) as stack:
            server = make_server(stack.app, "127.0.0.1", port)
            server.config.lifespan = "off"  # the services run already
            serving = asyncio.create_task(server.serve())
            await until(lambda: asyncio.sleep(0, server.started), "the server")
            try:
                yield Site(url, issuer, directory / "config")
            finally:
                server.should_exit = server.force_exit = True
                await serving


async def test_a_person_signs_in_works_and_signs_out(nats: NatsServer, tmp_path: Path) -> None:
    async with site(nats, tmp_path) as here:
        done = await here.login("--url", here.url, "--name", "prod", "--no-browser", "--json")
        assert done.code == 0, done
        found = json.loads(done.out)
        assert (found["subject"], found["name"], found["roles"]) == ("ops", "Kim Ops", ["operator"])
        assert (found["issuer"], found["renewable"]) == (here.issuer, True)
        stored = here.stored
        tokens = (stored["access_token"], stored["refresh_token"])
        assert stat.S_IMODE(here.file.stat().st_mode) == 0o600
        assert stat.S_IMODE(here.file.parent.stat().st_mode) == 0o700

        listed = await here.run("--context", "prod", "cases", "list", "--json")
        assert (listed.code, json.loads(listed.out)["items"]) == (0, []), listed
        shown = await here.run("context", "list")
        assert "signed in as Kim Ops until" in shown.out
        assert here.stored["access_token"] == tokens[0], "a token that is good is not renewed"

        left = await here.run("logout", "--context", "prod")
        assert (left.code, left.out) == (0, "signed out of prod\n"), left
        assert not here.file.exists()
        async with httpx.AsyncClient() as http:
            form = {"grant_type": "refresh_token", "refresh_token": tokens[1], "client_id": "countersign-cli"}
            refused = await http.post(f"{here.issuer}/token", data=form)
        assert refused.json()["error"] == "invalid_grant", "it was revoked"
        assert "signed out" in (await here.run("context", "list")).out
        after = await here.run("--context", "prod", "cases", "list")
        assert (after.code, "Run: countersign login --context prod" in after.err) == (2, True), after
        assert not any(token in done.out + done.err + shown.out + left.out + left.err for token in tokens)


async def test_commands_at_once_renew_one_after_the_other(nats: NatsServer, tmp_path: Path) -> None:
    """The provider replaces the refresh token each time, and ends the grant where an old one is used again."""
    async with site(nats, tmp_path, seconds=20) as here:
        assert (await here.login("--url", here.url, "--name", "prod")).code == 0
        before = here.stored
        done = await asyncio.gather(*(here.run("--context", "prod", "cases", "list", "--json") for _ in range(4)))
        assert [item.code for item in done] == [0] * 4, done
        assert here.stored["refresh_token"] != before["refresh_token"]
        assert here.stored["expires_at"] > before["expires_at"]
        assert (await here.run("--context", "prod", "cases", "list")).code == 0, "the grant goes on"

        async with httpx.AsyncClient() as http:  # an administrator ends it
            form = {"token": here.stored["refresh_token"], "client_id": "countersign-cli"}
            assert (await http.post(f"{here.issuer}/token/revocation", data=form)).status_code == 200
        ended = await here.run("--context", "prod", "cases", "list")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == "countersign: Your sign-in has ended. Run: countersign login --context prod\n"

        again = await here.login("--context", "prod")
        assert (again.code, "signed in to prod as Kim Ops (ops): operator\n" in again.out) == (0, True), again
        assert (await here.run("--context", "prod", "cases", "list")).code == 0


async def test_a_token_that_is_refused_is_renewed_once(nats: NatsServer, tmp_path: Path) -> None:
    """This machine's clock may be slow, or the provider's keys may be new."""
    async with site(nats, tmp_path) as here:
        assert (await here.login("--url", here.url, "--name", "prod")).code == 0
        stored = here.stored
        header, claims, _ = stored["access_token"].split(".")
        here.file.write_text(json.dumps(stored | {"access_token": f"{header}.{claims}.AAAA"}))
        done = await here.run("--context", "prod", "cases", "list")
        assert done.code == 0, done
        assert here.stored["refresh_token"] != stored["refresh_token"]


async def test_who_has_no_role_or_denies_is_told_so(nats: NatsServer, tmp_path: Path) -> None:
    async with site(nats, tmp_path) as here:
        done = await here.login("--url", here.url, "--name", "prod", who="nobody")
        assert done.code == 1, done
        assert f"{here.issuer} signed you in, but prod refuses you: the token has no role here." in done.err
        assert not here.file.exists()
        denied = await here.login("--url", here.url, "--name", "prod", deny=True)
        assert (denied.code, "The sign-in was denied" in denied.err) == (1, True), denied
        other = await here.run("login", "--url", here.url, "--name", "prod", "--client-id", "somebody")
        assert (other.code, "refuses the client 'somebody' (invalid_client)" in other.err) == (2, True), other


async def test_the_installation_says_where_to_sign_in(nats: NatsServer, tmp_path: Path) -> None:
    async with site(nats, tmp_path) as here, httpx.AsyncClient() as http:
        refused = await http.get(f"{here.url}/v1/cases")
        where = f"{here.url}/.well-known/oauth-protected-resource"
        assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{where}"'
        found = (await http.get(where)).json()
        assert (found["resource"], found["authorization_servers"]) == (here.url, [here.issuer])
        assert (found["countersign_cli_client_id"], found["countersign_cli_resource"]) == ("countersign-cli", AUDIENCE)
        wrong = await http.get(f"{here.url}/v1/cases", headers={"Authorization": "Bearer a.b.c"})
        assert wrong.headers["www-authenticate"] == f'Bearer error="invalid_token", resource_metadata="{where}"'
        elsewhere = (await http.get(where, headers={"Host": "evil.example"})).json()
        assert elsewhere["resource"] == here.url, "what a caller sends as Host is not repeated"


async def test_without_a_provider_there_is_nowhere_to_sign_in(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        answer = await stack.http.get("/.well-known/oauth-protected-resource")
        assert (answer.status_code, answer.json()["title"]) == (404, "There is no identity provider")
        assert (await stack.http.get("/v1/cases")).headers["www-authenticate"] == "Bearer"
        me = await stack.call("operator", "GET", "/v1/me")
        assert (me.json()["roles"], me.json()["departments"]) == (["operator"], None)
