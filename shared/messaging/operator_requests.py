"""Handle an operator's requests about dead letters and failed cases; each is validated first.

A redrive republishes what the dead letter contains, read from its stream by the service itself, and only if it is a
valid message of the consumer that dead-lettered it. A case is retried only if its events say that a step of it failed.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.contracts.case import Case, fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError
from shared.contracts.events import Actor, Retried, StepName
from shared.contracts.subjects import (
    CaseRef,
    dead_letter_subject,
    derived_id,
    has_wildcards,
    parse_case_subject,
    subject_matches,
)
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letters import Attribution, DeadLetter, ensure_unresolved, read_one, resolve
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.requests import CaseRequest, DeadLetterRequest, Operation, serve
from shared.messaging.topology import CONSUMERS
from shared.messaging.topology_model import Consumer

MAX_MESSAGE_BYTES = 256 * 1024  # of a message that is redriven; they usually have some hundred bytes
KEPT_HEADERS = ("content-type", "traceparent")  # besides the CloudEvents attributes
ALTERNATIVES = {
    "KNOWLEDGE": "A refresh has its own further attempts. Begin another: countersign knowledge refresh",
    "EVALUATIONS": "Evaluate again without its case: countersign drafters evaluate --without CASE",
    "TIMERS": "A timer is not redriven: reassign the review to its owner, which sets a new one.",
    "REFRESH_TIMERS": "A timer is not redriven: it is set again when ingest starts.",
    "ACCESS": "The view of the draft is in the access log already: discard the dead letter.",
    "ADVISORIES": "An advisory is not redriven: redrive the dead letter of its message.",
}

Check = Callable[[str, bytes], Any]  # subject and body; raises PermanentError where they break the contract


class OperatorRequests:
    """Handle the operator's requests to one service.

    `checks`: consumers whose messages it publishes again, and the contract of each. `more`: requests that only this
    service has.
    """

    def __init__(
        self,
        bus: NatsConnection,
        service: str,
        checks: Mapping[str, Check],
        clock: Callable[[], datetime],
        more: Mapping[str, Operation] | None = None,
    ) -> None:
        self._bus = bus
        self._service = service
        self._checks = checks
        self._clock = clock
        self._more = dict(more or {})
        self._event_store = EventStore(bus, service)

    async def start(self) -> None:
        """Start serving the operator's requests."""
        verbs = {
            "redrive": Operation(DeadLetterRequest, self.redrive),
            "discard": Operation(DeadLetterRequest, self.discard),
            "retry": Operation(CaseRequest, self.retry),
            "check": Operation(DeadLetterRequest, self.check),
        }
        await serve(self._bus, self._service, verbs | self._more)

    async def redrive(self, request: DeadLetterRequest, actor: Actor | None = None) -> str:
        """Redrive one dead letter, once; return a sentence that says what was done.

        It is recorded afterwards: after a crash in between, it is still unresolved, and repeating it changes nothing.
        `actor` is who asks, if the caller was authenticated.
        """
        attribution = Attribution(request.by, request.why, self._clock(), actor)
        dead_letter, data, headers = await read_one(self._bus, request.sequence)
        ensure_unresolved(dead_letter)
        failed_consumer = _consumer(dead_letter, headers)
        if dead_letter.stream == "DISCHARGE":
            done = await self._retry_step(dead_letter, failed_consumer, attribution)
        else:
            done = await self._publish(dead_letter, failed_consumer, data, headers)
        await resolve(self._bus, dead_letter.sequence, "redriven", attribution)
        return done

    async def check(self, request: DeadLetterRequest) -> str:
        """Return a sentence that says what a redrive would do; changes nothing. Raises what a redrive would raise."""
        dead_letter, data, headers = await read_one(self._bus, request.sequence)
        ensure_unresolved(dead_letter)
        failed_consumer = _consumer(dead_letter, headers)
        if dead_letter.stream != "DISCHARGE":
            self._ensure_valid(dead_letter, failed_consumer, data)
            return f"would be published again on {dead_letter.subject}"
        case_ref, _ = parse_case_subject(dead_letter.subject)
        history = await self._event_store.history(case_ref)
        if any(item.id == retry_id(dead_letter) for item in history):
            return f"case {case_ref.id} was retried before; it is {fold(history).state}"
        return f"case {case_ref.id} would try {_failed_step(case_ref, history, failed_consumer)} again"

    async def _publish(
        self, dead_letter: DeadLetter, failed_consumer: Consumer, data: bytes, headers: dict[str, str]
    ) -> str:
        self._ensure_valid(dead_letter, failed_consumer, data)
        kept = {name: value for name, value in headers.items() if name.startswith("ce-") or name in KEPT_HEADERS}
        id = derived_id(f"DEADLETTER/{dead_letter.sequence}", "redriven")
        await self._bus.publish(dead_letter.subject, data, stream=dead_letter.stream, headers=kept, id=id)
        return f"published again on {dead_letter.subject}"

    def _ensure_valid(self, dead_letter: DeadLetter, failed_consumer: Consumer, data: bytes) -> None:
        """Raise PermanentError for a message that this service does not publish, or that would fail again."""
        check = self._checks.get(failed_consumer.name)
        if check is None:
            raise PermanentError(
                ALTERNATIVES.get(dead_letter.stream, f"{self._service} does not redrive messages of other services.")
            )
        if len(data) > MAX_MESSAGE_BYTES:
            raise PermanentError(
                f"{_describe(dead_letter)} has {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are redriven."
            )
        try:
            check(dead_letter.subject, data)
        except PermanentError as error:
            raise PermanentError(
                f"{_describe(dead_letter)} would fail again: {error.reason}. Have it reported again, and discard it."
            ) from None

    async def _retry_step(self, dead_letter: DeadLetter, failed_consumer: Consumer, attribution: Attribution) -> str:
        case_ref, _ = parse_case_subject(dead_letter.subject)
        return await retry(self._event_store, case_ref, retry_id(dead_letter), attribution, failed_consumer)

    async def retry(self, request: CaseRequest, actor: Actor | None = None, reason: str | None = None) -> str:
        """Retry the failed step of a case, whether or not its dead letter was resolved.

        `reason` is the digest of the words of who asks, which are stored with the case's texts.
        """
        history = await self._event_store.find(request.case_id)
        if not history:
            raise PermanentError("there is no such case")
        failed = next((item for item in reversed(history) if item.name == "failed"), history[-1])
        attribution = Attribution(request.by, "", self._clock(), actor)
        id = derived_id(failed.id, "retried")
        return await retry(self._event_store, history[-1].case, id, attribution, reason=reason)

    async def discard(self, request: DeadLetterRequest) -> str:
        """Mark a dead letter as discarded; return a sentence that says what remains.

        Neither the dead letter nor its case is changed: discarding never closes a case.
        """
        if not request.why.strip():
            raise PermanentError("Say why it is discarded.")
        dead_letter, _, _ = await read_one(self._bus, request.sequence)
        ensure_unresolved(dead_letter)
        remaining = await self._remaining_work(dead_letter)
        await resolve(self._bus, dead_letter.sequence, "discarded", Attribution(request.by, request.why, self._clock()))
        return f"discarded dead letter {dead_letter.sequence}{remaining}"

    async def _remaining_work(self, dead_letter: DeadLetter) -> str:
        if dead_letter.stream != "DISCHARGE":
            return ""
        try:
            case_ref, _ = parse_case_subject(dead_letter.subject)
            case: Case = fold(await self._event_store.history(case_ref))
        except PermanentError:
            return ""  # an unreadable event may be the reason of the dead letter
        if case.failure is None:
            return f"; case {case_ref.id} is {case.state}"
        return (
            f"; case {case_ref.id} stays failed and open until somebody tries it again (countersign cases retry "
            f"{case_ref.id}), an operator withdraws it, or the EHR takes the discharge back"
        )


async def retry(
    event_store: EventStore,
    case_ref: CaseRef,
    id: str,
    attribution: Attribution,
    of: Consumer | None = None,
    reason: str | None = None,
) -> str:
    """Append that the failed step is tried again, as the event `id`; when it stands there already, nothing.

    `of` is the consumer that gave up, where that is known; `reason` the digest of words that are stored with the case.
    """
    history = await event_store.history(case_ref)
    case = fold(history)
    if any(item.id == id for item in history):
        return f"case {case_ref.id} was retried before; it is {case.state}"
    step = _failed_step(case_ref, history, of)
    event = Retried(step=step, by=attribution.actor or Actor(subject=attribution.by, role="operator"), reason=reason)
    try:
        await event_store.append(history[-1].case, event, after=case.head, id=id, time=attribution.at)
    except WrongExpectedVersionError:
        raise PermanentError(
            f"Case {case_ref.id} was changed by somebody else: show it again before you repeat the command."
        ) from None
    return f"case {case_ref.id} tries {step} again"


def _failed_step(case_ref: CaseRef, history: Sequence[RecordedEvent], of: Consumer | None) -> StepName:
    """Return the step that can be retried; `of`: the consumer that gave up. Raises PermanentError."""
    if not history:
        raise PermanentError(f"There is no case {case_ref.id}.")
    case = fold(history)
    if case.failure is None:
        raise PermanentError(f"Case {case_ref.id} is {case.state}: there is no failed step to retry.")
    step = case.failure.step
    if of is not None and of.step not in (None, step):
        raise PermanentError(
            f"Case {case_ref.id} has failed in {step} since, and this dead letter is of {of.step}: discard it."
        )
    return step


def retry_id(dead_letter: DeadLetter) -> str:
    """Return the id of the event with which a redrive resumes a case: of several redrives, one event remains."""
    return derived_id(f"DEADLETTER/{dead_letter.sequence}", "retried")


def _consumer(dead_letter: DeadLetter, headers: Mapping[str, str]) -> Consumer:
    """Return the consumer that dead-lettered it. Raises PermanentError where no consumer of ours can have done so."""
    failure_subject = headers["Nats-Subject"]
    found = next((item for item in CONSUMERS if failure_subject == dead_letter_subject(item.service, item.name)), None)
    if found is None or found.stream != dead_letter.stream or not _consumes(found, dead_letter.subject):
        raise PermanentError(f"{_describe(dead_letter)} cannot be from a consumer of ours: it is not redriven.")
    return found


def _consumes(consumer: Consumer, subject: str) -> bool:
    """Return whether a message of this subject can have been delivered to the consumer."""
    if has_wildcards(subject) or not all(subject.split(".")):
        return False
    return any(subject_matches(item, subject) for item in consumer.subjects)


def _describe(dead_letter: DeadLetter) -> str:
    return f"Dead letter {dead_letter.sequence}"
