"""The Messages API of Anthropic.

https://docs.anthropic.com/en/api/messages-streaming, https://docs.anthropic.com/en/api/errors
"""

from typing import Any

from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError
from shared.http import DEFAULT_RETRY_AFTER_S
from shared.inference.chat_messages import Message, stop_sequences
from shared.inference.generation import Sampling, Usage
from shared.inference.generation_api import Answer, ServerEvent, parse

API_VERSION = "2023-06-01"
BUSY_ERRORS = frozenset({"overloaded_error", "rate_limit_error"})
SERVER_ERRORS = frozenset({"api_error", "timeout_error"})  # "internal to Anthropic's systems"


class _Usage(ServerEvent):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def read(self) -> int | None:
        """Return the tokens that the model has read: those of the cache are stated apart. None: not stated."""
        if self.input_tokens is None:
            return None
        return self.input_tokens + (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)


class _Message(ServerEvent):
    model: str = ""
    usage: _Usage = _Usage()


class _Delta(ServerEvent):
    type: str = ""
    text: str | None = None
    stop_reason: str | None = None


class _Error(ServerEvent):
    type: str = ""


class _Event(ServerEvent):
    type: str
    message: _Message = _Message()
    delta: _Delta = _Delta()
    usage: _Usage = _Usage()
    error: _Error = _Error()


class AnthropicApi:
    """`url` of an endpoint is `https://api.anthropic.com`, or a gateway that has the same API."""

    provider = "anthropic"
    generate_path = "/v1/messages"
    models_path = "/v1/models"
    retried_statuses = frozenset({500})

    def headers(self, key: str | None) -> dict[str, str]:
        return {"anthropic-version": API_VERSION} | ({"x-api-key": key} if key else {})

    def body(self, model: str, messages: tuple[Message, ...], sampling: Sampling) -> dict[str, Any]:
        """Return the body of a request. The API has no seed."""
        system = "\n".join(item.content for item in messages if item.role == "system")
        return {
            "model": model,
            "system": system or None,
            "messages": [{"role": item.role, "content": item.content} for item in messages if item.role != "system"],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stop_sequences": list(stop_sequences(sampling.stop)) or None,
            "stream": True,
        }

    def read(self, data: str, answer: Answer) -> str:
        event = parse(_Event, data)
        match event.type:
            case "message_start":
                answer.model = event.message.model
                _count(event.message.usage, answer)
            case "content_block_delta" if event.delta.type == "text_delta":
                return event.delta.text or ""
            case "message_delta":
                if event.delta.stop_reason == "refusal":
                    raise PermanentError("the model refused to answer")
                _count(event.usage, answer)
            case "message_stop":
                answer.finished = answer.done = True
            case "error":
                raise _to_error(event.error)
        return ""  # events of other types may be added at any time, and are ignored


def _count(usage: _Usage, answer: Answer) -> None:
    """Take over the numbers of tokens: each is the total so far, and may be left out."""
    before = answer.usage or Usage(0, 0)
    read = before.input_tokens if usage.read is None else usage.read
    written = before.output_tokens if usage.output_tokens is None else usage.output_tokens
    answer.usage = Usage(read, written)


def _to_error(error: _Error) -> CountersignError:
    if error.type in BUSY_ERRORS:
        return RateLimitedError("the server is busy", DEFAULT_RETRY_AFTER_S)
    return TransientError("the server failed") if error.type in SERVER_ERRORS else PermanentError("the model failed")
