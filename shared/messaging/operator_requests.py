"""What a service does about dead letters and failed cases when the operator asks: it looks at everything first.

What is put back is what the dead letter holds, read from its stream by the service itself, and only where it is a valid
message of the consumer that buried it. A case is tried again only where its history says that a step of it has failed.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.contracts.case import Case, fold
from shared.contracts.errors import PermanentError
from shared.contracts.events import Actor, Retried
from shared.contracts.subjects import (
    CaseRef,
    dead_letter_subject,
    derived_id,
    has_wildcards,
    parse_case_subject,
    subject_matches,
)
from shared.messaging.connection import Bus
from shared.messaging.dead_letters import Attribution, DeadLetter, ensure_unresolved, read_one, resolve
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.requests import OfCase, OfLetter, Verb, serve
from shared.messaging.topology import CONSUMERS, Consumer

LARGEST = 256 * 1024  # bytes of a message that is put back: facts and notices have some hundred
KEPT = ("content-type", "traceparent")  # of the headers, besides the CloudEvents attributes
INSTEAD = {
    "KNOWLEDGE": "A refresh has its own further attempts. Begin another: countersign knowledge refresh",
    "TIMERS": "A timer is not put back: give the review to its owner again, which sets a new one.",
    "REFRESH_TIMERS": "A timer is not put back: it is set again when ingest starts.",
    "ACCESS": "A look at a draft stands on record already: discard the letter.",
    "ADVISORIES": "What the server said of a message is not put back: redrive the dead letter of the message.",
}

Check = Callable[[str, bytes], Any]  # subject and body; raises PermanentError where they break the contract


class OperatorRequests:
    """Of one service. `checks`: consumers whose messages it publishes again, and the contract of those.

    `more`: requests that only this service knows.
    """

    def __init__(
        self,
        bus: Bus,
        service: str,
        checks: Mapping[str, Check],
        clock: Callable[[], datetime],
        more: Mapping[str, Verb] | None = None,
    ) -> None:
        self._bus = bus
        self._service = service
        self._checks = checks
        self._clock = clock
        self._more = dict(more or {})
        self._journal = EventStore(bus, service)

    async def start(self) -> None:
        """Take the operator's requests from now on."""
        verbs = {
            "redrive": Verb(OfLetter, self._redrive),
            "discard": Verb(OfLetter, self._discard),
            "retry": Verb(OfCase, self._retry),
        }
        await serve(self._bus, self._service, verbs | self._more)

    async def _redrive(self, asked: OfLetter) -> str:
        """Put one letter back to work, once; returns what was done in words.

        It is recorded after it was done: killed in between, it waits still, and doing it again changes nothing.
        """
        deed = Attribution(asked.by, asked.why, self._clock())
        letter, data, headers = await read_one(self._bus, asked.sequence)
        ensure_unresolved(letter)
        buried_by = _consumer(letter, headers)
        if letter.stream == "DISCHARGE":
            done = await self._retry_step(letter, buried_by, deed)
        else:
            done = await self._publish(letter, buried_by, data, headers)
        await resolve(self._bus, letter.sequence, "redriven", deed)
        return done

    async def _publish(self, letter: DeadLetter, buried_by: Consumer, data: bytes, headers: dict[str, str]) -> str:
        check = self._checks.get(buried_by.name)
        if check is None:
            raise PermanentError(INSTEAD.get(letter.stream, f"{self._service} does not put back what it did not hear."))
        if len(data) > LARGEST:
            raise PermanentError(f"{_named(letter)} has {len(data)} bytes; at most {LARGEST} are put back.")
        try:
            check(letter.subject, data)
        except PermanentError as error:
            raise PermanentError(
                f"{_named(letter)} would fail again: {error.reason}. Have it reported again, and discard the letter."
            ) from None
        kept = {name: value for name, value in headers.items() if name.startswith("ce-") or name in KEPT}
        id = derived_id(f"DEADLETTER/{letter.sequence}", "redriven")
        await self._bus.publish(letter.subject, data, stream=letter.stream, headers=kept, id=id)
        return f"published again on {letter.subject}"

    async def _retry_step(self, letter: DeadLetter, buried_by: Consumer, deed: Attribution) -> str:
        case_ref, _ = parse_case_subject(letter.subject)
        id = derived_id(f"DEADLETTER/{letter.sequence}", "retried")
        return await retry(self._journal, case_ref, id, deed, buried_by)

    async def _retry(self, asked: OfCase) -> str:
        """Put a failed case back to its failed step, whatever became of its dead letter."""
        history = await self._journal.find(asked.case_id)
        if not history:
            raise PermanentError("there is no such case")
        failed = next((item for item in reversed(history) if item.name == "failed"), history[-1])
        deed = Attribution(asked.by, "", self._clock())
        return await retry(self._journal, history[-1].case, derived_id(failed.id, "retried"), deed)

    async def _discard(self, asked: OfLetter) -> str:
        """Say that nobody will put this letter back; returns in words what that leaves.

        The letter stays where it is, and so does what it was about: a case is never closed by it.
        """
        if not asked.why.strip():
            raise PermanentError("Say why it is discarded.")
        letter, _, _ = await read_one(self._bus, asked.sequence)
        ensure_unresolved(letter)
        left = await self._left(letter)
        await resolve(self._bus, letter.sequence, "discarded", Attribution(asked.by, asked.why, self._clock()))
        return f"discarded dead letter {letter.sequence}{left}"

    async def _left(self, letter: DeadLetter) -> str:
        if letter.stream != "DISCHARGE":
            return ""
        try:
            case_ref, _ = parse_case_subject(letter.subject)
            case: Case = fold(await self._journal.history(case_ref))
        except PermanentError:
            return ""  # what cannot be read may be why it is a dead letter
        if case.failure is None:
            return f"; case {case_ref.id} is {case.state}"
        return (
            f"; case {case_ref.id} stays failed and open until somebody tries it again (countersign cases retry "
            f"{case_ref.id}) or the EHR takes the discharge back"
        )


async def retry(journal: EventStore, case_ref: CaseRef, id: str, deed: Attribution, of: Consumer | None = None) -> str:
    """Append that the failed step is tried again, as the event `id`; when it stands there already, nothing.

    `of` is the consumer that gave up, where that is known.
    """
    history = await journal.history(case_ref)
    if not history:
        raise PermanentError(f"There is no case {case_ref.id}.")
    case = fold(history)
    if any(item.id == id for item in history):
        return f"case {case_ref.id} was put back before; it is {case.state}"
    if case.failure is None:
        raise PermanentError(f"Case {case_ref.id} is {case.state}: there is nothing to put back.")
    step = case.failure.step
    if of is not None and of.step not in (None, step):
        raise PermanentError(
            f"Case {case_ref.id} has failed in {step} since, and this letter is of {of.step}: discard it."
        )
    event = Retried(step=step, by=Actor(subject=deed.by, role="operator"))
    try:
        await journal.append(history[-1].case, event, after=case.head, id=id, time=deed.at)
    except WrongExpectedVersionError:
        raise PermanentError(f"Case {case_ref.id} changed just now: look at it again.") from None
    return f"case {case_ref.id} tries {step} again"


def _consumer(letter: DeadLetter, headers: Mapping[str, str]) -> Consumer:
    """The consumer that buried it. Raises PermanentError where no consumer of ours can have done so."""
    buried = headers["Nats-Subject"]
    found = next((item for item in CONSUMERS if buried == dead_letter_subject(item.service, item.name)), None)
    if found is None or found.stream != letter.stream or not _consumes(found, letter.subject):
        raise PermanentError(f"{_named(letter)} is none that a consumer of ours can have buried: it is not put back.")
    return found


def _consumes(consumer: Consumer, subject: str) -> bool:
    """Return whether a message of this subject can have been delivered to the consumer."""
    if has_wildcards(subject) or not all(subject.split(".")):
        return False
    return any(subject_matches(item, subject) for item in consumer.subjects)


def _named(letter: DeadLetter) -> str:
    return f"Dead letter {letter.sequence}"
