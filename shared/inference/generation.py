"""The port of text generation, and its adapter for Triton, by the tensors of its vLLM backend: streamed, with a
deadline and a priority. The adapter for HTTP is `http_generation.py`.

https://github.com/triton-inference-server/vllm_backend#sending-your-first-inference
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import np_to_triton_dtype

from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError
from shared.inference.triton import INTERACTIVE_PRIORITY, TritonConnection, deadline_of
from shared.telemetry.client_spans import model_span


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


class TritonGenerator:
    """Use one model of one Triton server, at one priority."""

    def __init__(self, url: str, model: str, priority: int = INTERACTIVE_PRIORITY) -> None:
        self._priority = priority
        self._triton = TritonConnection(url)
        self._model = model
        self._model_config: tuple[str, bool] | None = (
            None  # from the configuration: name and version, whether strict only
        )

    async def generate(
        self, prompt: str, sampling: Sampling, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        with model_span("text_completion", self._model):
            return await self._generate(prompt, sampling, deadline, on_text)

    async def _generate(
        self, prompt: str, sampling: Sampling, deadline: float, on_text: Callable[[str], None] | None
    ) -> Generation:
        async with deadline_of(self._model, deadline):
            name, strict = await self._read_config()
            parts = [part async for part in self._stream(prompt, sampling, deadline, on_text)]
        return Generation("".join(parts), name, strict)

    async def _stream(
        self, prompt: str, sampling: Sampling, deadline: float, on_text: Callable[[str], None] | None
    ) -> AsyncIterator[str]:
        request = {
            "model_name": self._model,
            "inputs": _inputs(prompt, sampling),
            "priority": self._priority,
            "timeout": int(deadline * 1_000_000),
        }

        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield request

        async for result, error in self._triton.client.stream_infer(requests()):
            if error is not None:
                raise error
            output = result.as_numpy("text_output")
            if output is None:  # the closing response of a decoupled model may be empty
                continue
            text = b"".join(output.reshape(-1)).decode()
            if on_text is not None:
                on_text(text)
            yield text

    async def _read_config(self) -> tuple[str, bool]:
        if self._model_config is None:
            answer = await self._triton.client.get_model_config(self._model, as_json=True)
            parameters = answer["config"].get("parameters", {})
            version, policy = (
                parameters.get(name, {}).get("string_value", "") for name in ("model_version", "narrative_policy")
            )
            self._model_config = f"{self._model} {version}".strip(), policy == "strict"
        return self._model_config

    async def ready(self) -> bool:
        return await self._triton.ready(self._model)

    async def close(self) -> None:
        await self._triton.close()


def _inputs(prompt: str, sampling: Sampling) -> Sequence[Any]:
    values = {
        "text_input": np.array([prompt.encode()], dtype=np.object_),
        "stream": np.array([True]),
        "sampling_parameters": np.array([sampling.as_json().encode()], dtype=np.object_),
        "exclude_input_in_output": np.array([True]),
    }
    inputs = []
    for name, value in values.items():
        tensor = triton.InferInput(name, value.shape, np_to_triton_dtype(value.dtype))
        tensor.set_data_from_numpy(value)
        inputs.append(tensor)
    return inputs
