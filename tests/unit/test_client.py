"""What the commands say about an answer that is not what they asked for."""

import httpx
import pytest

from cli.client import Api
from cli.errors import CommandError


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
