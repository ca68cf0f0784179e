"""What the operator asks of services, by request and reply on `mend.<service>.<verb>`.

The operator's key writes nothing itself: a service looks at what is asked, does it, and answers what it did or why not.
Nothing is stored of a request; killed anywhere, it is asked again, and what was done is found to be done.
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
from shared.messaging.connection import Bus

logger = logging.getLogger(__name__)

LONGEST = 64 * 1024  # bytes of a request
AT_ONCE = 16  # requests that a process works on; the rest wait their turn
PATIENCE = 30.0  # seconds until an answer
Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Why = Annotated[str, StringConstraints(max_length=4000)]


class OfLetter(Model):
    """Do something about one dead letter."""

    sequence: int = Field(ge=1, lt=2**63)
    by: Who
    why: Why = ""


class OfCase(Model):
    """Do something about one case."""

    case_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    by: Who


class OfDecisions(Model):
    """Hold or allow what is decided in the EHR."""

    held: bool
    by: Who
    why: Why


class Answer(Model):
    """What was done, or why it was not; `again`: the same request may succeed later."""

    done: str | None = None
    refused: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that may be asked: what a request holds, and who does it. Raises Failure."""

    request: type[Model]
    do: Callable[[Any], Awaitable[str]]


async def serve(bus: Bus, service: str, verbs: Mapping[str, Verb]) -> None:
    """Take requests for `service` for as long as the connection is there; of several processes one takes each."""
    places, working = asyncio.Semaphore(AT_ONCE), set[asyncio.Task[None]]()

    async def respond(message: Msg) -> None:
        async with places:
            answer = await answer_to(verbs, message.subject.rpartition(".")[2], message.data)
        try:
            await message.respond(answer.model_dump_json(exclude_defaults=True).encode())
        except errors.Error as error:  # whoever asked asks again
            logger.warning("a request of the operator was done and not answered: %s", type(error).__name__)

    async def take(message: Msg) -> None:
        if message.reply:
            task = asyncio.create_task(respond(message))
            working.add(task)
            task.add_done_callback(working.discard)

    await bus.client.subscribe(f"mend.{service}.*", queue=service, cb=take)


async def answer_to(verbs: Mapping[str, Verb], name: str, data: bytes) -> Answer:
    """Do what is asked, if it is something that may be."""
    verb = verbs.get(name)
    if verb is None:
        return Answer(refused=f"This service does not know how to {name}.")
    if len(data) > LONGEST:
        return Answer(refused=f"The request has {len(data)} bytes; at most {LONGEST} are taken.")
    try:
        request = verb.request.model_validate_json(data)
    except ValidationError as error:
        fields = sorted({".".join(map(str, item["loc"])) or "body" for item in error.errors(include_url=False)})
        return Answer(refused=f"The request is not valid at: {', '.join(fields)}.")
    try:
        return Answer(done=await verb.do(request))
    except CountersignError as failure:
        return Answer(refused=failure.reason, again=isinstance(failure, TransientError))
    except Exception as error:
        logger.exception("a request of the operator to %s ended unexpectedly", name)
        return Answer(refused=f"It ended unexpectedly ({type(error).__name__}): see the service's log.")


async def ask(bus: Bus, service: str, verb: str, request: Model) -> str:
    """What `service` did.

    Raises PermanentError when it refuses, in its words; TransientError when it cannot now, or does not answer.
    """
    try:
        data = await bus.request(f"mend.{service}.{verb}", request.model_dump_json().encode(), patience=PATIENCE)
    except TransientError:
        raise TransientError(f"The {service} service does not answer: is it running? Then run it again.") from None
    answer = Answer.read(data)
    if answer.done is not None:
        return answer.done
    refused = answer.refused or "It was refused."
    raise TransientError(refused) if answer.again else PermanentError(refused)
