"""Text generation over HTTP: one client for all APIs, streamed, with a deadline. What differs is in `GenerationApi`."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError
from shared.contracts.retry import MAX_SERVER_DELAY_S
from shared.http import HttpClient, retry_after
from shared.inference.chat_messages import chat_messages
from shared.inference.event_stream import EventTooLargeError, event_data
from shared.inference.generation import (
    BusyError,
    Generation,
    GenerationRefusedError,
    NotGeneratedError,
    Sampling,
    UnreadyError,
)
from shared.inference.generation_api import (
    Answer,
    GenerationApi,
    ServerEvent,
    as_json,
    parse,
    served_name,
    with_parameters,
)
from shared.telemetry.client_spans import model_span

CONNECT_TIMEOUT_S, WRITE_TIMEOUT_S, READY_TIMEOUT_S = 5.0, 30.0, 5.0
READY_EVERY_S = 15.0  # a probe asks more often, and a remote server may limit requests
MAX_TEXT_CHARACTERS = 200_000
MAX_LIST_BYTES = 4 << 20  # of the list of models
BUSY_STATUSES = frozenset({429, 529})  # 529: Anthropic's "overloaded"
UNREADY_STATUSES = frozenset({408, 502, 503})
# The model may have begun: 504 is the gateway's deadline.
TRANSIENT_STATUSES = frozenset({504})


class _Model(ServerEvent):
    id: str


class _Models(ServerEvent):
    data: tuple[_Model, ...]


class HttpGenerator:
    """Use one model of one server. Errors state statuses and types, never what the server answered."""

    def __init__(
        self,
        api: GenerationApi,
        url: str,
        model: str,
        *,
        name: str | None = None,
        key: Callable[[], str | None] = lambda: None,
        revision: str = "",
        strict: bool = False,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """`name` is that of the endpoint, in errors and metrics; default: the model's.

        `key` returns the API key, and is called for each request, so that a key can be changed. `revision` is that of
        the weights, where the server does not state one. `parameters` are further fields of requests.
        """
        self._api = api
        self._model = model
        self._name = name or model
        self._key = key
        self._revision = revision
        self._strict = strict
        self._parameters = dict(parameters or {})
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S, write=WRITE_TIMEOUT_S)  # reading: until the deadline
        self._http = HttpClient(base_url=url.rstrip("/"), timeout=timeout)
        self._busy_until = -math.inf  # of the loop's time
        self._ready_until = -math.inf

    async def generate(
        self, prompt: str, sampling: Sampling, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        with model_span("chat", self._name, self._api.provider):
            async with self._as_ours(deadline):
                return await self._generate(prompt, sampling, on_text)

    async def _generate(self, prompt: str, sampling: Sampling, on_text: Callable[[str], None] | None) -> Generation:
        self._check_is_not_busy()
        body = with_parameters(self._api.body(self._model, chat_messages(prompt), sampling), self._parameters)
        answer, parts, length = Answer(), list[str](), 0
        async with self._http.stream(
            "POST", self._api.generate_path, content=as_json(body), headers=self._headers()
        ) as response:
            self._raise_for_status(response)
            async for data in event_data(response.aiter_bytes()):
                if text := self._api.read(data, answer):
                    parts.append(text)
                    if on_text is not None:
                        on_text(text)
                if answer.done:
                    break
                length += len(text)
                if length > MAX_TEXT_CHARACTERS:
                    raise PermanentError("the answer is too long")
        if not (answer.done or answer.finished):
            raise TransientError("the answer was cut off")
        name = served_name(answer.model or self._model, self._revision or answer.version)
        return Generation("".join(parts), name, self._strict, answer.usage)

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Accept": "text/event-stream"} | self._api.headers(self._key())

    def _check_is_not_busy(self) -> None:
        """Send nothing before the time that the server has named to any request of this process."""
        left = self._busy_until - asyncio.get_running_loop().time()
        if left > 0:
            raise BusyError("the server is busy", left)

    def _raise_for_status(self, response: httpx.Response) -> None:
        """Raise the error of an unsuccessful response. Its body is not read, as it may quote the prompt."""
        status = response.status_code
        if status == 200:
            return
        words = f"HTTP {status}"
        waits = response.headers.get("retry-after")
        if status in BUSY_STATUSES or (status == 503 and waits is not None):
            seconds = min(retry_after(waits, datetime.now(UTC)), MAX_SERVER_DELAY_S)
            self._busy_until = asyncio.get_running_loop().time() + seconds
            raise BusyError(words, seconds)
        if status in UNREADY_STATUSES:
            raise UnreadyError(words)
        if status in TRANSIENT_STATUSES | self._api.retried_statuses:
            raise TransientError(words)
        raise GenerationRefusedError(words)

    @asynccontextmanager
    async def _as_ours(self, seconds: float) -> AsyncIterator[None]:
        """Limit a request to a time, and convert its errors into the three kinds, with the name of the endpoint."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise TransientError(f"{self._name}: no answer within {seconds:g} s") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UnreadyError(f"{self._name}: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            raise TransientError(f"{self._name}: {type(error).__name__}") from None
        except EventTooLargeError:
            raise PermanentError(f"{self._name}: an event of the answer is too large") from None
        except CountersignError as error:
            raise _with_endpoint_name(self._name, error) from None

    async def served_models(self) -> tuple[str, ...]:
        """Return the models that the server lists. Raises the three kinds of error."""
        async with self._as_ours(READY_TIMEOUT_S):
            headers = self._api.headers(self._key())
            async with self._http.stream("GET", self._api.models_path, headers=headers) as response:
                self._raise_for_status(response)
                content = b""
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > MAX_LIST_BYTES:
                        raise PermanentError("the list of models is too long")
            return tuple(served_name(item.id, "") for item in parse(_Models, content).data)

    async def ready(self) -> bool:
        """Return whether the server answers and accepts our key. A yes is valid for READY_EVERY_S."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._ready_until:
            return True
        try:
            await self.served_models()
        except CountersignError:
            return False
        self._ready_until = loop.time() + READY_EVERY_S
        return True

    async def close(self) -> None:
        await self._http.aclose()


def _with_endpoint_name(name: str, error: CountersignError) -> CountersignError:
    """Return `error` with the name of the endpoint before its reason."""
    reason = f"{name}: {error.reason}"
    if isinstance(error, RateLimitedError):
        return (BusyError if isinstance(error, NotGeneratedError) else RateLimitedError)(reason, error.retry_after)
    if isinstance(error, TransientError):
        return (UnreadyError if isinstance(error, NotGeneratedError) else TransientError)(reason)
    return (GenerationRefusedError if isinstance(error, NotGeneratedError) else PermanentError)(reason)
