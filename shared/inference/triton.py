"""One connection to a Triton server, and its errors as ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError

INTERACTIVE_PRIORITY = 1  # Triton's highest priority: a person waits for the draft
BATCH_PRIORITY = 2  # Triton's lower priority: nightly batches
READY_TIMEOUT_S = 2
TRANSIENT_STATUSES = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED")
# The server restarts a dead stub; it restarted with smaller batches; its queue dropped the request, or was
# full. In a stream these have no status.
TRANSIENT_MESSAGES = (
    "not ready",
    "not healthy",
    "is not loaded",
    "batch-size must be",
    "timeout expired",
    "maximum queue size",
)


class TritonConnection:
    """A connection, made on first use: a gRPC channel belongs to the running loop. It reconnects by itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = triton.InferenceServerClient(self._url)
        return self._client

    async def ready(self, model: str) -> bool:
        """Return whether the server answers and has loaded the model."""
        try:
            return bool(await self.client.is_model_ready(model, client_timeout=READY_TIMEOUT_S))
        except (InferenceServerException, grpc.RpcError):
            return False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None


@asynccontextmanager
async def deadline_of(model: str, seconds: float) -> AsyncIterator[None]:
    """Limit requests to `model` to a time, and convert their errors into the three kinds."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TransientError(f"{model}: no answer within {seconds:g} s") from None
    except InferenceServerException as error:
        raise to_error(model, error) from None
    except grpc.RpcError as error:
        raise TransientError(f"{model}: {type(error).__name__}") from None


def to_error(model: str, error: InferenceServerException) -> CountersignError:
    """Convert a server's error into one of ours.

    Its message may quote the request, so only the status is kept.
    """
    status = (error.status() or "").removeprefix("StatusCode.")
    reason = f"{model}: {status or 'model error'}"
    if status == "RESOURCE_EXHAUSTED":
        return RateLimitedError(reason, retry_after=5.0)
    if status in TRANSIENT_STATUSES or any(words in (error.message() or "") for words in TRANSIENT_MESSAGES):
        return TransientError(reason)
    return PermanentError(reason)
