"""An OpenID provider that others wrote (`oidc-provider`), as a process, and a person who signs in on its pages."""

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from joserfc.jwk import ECKey, RSAKey

from tests.support.third_party import FOLDER, installed


@contextmanager
def oidc_provider(
    directory: Path,
    clients: list[dict[str, Any]],
    people: dict[str, dict[str, Any]],
    *,
    id_token_claims: bool = True,
    launches: dict[str, dict[str, str]] | None = None,
    api: dict[str, Any] | None = None,
) -> Iterator[str]:
    """The issuer; it ends with the block. `people`: login → claims, in ID tokens or only at the userinfo endpoint.

    `api`: `audience` (a URI) of access tokens that are JWTs, for so many `seconds`; also by the device grant.
    `launches`: launch → context. With them it is the authorization server of an EHR whose FHIR base is `/fhir`.
    """
    installed()
    file = directory / "oidc.json"
    rsa = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
    ec = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
    keys = [key.as_dict(private=True) for key in (rsa, ec)]
    secrets_of = {"keys": keys, "cookieKey": secrets.token_urlsafe(24)}
    given = {"clients": clients, "people": people, "idTokenClaims": id_token_claims, "launches": launches, "api": api}
    file.write_text(json.dumps(given | secrets_of))
    command = ["node", str(FOLDER / "oidc.mjs"), str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()  # it comes when the provider listens, or is empty when it has ended
            assert line, "the provider did not start"
            yield json.loads(line)["issuer"]
        finally:
            server.kill()


async def walk(
    browser: httpx.AsyncClient, url: str, issuer: str, login: str = "mgee", user_code: str = "", *, deny: bool = False
) -> httpx.Response:
    """Follow the provider's pages from `url`, filling in its forms; the answer of the first page elsewhere.

    `user_code` is entered where it is asked for; with `deny` the person aborts there.
    """
    answer = await browser.get(url)
    for _ in range(20):
        if answer.is_redirect:
            url = urljoin(str(answer.url), answer.headers["location"])
            answer = await browser.get(url)
        elif str(answer.url).startswith(issuer) and "<form" in answer.text:
            denies = deny and 'name="abort"' in answer.text
            answer = await _submit(browser, answer, login, user_code, deny=denies)
            if denies:
                return answer
        else:
            return answer
    raise AssertionError(f"the provider goes on and on: {answer.url}")


async def _submit(
    browser: httpx.AsyncClient, page: httpx.Response, login: str, user_code: str, *, deny: bool
) -> httpx.Response:
    """Send the page's form: its hidden fields, whoever it is, the user code, and the sign-out where it asks for it."""
    found = re.search(r'<form[^>]*action="([^"]+)"', page.text)
    assert found, page.text
    hidden = re.findall(r'<input[^>]*type="hidden"[^>]*>', page.text)
    pairs = ((_attribute(item, "name"), _attribute(item, "value")) for item in hidden)
    fields = {name: value for name, value in pairs if name and value}
    if 'name="login"' in page.text:
        fields |= {"login": login, "password": "secret"}
    if 'name="user_code"' in page.text and "user_code" not in fields:
        fields["user_code"] = user_code
    if deny:
        fields = {name: value for name, value in fields.items() if name != "confirm"} | {"abort": "yes"}
    if 'name="logout"' in page.text:
        fields["logout"] = "yes"
    return await browser.post(urljoin(str(page.url), found[1].replace("&amp;", "&")), data=fields)


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return found[1] if found else ""
