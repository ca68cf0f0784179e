"""Sentence embeddings on Triton: TEXT (bytes) → EMBEDDING (float32), with a priority and a deadline."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from shared.contracts.errors import TransientError
from shared.inference.triton import INTERACTIVE_PRIORITY, TritonConnection, deadline_of
from shared.telemetry.client_spans import model_span

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """The embedding port. `model` names one of several models that are served at the same time."""

    async def embed(self, model: str, texts: Sequence[str], *, priority: int, deadline: float) -> Vectors:
        """Return unit vectors [len(texts), dimensions].

        Raises the three kinds of error; no message quotes a text.
        """
        ...

    async def ready(self) -> bool: ...

    async def close(self) -> None: ...


class TritonEmbedder:
    """Use the embedding models of one Triton server. Readiness is that of `model`."""

    def __init__(self, url: str, model: str) -> None:
        self._triton = TritonConnection(url)
        self._model = model
        self._max_batch_sizes: dict[str, int] = {}  # texts that one request may carry, by model

    async def _max_batch_size(self, model: str) -> int:
        """Return how many texts one request may carry.

        Raises TransientError for a model that is not loaded: the server loads models at its start only.
        """
        if model not in self._max_batch_sizes:
            if not await self._triton.client.is_model_ready(model):
                raise TransientError(f"{model}: not loaded; restart the model server with this model")
            answer = await self._triton.client.get_model_config(model, as_json=True)
            self._max_batch_sizes[model] = max(1, answer["config"].get("max_batch_size", 0))
        return self._max_batch_sizes[model]

    async def embed(
        self, model: str, texts: Sequence[str], *, priority: int = INTERACTIVE_PRIORITY, deadline: float = 30.0
    ) -> Vectors:
        with model_span("embeddings", model):
            return await self._embed(model, texts, priority, deadline)

    async def _embed(self, model: str, texts: Sequence[str], priority: int, deadline: float) -> Vectors:
        async with deadline_of(model, deadline):
            most = await self._max_batch_size(model)
            parts = [texts[start : start + most] for start in range(0, len(texts), most)]
            try:
                found = await asyncio.gather(*(self._request(model, part, priority, deadline) for part in parts))
            except InferenceServerException as error:
                if "batch-size" in (error.message() or ""):  # the server restarted with another configuration
                    self._max_batch_sizes.pop(model, None)
                raise
        return np.concatenate(found)

    async def _request(self, model: str, texts: Sequence[str], priority: int, deadline: float) -> Vectors:
        """Send one request, which the server executes as a whole."""
        tensor = triton.InferInput("TEXT", [len(texts), 1], "BYTES")
        tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=np.object_).reshape(-1, 1))
        answer = await self._triton.client.infer(model, [tensor], priority=priority, timeout=int(deadline * 1_000_000))
        vectors: Vectors = answer.as_numpy("EMBEDDING")
        return vectors

    async def ready(self) -> bool:
        return await self._triton.ready(self._model)

    async def close(self) -> None:
        await self._triton.close()
