"""A server on loopback that has the shapes of the OpenAI and Anthropic APIs, as their documentation shows them.

https://platform.openai.com/docs/api-reference/chat-streaming, https://docs.anthropic.com/en/api/messages-streaming
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn

from cli.stack.ports import free_port
from shared.inference.anthropic_api import AnthropicApi
from shared.inference.generation_api import GenerationApi
from shared.inference.http_generation import HttpGenerator
from shared.inference.openai_api import OpenAiApi
from tests.support.generator import TEXT

Kind = Literal["openai", "anthropic"]
APIS: dict[Kind, Callable[[], GenerationApi]] = {"openai": OpenAiApi, "anthropic": AnthropicApi}
MODELS: dict[Kind, str] = {"openai": "gpt-test-2026-01-01", "anthropic": "claude-test-20260101"}
KEY = "sk-test"
INPUT_TOKENS, OUTPUT_TOKENS = 25, 15
MAX_PARTS = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request is answered with. `hangs`: the connection stays open after the chunks."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: tuple[bytes, ...] = ()
    hangs: bool = False
    type: str = "text/event-stream"


def refusal(kind: Kind, status: int, quoted: str = "", **headers: str) -> Reply:
    """An error body of the API, which quotes the request."""
    error = {"type": "invalid_request_error", "message": f"could not read: {quoted}"}
    body = {"type": "error", "error": error} if kind == "anthropic" else {"error": error | {"code": None}}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, sent, (json.dumps(body).encode(),), type="application/json")


def event(data: dict[str, Any] | str) -> bytes:
    if isinstance(data, str):
        return f"data: {data}\n\n".encode()
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def parts_of(text: str) -> list[str]:
    size = max(1, -(-len(text) // MAX_PARTS))
    return [text[start : start + size] for start in range(0, len(text), size)]


def openai_events(text: str, model: str = MODELS["openai"]) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        return event(head | {"system_fingerprint": "fp_44709d6fcb", "choices": choices, "usage": None} | more)

    usage = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": 40}
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": part}) for part in parts_of(text)),
        chunk({}, "stop"),
        chunk({}, choices=[], usage=usage),
        event("[DONE]"),
    ]


def anthropic_events(text: str, model: str = MODELS["anthropic"], stop_reason: str = "end_turn") -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": model}
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 20, "output_tokens": 1}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}}
        for part in parts_of(text)
    ]
    return [
        event({"type": "message_start", "message": message | {"stop_reason": None, "usage": usage}}),
        event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        event({"type": "ping"}),
        *map(event, deltas),
        event({"type": "content_block_stop", "index": 0}),
        event({"type": "an_event_of_the_future", "delta": {"type": "text_delta", "text": "ignored"}}),
        event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": stop_reason, "stop_sequence": None},
                "usage": {"output_tokens": OUTPUT_TOKENS},
            }
        ),
        event({"type": "message_stop"}),
    ]


def events_of(kind: Kind, text: str) -> list[bytes]:
    return openai_events(text) if kind == "openai" else anthropic_events(text)


class ModelServer:
    """Answers with `replies`, first one first, and then with `text`. It requires KEY."""

    def __init__(self, kind: Kind, port: int) -> None:
        self.kind: Kind = kind
        self.text = TEXT
        self.replies: list[Reply] = []
        self.bodies: list[dict[str, Any]] = []
        self.received: list[bytes] = []  # the bodies as they came
        self.paths: list[str] = []
        self.left = threading.Event()  # a client closed the connection of a reply that hangs
        self.url = f"http://127.0.0.1:{port}" + ("/v1" if kind == "openai" else "")

    def generator(self, **more: Any) -> HttpGenerator:
        options = {"name": "cloud", "key": lambda: KEY} | more
        return HttpGenerator(APIS[self.kind](), self.url, MODELS[self.kind], **options)

    def success(self) -> Reply:
        return Reply(chunks=tuple(events_of(self.kind, self.text)))

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        self.paths.append(scope["path"])
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if KEY not in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")):
            await self._answer(refusal(self.kind, 401), receive, send)
        elif scope["method"] == "GET":
            listed = {"data": [{"id": MODELS[self.kind], "object": "model"}]}
            await self._answer(Reply(chunks=(json.dumps(listed).encode(),), type="application/json"), receive, send)
        else:
            self.received.append(body)
            self.bodies.append(json.loads(body))
            await self._answer(self.replies.pop(0) if self.replies else self.success(), receive, send)

    async def _answer(self, reply: Reply, receive: Any, send: Any) -> None:
        headers = [(b"content-type", reply.type.encode())]
        headers += [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        for chunk in reply.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if reply.hangs:
            message = await receive()
            assert message["type"] == "http.disconnect"
            self.left.set()
            return
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def model_server(kind: Kind) -> Iterator[ModelServer]:
    port = free_port()
    found = ModelServer(kind, port)
    config = uvicorn.Config(found, port=port, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield found
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
