"""Find stays whose documents physicians have signed."""

from collections.abc import AsyncIterator, Sequence

from shared.contracts.envelope import RecordedEvent
from shared.contracts.evaluations import EvaluationItem
from shared.contracts.events import Approved, name_of
from shared.contracts.retention import ErasureOrdered
from shared.contracts.subjects import case_filter
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, EventStore, sort_readable

FIRST_WINDOW = 500  # sequences of the event stream that are looked through at a time, from its end
GROWTH = 4  # of the next window: a page needs the last stays alone, an evaluation some hundred
WINDOW = 20_000  # at most
REACH = 1_000_000  # sequences


class SignedStays:
    def __init__(self, bus: NatsConnection) -> None:
        self._bus = bus
        self._cases = EventStore(bus, "evaluator")

    async def last(
        self, document: str, limit: int, without: Sequence[str] = (), department: str | None = None
    ) -> list[EvaluationItem]:
        """Return the stays of a kind of document that were signed last, each once, newest first."""
        found: list[EvaluationItem] = []
        async for item in self._newest_first(document):
            if item.case not in without and department in (None, item.department):
                found.append(item)
            if len(found) == limit:
                break
        return found

    async def of_cases(self, document: str, cases: Sequence[str]) -> list[EvaluationItem]:
        """Return the signed stays of `cases`, in their order; those that are not found are left out."""
        found: dict[str, EvaluationItem] = {}
        async for item in self._newest_first(document):
            if item.case in cases:
                found[item.case] = item
            if len(found) == len(set(cases)):
                break
        return [found[case] for case in dict.fromkeys(cases) if case in found]

    async def is_erased(self, case: str) -> bool:
        """Return whether texts of a case were erased, or are to be."""
        return any(isinstance(item.body, ErasureOrdered) for item in await self._cases.find(case))

    async def _newest_first(self, document: str) -> AsyncIterator[EvaluationItem]:
        """Yield each case once, with what was signed last; as far back as REACH."""
        last = (await self._bus.jetstream.stream_info(STREAM)).state.last_seq
        seen: set[str] = set()
        end, size = max(0, last - REACH), FIRST_WINDOW
        while last > end:
            first = max(1, last - size + 1)
            for event in reversed(await self._approvals(first, last)):
                item = stay_of(event, document)
                if item is not None and item.case not in seen:
                    seen.add(item.case)
                    yield item
            last, size = first - 1, min(size * GROWTH, WINDOW)

    async def _approvals(self, first: int, last: int) -> list[RecordedEvent]:
        messages = []
        async for page in self._cases.pages(case_filter(name_of(Approved)), start=first):
            messages += [item for item in page if item.sequence <= last]
            if page[-1].sequence >= last:
                break
        readable, _ = sort_readable(messages)
        return readable


def stay_of(event: RecordedEvent, document: str) -> EvaluationItem | None:
    """Return the stay of an approval of a kind of document; None for any other event."""
    body = event.body
    if not isinstance(body, Approved) or body.draft.kind != document:
        return None
    try:
        return EvaluationItem(
            case=event.case.id, department=event.case.department, context=body.draft.context, signed=body.signed
        )
    except ValueError:  # a draft that only the chart has names no context
        return None
