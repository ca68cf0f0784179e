"""What the commands say about an answer that is not what they asked for."""

import httpx
import pytest

from cli import client
from cli.client import Api
from cli.errors import CommandError, UnreachableError


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(502, html="<h1>Bad gateway</h1>"), "http://stack.test:8080 answered HTTP 502 without JSON."),
        (httpx.Response(200, html="<h1>Sign in to the hospital's network</h1>"), "HTTP 200 without JSON."),
        (httpx.Response(404, json={"title": "There is no such case"}), "There is no such case."),
        (httpx.Response(409, json={"title": "Decided", "detail": "dr-1 decided."}), "Decided. dr-1 decided."),
        (httpx.Response(500, json=["?"]), "HTTP 500."),
    ],
)
async def test_an_answer_that_is_no_result_is_a_sentence(answer: httpx.Response, said: str) -> None:
    call = Api("http://stack.test:8080", "secret", httpx.MockTransport(lambda _: answer))
    with pytest.raises(CommandError) as refused:
        await call("GET", "/v1/cases")
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)
    await call.close()


async def test_a_request_whose_answer_was_lost_is_sent_again_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE_S", 0)
    keys = list[str]()
    running = httpx.Response(409, json={"title": "It is in progress"}, headers={"Retry-After": "1"})
    answers = [httpx.ReadError("lost"), running, httpx.Response(200, json={"n": 1}), httpx.Response(200, json={"n": 2})]

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    call = Api("http://stack.test:8080", "secret", httpx.MockTransport(answer))
    assert [(await call("POST", "/v1/x", json={}))["n"] for _ in range(2)] == [1, 2]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    await call.close()


async def test_a_refusal_of_the_first_request_is_not_sent_again() -> None:
    refused = httpx.Response(409, json={"title": "Somebody does it"}, headers={"Retry-After": "1"})
    call = Api("http://stack.test:8080", "secret", httpx.MockTransport(lambda _: refused))
    with pytest.raises(CommandError, match="Somebody does it"):
        await call("POST", "/v1/x", json={})
    await call.close()


async def test_a_server_that_stays_away_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE_S", 0)
    sent = list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        raise httpx.ConnectError("refused")

    call = Api("http://stack.test:8080", "secret", httpx.MockTransport(answer))
    with pytest.raises(UnreachableError):
        await call("POST", "/v1/x")
    with pytest.raises(UnreachableError):
        await call("GET", "/v1/x")
    assert [item.method for item in sent] == ["POST"] * client.MAX_SENT + ["GET"]
    await call.close()


@pytest.mark.parametrize("id", ["", "..", "../models", "a/../b", "x?limit=1", "x#y"])
async def test_an_id_that_leads_to_another_resource_is_not_sent(id: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise AssertionError("it was sent")

    call = Api("http://stack.test:8080", "secret", httpx.MockTransport(answer))
    with pytest.raises(CommandError, match="An id is empty"):
        await call("GET", f"/v1/drafters/{id}")
    await call.close()
