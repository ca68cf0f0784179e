"""One verification: read the event stream page by page, and compare it with the chart and the checkpoints."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nats import errors
from nats.js.errors import APIError, NotFoundError

from services.approval.case_verification.case import VerifiedCase, filed_documents, verify_case
from services.approval.case_verification.fault import Fault
from services.approval.ehr_tasks.task_decision import CASE_ID
from services.approval.verification.access_log import verify_access_log
from services.approval.verification.checkpoints import CheckpointVerifier, verify_case_heads
from services.approval.verification.drafters import verify_drafters
from services.approval.verification.orphans import orphan_documents
from services.approval.verification.report import VerificationReport
from services.approval.verification.seen_index import SeenIndex
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import CaseRef, parse_case_subject
from shared.messaging.checkpoints import Folder
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.event_store import STREAM, EventStore, RawMessage

CONCURRENCY = 8  # cases that are verified at the same time

ProgressCallback = Callable[[int, int], None]  # messages read, and all of them


def _now() -> datetime:
    return datetime.now(UTC)


def no_progress(_done: int, _all: int) -> None: ...


@dataclass
class EventStreamVerifier:
    """One run. The user of `bus` reads the streams DISCHARGE and ACCESS; with `drafters`, DRAFTERS, too."""

    bus: NatsConnection
    ehr: FhirClient
    checkpoints: tuple[Folder, Ed25519PublicKey] | None = None
    drafters: bool = True
    concurrency: int = CONCURRENCY
    faults: list[Fault] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    reimported: list[str] = field(default_factory=list)
    events: int = 0
    erased: int = 0  # cases
    unread: int = 0  # documents that no EHR shows

    def __post_init__(self) -> None:
        self._event_store = EventStore(self.bus, "auditor")

    async def one(self, case: str) -> VerificationReport:
        """Verify one case. Raises PermanentError when there is no such case."""
        stored = await self._event_store.stored(CaseRef("*", case).filter)
        if not stored:
            raise PermanentError("there is no such case")
        with SeenIndex() as seen:
            found = await verify_case(case, stored, self.ehr)
            self._add_result(found, seen)
            await self._find_orphans(seen, found.identifiers)
        if self.checkpoints is not None:
            self.faults += verify_case_heads(*self.checkpoints, case, stored)
        whole = tuple(self.faults), tuple(self.unchecked), 0, int(found.erased), tuple(self.reimported)
        return VerificationReport(1, len(stored), *whole)

    async def all(self, report_progress: ProgressCallback = no_progress) -> VerificationReport:
        checked = CheckpointVerifier(*self.checkpoints) if self.checkpoints is not None else None
        state = await self._state()  # after the checkpoints: a later one would cover more than is read
        if state is None:
            return VerificationReport(0, 0, tuple(self.faults))
        first, last = state
        if not last:
            self._add_fault("it is empty: nothing was ever written, or it was deleted and created again")
        with SeenIndex() as seen:
            gaps = SequenceGaps()
            async for page in self._pages(last):
                self.faults += gaps.add(page)
                if checked is not None:
                    checked.add(page)
                await self._cases(page, seen)
                self.events += len(page)
                report_progress(page[-1].sequence - first + 1, last - first + 1)
            self.faults += gaps.end(last)
            await self._find_orphans(seen, None)
            if self.drafters:
                self.faults += await verify_drafters(self.bus, DrafterRegistry(self.bus, "auditor", _now))
            await self._checkpoints(checked, last)
            count = checked.count if checked is not None else 0
            found = tuple(self.faults), tuple(self.unchecked), count, self.erased, tuple(self.reimported)
            return VerificationReport(seen.cases, self.events, *found)

    async def _checkpoints(self, checked: CheckpointVerifier | None, last: int) -> None:
        """Add the faults of the checkpoints, after the whole event stream was read."""
        if self.checkpoints is None or checked is None:
            return
        checked.end()
        self.faults += checked.faults
        if checked.last is None:
            self._add_fault("the folder has no checkpoint of it")
            return
        covered = checked.last.last
        if covered > last:
            self._add_fault(f"it ends at sequence {last}, but the last checkpoint covers it up to {covered}")
        elif covered < last:
            words = f"{last - covered} events after the last checkpoint, of {checked.last.time:%Y-%m-%d %H:%M} UTC"
            self.unchecked.append(f"{words}: they are not signed yet")
        try:
            self.faults += await verify_access_log(self.bus, self.checkpoints[0], _now())
        except PermanentError as error:
            self.faults.append(Fault("", "", 0, error.reason))

    async def _state(self) -> tuple[int, int] | None:
        """Return the first and last sequence of the event stream; None if the stream is missing."""
        try:
            state = (await self.bus.jetstream.stream_info(STREAM)).state
        except NotFoundError:
            self._add_fault(f"it is missing: the server has no stream {STREAM}")
            return None
        except (APIError, errors.Error) as error:
            raise TransientError(f"the event stream could not be read ({type(error).__name__})") from None
        return max(state.first_seq, 1), state.last_seq

    async def _pages(self, last: int) -> AsyncIterator[list[RawMessage]]:
        """Yield the pages of the event stream up to `last`, without later messages."""
        async for page in self._event_store.pages("discharge.>"):
            if within := [item for item in page if item.sequence <= last]:
                yield within
            if page[-1].sequence >= last:
                return

    async def _cases(self, page: Sequence[RawMessage], seen: SeenIndex) -> None:
        """Verify every case whose first message is on this page, to its end."""
        fresh = seen.fresh(parse_case_subject(item.subject)[0].id for item in page)
        for batch in (fresh[at : at + self.concurrency] for at in range(0, len(fresh), self.concurrency)):
            for found in await asyncio.gather(*map(self._case, batch)):
                self._add_result(found, seen)

    async def _case(self, id: str) -> VerifiedCase:
        return await verify_case(id, await self._event_store.stored(CaseRef("*", id).filter), self.ehr)

    def _add_result(self, found: VerifiedCase, seen: SeenIndex) -> None:
        self.faults += found.faults
        self.erased += found.erased
        self.unread += found.unread
        self.reimported += [found.id] if found.reimported else []
        seen.filed(found.id, found.documents, filing=found.filing)

    async def _find_orphans(self, seen: SeenIndex, identifiers: Iterable[tuple[str, str]] | None) -> None:
        if self.unread:
            words = f"{self.unread} documents were sent by MDM or transferred by hand, and cannot be read back: "
            self.unchecked.append(f"{words}their events alone were verified")
        try:
            async for fault in orphan_documents(self.ehr, identifiers, seen, self._read_case_again):
                self.faults.append(fault)
        except TransientError as error:
            self._add_fault(f"the EHR could not be searched for our documents ({error.reason})")
        except PermanentError as error:
            words = f"documents in the EHR that no event filed: the EHR does not search for them ({error.reason})"
            self.unchecked.append(words)

    async def _read_case_again(self, case: str, seen: SeenIndex) -> None:
        """Read the case again: it may have been opened or filed since."""
        stored = await self._event_store.stored(CaseRef("*", case).filter) if CASE_ID.fullmatch(case) else []
        if stored:
            found = filed_documents(case, stored)
            seen.filed(case, found.documents, filing=found.filing)

    def _add_fault(self, reason: str) -> None:
        self.faults.append(Fault("", "", 0, reason))


class SequenceGaps:
    """Finds sequences that are missing in the stream; no service can delete a message."""

    def __init__(self) -> None:
        self._next = 1

    def add(self, page: Iterable[RawMessage]) -> Iterator[Fault]:
        for item in page:
            yield from self.end(item.sequence - 1)
            self._next = item.sequence + 1

    def end(self, last: int) -> Iterator[Fault]:
        """Yield a fault if messages up to `last` are missing."""
        if self._next <= last:
            count = last - self._next + 1
            words = f"messages {self._next} to {last} are" if count > 1 else f"message {last} is"
            yield Fault("", "", self._next, f"{words} missing: {count} deleted from the stream")
            self._next = last + 1
