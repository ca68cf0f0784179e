"""Retry the failed step of a case for a person who has seen the failure, with the reason that they give."""

from collections.abc import Sequence

from services.approval.operations.service import Operations
from services.approval.review.case_reader import CaseReader
from shared.contracts.case import fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError
from shared.contracts.events import Failed, Retried
from shared.contracts.steps import step_named
from shared.messaging.dead_letters import DeadLetter
from shared.messaging.operator_requests import retry_id
from shared.runtime.authentication import Caller


def last_failure(history: Sequence[RecordedEvent]) -> RecordedEvent | None:
    """Return the last event that says that a step gave up."""
    return next((item for item in reversed(history) if isinstance(item.body, Failed)), None)


def retried_after(history: Sequence[RecordedEvent], seen: int) -> bool:
    """Return whether the step was retried after the failure with sequence `seen`."""
    return any(isinstance(item.body, Retried) and item.head.sequence > seen for item in history)


def redrivable(letters: Sequence[DeadLetter], history: Sequence[RecordedEvent]) -> DeadLetter | None:
    """Return the dead letter whose redrive retries the step that has failed; None where there is none."""
    failure, known = fold(history).failure, {item.id for item in history}
    if failure is None:
        return None
    consumer = step_named(failure.step).consumer
    fitting = (
        item for item in reversed(letters) if item.waits and item.consumer == consumer and retry_id(item) not in known
    )
    return next(fitting, None)


async def retry_seen(
    operations: Operations, cases: CaseReader, who: Caller, history: Sequence[RecordedEvent], seen: int, reason: str
) -> None:
    """Retry the step whose failure, with sequence `seen`, the caller has seen; sent twice, it is done once.

    Where its dead letter is unresolved, it is redriven, and the reason is recorded beside it; otherwise the reason is
    stored with the case's texts and named in its event. Raises PermanentError where the case has failed again since,
    or cannot be retried.
    """
    failure, ref = last_failure(history), history[-1].case
    if failure is not None and failure.head.sequence == seen and retried_after(history, seen):
        return
    if failure is None or failure.head.sequence != seen or fold(history).failure is None:
        raise PermanentError("The case has changed since the page was shown. Look at it again.")
    letter = redrivable(await operations.dead_letters_of(who, ref.id), history)
    if letter is not None:
        await operations.act(who, "redrive", letter.sequence, reason, dry_run=False)
        return
    await operations.retry_case(who, ref.id, await store_reason(cases, history, reason))


async def store_reason(cases: CaseReader, history: Sequence[RecordedEvent], reason: str) -> str | None:
    """Store why a case is retried; return the digest. None where its texts are being erased: nothing is added then."""
    case, last = fold(history), history[-1]
    if case.erasing:
        return None
    return await cases.texts(last.case.id, last.head.sequence).put(reason.encode())
