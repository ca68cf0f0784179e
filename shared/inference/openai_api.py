"""Chat completions of OpenAI, as vLLM, NIM, TGI, llama.cpp, Azure and others serve them.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from typing import Any

from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError
from shared.http import DEFAULT_RETRY_AFTER_S
from shared.inference.chat_messages import Message, stop_sequences
from shared.inference.generation import Sampling, Usage
from shared.inference.generation_api import Answer, ServerEvent, parse

END = "[DONE]"
BUSY_CODES, UNREADY_CODES = frozenset({429, 529}), frozenset({408, 502, 503, 504})


class _Delta(ServerEvent):
    content: str | None = None


class _Choice(ServerEvent):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Usage(ServerEvent):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Error(ServerEvent):
    code: int | str | None = None


class _Chunk(ServerEvent):
    model: str | None = None
    system_fingerprint: str | None = None
    choices: tuple[_Choice, ...] | None = None  # empty in the event that states the usage
    usage: _Usage | None = None
    error: _Error | None = None  # vLLM and llama.cpp: the request has failed after its status was sent


class OpenAiApi:
    """`url` of an endpoint is what OpenAI's clients call the base URL, with its `/v1`."""

    provider = "openai"
    generate_path = "/chat/completions"
    models_path = "/models"
    retried_statuses = frozenset[int]()  # a server of one's own answers 500 where the model has failed

    def headers(self, key: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, model: str, messages: tuple[Message, ...], sampling: Sampling) -> dict[str, Any]:
        """Return the body of a request, without a repetition penalty: OpenAI has none, and some servers refuse it."""
        stop = list(stop_sequences(sampling.stop))
        return {
            "model": model,
            "messages": [{"role": item.role, "content": item.content} for item in messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "stop": stop or None,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def read(self, data: str, answer: Answer) -> str:
        if data.strip() == END:
            answer.done = True
            return ""
        chunk = parse(_Chunk, data)
        if chunk.error is not None or chunk.choices is None:
            raise _to_error(chunk.error or _Error())
        answer.model = chunk.model or answer.model
        answer.version = chunk.system_fingerprint or answer.version
        if chunk.usage is not None:
            answer.usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        for choice in chunk.choices:
            if choice.finish_reason == "content_filter":
                raise PermanentError("the server's content filter withheld the answer")
            answer.finished = answer.finished or choice.finish_reason is not None
        return "".join(choice.delta.content or "" for choice in chunk.choices)


def _to_error(error: _Error) -> CountersignError:
    code = int(str(error.code)) if str(error.code).isdecimal() else 0
    if code in BUSY_CODES:
        return RateLimitedError("the server is busy", DEFAULT_RETRY_AFTER_S)
    return TransientError("the server is not ready") if code in UNREADY_CODES else PermanentError("the model failed")
