"""Another service asks approval who a browser's session belongs to."""

import httpx
import pytest

from shared.contracts.errors import TransientError
from shared.runtime.public_origin import PublicOrigin
from shared.runtime.remote_sessions import RemoteSessions

ME = {"subject": "e", "name": "Edith", "roles": ["editor", "engineer"], "departments": None, "method": "oidc"}


def sessions(answer: httpx.Response | Exception, seen: list[httpx.Request]) -> RemoteSessions:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return RemoteSessions("http://approval:8080/", PublicOrigin("https://countersign.example.org"), http)


async def test_the_cookie_is_passed_on_and_the_person_has_all_roles() -> None:
    seen: list[httpx.Request] = []
    found = await sessions(httpx.Response(200, json=ME), seen).caller("secret", touch=False)
    assert found is not None
    assert (found.subject, found.roles, found.departments) == ("e", ("editor", "engineer"), None)
    assert str(seen[0].url) == "http://approval:8080/v1/me"
    assert seen[0].headers["cookie"] == "__Host-countersign_session=secret"
    assert seen[0].headers["countersign-background"]


@pytest.mark.parametrize("status", [401, 403])
async def test_an_unknown_session_is_nobodys(status: int) -> None:
    assert await sessions(httpx.Response(status), []).caller("secret") is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.Response(503),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json=ME | {"roles": []}),
        httpx.Response(200, json=ME | {"roles": ["emperor"]}),
    ],
)
async def test_no_answer_is_not_a_refusal(answer: httpx.Response | Exception) -> None:
    with pytest.raises(TransientError, match="the sign-in cannot be checked"):
        await sessions(answer, []).caller("secret")
