"""Requests of the operator to services, by request and reply on `mend.<service>.<operation>`.

The operator's NATS user cannot write: a service validates the request, performs it, and replies what it did or why not.
Approval passes requests on that arrive by HTTP and that ingest has to perform.
Requests are not stored; after a crash the operator repeats the request, which is idempotent.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from nats import errors
from nats.aio.msg import Msg
from pydantic import Field, StringConstraints, ValidationError

from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.contracts.model import Model
from shared.messaging.connection import NatsConnection

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 64 * 1024
MAX_CONCURRENT = 16  # requests in a process; others wait
REPLY_TIMEOUT = 30.0  # seconds
PersonName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\x00-\x1f]*$")
]
ReasonText = Annotated[str, StringConstraints(max_length=4000)]


class DeadLetterRequest(Model):
    """A request about one dead letter."""

    sequence: int = Field(ge=1, lt=2**63)
    by: PersonName
    why: ReasonText = ""


class CaseRequest(Model):
    """A request about one case."""

    case_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    by: PersonName


class DecisionHoldRequest(Model):
    """A request to hold or to allow decisions in the EHR."""

    held: bool
    by: PersonName
    why: ReasonText


class OperatorReply(Model):
    """What was done, or why the request was refused; `again`: the same request may succeed later."""

    done: str | None = None
    refused: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: the model of its request, and its handler, which may raise CountersignError."""

    request: type[Model]
    handler: Callable[[Any], Awaitable[str]]


async def serve(bus: NatsConnection, service: str, verbs: Mapping[str, Operation]) -> None:
    """Serve requests for `service` while connected, in a queue group of its processes."""
    places, working = asyncio.Semaphore(MAX_CONCURRENT), set[asyncio.Task[None]]()

    async def respond(message: Msg) -> None:
        async with places:
            answer = await handle_request(verbs, message.subject.rpartition(".")[2], message.data)
        try:
            await message.respond(answer.model_dump_json(exclude_defaults=True).encode())
        except errors.Error as error:  # the operator repeats the request
            logger.warning("a request of the operator was done and not answered: %s", type(error).__name__)

    async def take(message: Msg) -> None:
        if message.reply:
            task = asyncio.create_task(respond(message))
            working.add(task)
            task.add_done_callback(working.discard)

    await bus.client.subscribe(f"mend.{service}.*", queue=service, cb=take)


async def handle_request(verbs: Mapping[str, Operation], name: str, data: bytes) -> OperatorReply:
    """Validate and perform a request."""
    verb = verbs.get(name)
    if verb is None:
        return OperatorReply(refused=f"This service does not know how to {name}.")
    if len(data) > MAX_REQUEST_BYTES:
        return OperatorReply(refused=f"The request has {len(data)} bytes; at most {MAX_REQUEST_BYTES} are taken.")
    try:
        request = verb.request.model_validate_json(data)
    except ValidationError as error:
        fields = sorted({".".join(map(str, item["loc"])) or "body" for item in error.errors(include_url=False)})
        return OperatorReply(refused=f"The request is not valid at: {', '.join(fields)}.")
    try:
        return OperatorReply(done=await verb.handler(request))
    except CountersignError as failure:
        return OperatorReply(refused=failure.reason, again=isinstance(failure, TransientError))
    except Exception as error:
        logger.exception("a request of the operator to %s ended unexpectedly", name)
        return OperatorReply(refused=f"It ended unexpectedly ({type(error).__name__}): see the service's log.")


async def ask(bus: NatsConnection, service: str, verb: str, request: Model, *, timeout_s: float | None = None) -> str:
    """Send a request to `service`; return a sentence that says what it did. `timeout_s`: time to wait for it.

    Raises PermanentError with its reason when it refuses; TransientError when it cannot now, or does not reply.
    """
    try:
        data = await bus.request(
            f"mend.{service}.{verb}", request.model_dump_json().encode(), timeout_s=timeout_s or REPLY_TIMEOUT
        )
    except TransientError:
        raise TransientError(f"The {service} service does not answer: is it running? Then run it again.") from None
    answer = OperatorReply.read(data)
    if answer.done is not None:
        return answer.done
    refused = answer.refused or "It was refused."
    raise TransientError(refused) if answer.again else PermanentError(refused)
