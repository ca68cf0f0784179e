"""`Idempotency-Key` of POST requests: sent again with it, a request gets its first answer and has no second effect.

Every POST of the REST APIs takes it. Operations that find a repetition in their own events declare the header
themselves and keep it for ever; for all others the answer is stored (`shared/messaging/idempotency_store.py`).
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import logging
from collections.abc import Awaitable, Callable
from inspect import signature
from typing import Annotated, Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

from fastapi import Header, Request, Response, params
from starlette.requests import ClientDisconnect

from shared.contracts.errors import CountersignError
from shared.messaging.connection import WrongSequenceError
from shared.messaging.idempotency_store import Claim, IdempotencyStore, KeyReusedError, RequestInProgressError, name_of
from shared.runtime.authentication import Caller
from shared.runtime.dependencies import provided
from shared.runtime.problems import ProblemError

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
MAX_KEY = 255  # characters
OPERATION_SCOPE_KEY = "countersign.operation"  # key in a request's scope: the id of its operation
DESCRIPTION = (
    "of your own choice, for each request: sent again within 24 hours, the same request gets the first answer. It "
    "counts for the caller and the path"
)
# Headers of an answer that its body does not have. Others are made anew.
STORED_HEADERS = ("content-type", "location", "etag")
PROBLEMS = {
    409: "a request with this `Idempotency-Key` is in progress",
    422: "the request is not valid, has an unknown query parameter, or its `Idempotency-Key` was used for another one",
}
_WITHOUT = "__countersign_without_idempotency_key__"

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])
Handler = Callable[[Request], Awaitable[Response]]


class TakesIdempotencyKey:
    """A FastAPI dependency of routes whose answers are stored: it declares the header, for OpenAPI too.

    As a parameter it gives the id of the operation, which is the same for the same key, caller and path; None without
    a key.
    """

    async def __call__(
        self,
        request: Request,
        _: Annotated[
            str | None, Header(alias=HEADER, min_length=1, max_length=MAX_KEY, description=DESCRIPTION)
        ] = None,
    ) -> str | None:
        found: str | None = request.scope.get(OPERATION_SCOPE_KEY)
        return found


TAKES_KEY = TakesIdempotencyKey()


def without_idempotency_key(endpoint: EndpointT) -> EndpointT:
    """Mark a POST endpoint that takes no key: it only reads, or what it stores is the same however often it is sent."""
    setattr(endpoint, _WITHOUT, True)
    return endpoint


def takes_key(endpoint: Callable[..., Any]) -> bool:
    """Return whether the answers of a POST endpoint are stored: it declares neither the header nor an exception."""
    return not getattr(endpoint, _WITHOUT, False) and not declares_key(endpoint)


def declares_key(endpoint: Callable[..., Any]) -> bool:
    """Return whether an endpoint has the header among its own parameters."""
    marks = (mark for item in signature(endpoint).parameters.values() for mark in _marks(item.annotation))
    return any(isinstance(mark, params.Header) and mark.alias == HEADER for mark in marks)


def _marks(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


async def answer_once(request: Request, caller: Caller, handle: Handler) -> Response:
    """Return the stored answer to a request that was executed; otherwise execute it, and store its answer.

    A refusal or a failure is not stored: it had no effect, or the request may be repeated as without a key. Raises
    ProblemError 409 while the first request is executed, 422 for another request with the same key.
    """
    key = request.headers.get(HEADER, "")
    if not 0 < len(key) <= MAX_KEY:
        return await handle(request)
    name = name_of(caller.subject, request.method, request.url.path, key)
    answers = provided(request, IdempotencyStore)
    found = await _claim(answers, name, name_of(request.url.query, (await _body(request)).hex()))
    if not isinstance(found, Claim):
        status, headers, body = found
        return Response(body, status, headers)
    request.scope[OPERATION_SCOPE_KEY] = str(uuid5(NAMESPACE_URL, f"operation:{name}"))
    try:
        response = await handle(request)
    except Exception:
        await _end(answers.release(found))
        raise
    content = getattr(response, "body", None)  # a stream has none
    if response.status_code < 300 and isinstance(content, bytes):
        headers = {item: response.headers[item] for item in STORED_HEADERS if item in response.headers}
        await _end(answers.store(found, response.status_code, headers, content))
    else:
        await _end(answers.release(found))
    return response


async def _claim(answers: IdempotencyStore, name: str, fingerprint: str) -> Claim | tuple[int, dict[str, str], bytes]:
    try:
        return await answers.claim(name, fingerprint)
    except RequestInProgressError:
        detail = "Send it again in a moment: the answer is that of the first."
        title = "A request with this Idempotency-Key is in progress"
        raise ProblemError(409, title, detail, headers={"Retry-After": "1"}) from None
    except KeyReusedError:
        raise ProblemError(
            422, "This Idempotency-Key was used for another request", "Choose a key for each request."
        ) from None


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        raise ProblemError(400, "The body cannot be decoded") from None


async def _end(stored: Awaitable[None]) -> None:
    """Await the end of a claim. Where it cannot be stored, the request is answered all the same: it was executed."""
    try:
        await stored
    except (CountersignError, WrongSequenceError) as failure:
        logger.warning("the answer to a request with an Idempotency-Key was not stored: %s", type(failure).__name__)
