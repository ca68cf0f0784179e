"""The port of text generation, and its adapter for Triton, by the tensors of its vLLM backend: streamed, with a
deadline and a priority. The adapter for HTTP is `http_generation.py`.

https://github.com/triton-inference-server/vllm_backend#sending-your-first-inference
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the server counted them."""

    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Generation:
    """A model's answer. `model` is its name and version, as the server states them.

    `strict`: the configuration allows only sentences that repeat what the record says. `usage` is None where the server
    does not state it in its answer; Triton counts tokens in its metrics.
    """

    text: str
    model: str
    strict: bool = False
    usage: Usage | None = None


class NotGeneratedError(CountersignError):
    """No model has read the request: nothing was generated, and nothing is to be paid for."""


class UnreadyError(NotGeneratedError, TransientError):
    """The server was not reached, or is not ready."""


class BusyError(NotGeneratedError, RateLimitedError):
    """The server is busy, and said when to come back."""


class GenerationRefusedError(NotGeneratedError, PermanentError):
    """The server refused the request."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters. `temperature` 0 is greedy; the same seed gives the same text."""

    max_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0
    repetition_penalty: float = 1.1

    def as_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__ if getattr(self, name) != ()})


class Generator(Protocol):
    """The text generation port. Adapters: Triton, OpenAI-compatible servers, the Anthropic Messages API, and a scripted
    one in the tests; all pass the same suite.
    """

    async def generate(
        self, prompt: str, sampling: Sampling, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        """Return text for `prompt` within `deadline` seconds.

        Raises the three kinds of error; no message quotes the prompt or what the server answered. TransientError: the
        network failed, the deadline has passed, or the server is not ready; RateLimitedError: it said when to come
        back; PermanentError: the model or the server refused or failed. Where it is also a NotGeneratedError, no model
        has read the prompt.
        """
        ...

    async def ready(self) -> bool: ...

    async def close(self) -> None: ...
