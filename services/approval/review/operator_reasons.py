"""The words with which operators retried or withdrew a case. They hold no patient data, so that operators read them."""

from collections.abc import Sequence

from services.approval.review.case_reader import CaseReader
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError
from shared.contracts.events import Retried, Withdrawn

ERASED = "(erased)"


def reason_digest(event: RecordedEvent) -> str | None:
    """Return the digest of the operator's words that an event names; None where it names none."""
    match event.body:
        case Retried(reason=digest) | Withdrawn(words=digest):
            return digest
        case _:
            return None


async def read_reasons(cases: CaseReader, history: Sequence[RecordedEvent]) -> dict[str, str]:
    """Return the words of operators in a case by their digest."""
    found: dict[str, str] = {}
    for digest in filter(None, map(reason_digest, history)):
        try:
            found[digest] = (await cases.texts(history[-1].case.id).get(digest)).decode()
        except ErasedError:
            found[digest] = ERASED
    return found
