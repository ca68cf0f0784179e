"""Steps of the drafter: read the stay, draft from it; prepare a draft before the discharge."""

from collections.abc import Callable
from datetime import datetime, tzinfo

from services.drafter import domain
from services.drafter.extract import read_stay
from services.drafter.kinds import KindRegistry
from services.drafter.reuse import PreparedDraft
from services.drafter.writing import Assignment, DraftWriter
from shared.clinical.fhir_client import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.errors import ErasedError, PermanentError
from shared.contracts.events import CaseEvent, ContextExtracted, Discharged, Drafted, RedraftRequested
from shared.contracts.model import read_strictly
from shared.contracts.preparation import PreparationRequested, Prepared
from shared.messaging.artifacts import Artifacts, CaseTexts
from shared.messaging.connection import NatsConnection
from shared.messaging.steps import Clock, StepContext


class Drafter:
    """The steps. `writer` writes what a physician waits for, `preparer` what is prepared, at a lower priority."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        kinds: KindRegistry,
        writer: DraftWriter,
        preparer: DraftWriter,
        zone_of: Callable[[str], tzinfo | None],
        clock: Clock,
        *,
        identifiers: bool = False,
    ) -> None:
        """`zone_of` returns a department's time zone, None where none is set. `identifiers`: see `read_stay`."""
        self._ehr = ehr
        self._kinds = kinds
        self._writer = writer
        self._preparer = preparer
        self._zone_of = zone_of
        self._clock = clock
        self._identifiers = identifiers
        self._artifacts = Artifacts(bus)

    def _texts(self, work: StepContext[CaseEvent]) -> CaseTexts:
        return self._artifacts.of(work.cause.case.id, work.cause.head.sequence)

    async def extract(self, work: StepContext[Discharged]) -> ContextExtracted:
        """Read the stay from the EHR and store the usable part of it."""
        cause = work.event
        context = await self._read(work, cause.encounter_id, cause.attending, cause.occurred_at, died=cause.died)
        digest = await self._texts(work).put(context.model_dump_json(exclude_none=True).encode())
        return ContextExtracted(
            stay=context.stay.model_copy(update={"reported_at": work.cause.time}),
            kind=context.kind,
            context=digest,
            encounter_status=context.encounter_status,
            left_out=len(context.left_out),
            prepared=cause.prepared,
        )

    async def draft(self, work: StepContext[ContextExtracted | RedraftRequested]) -> Drafted:
        """Write the draft and store it. What was prepared from the same facts is kept."""
        cause, texts = work.event, self._texts(work)
        context = read_strictly(EncounterContext, await texts.get(cause.context))
        words = domain.requested_changes(cause)
        prepared = cause.prepared if isinstance(cause, ContextExtracted) else None
        task = Assignment(
            case=work.cause.case.id,
            department=work.cause.case.department,
            context_digest=cause.context,
            number=domain.number_of(cause),
            request=(await texts.get(words)).decode() if words else None,
            last=work.last,
            before=await self._prepared(texts, prepared),
        )
        draft = await self._writer.write(context, task)
        digest = await texts.put(draft.model_dump_json(exclude_none=True).encode())
        return domain.drafted(cause, draft, digest)

    async def prepare(self, work: StepContext[PreparationRequested]) -> Prepared:
        """Read the stay as it is now, and write a draft of it."""
        cause, texts = work.event, self._texts(work)
        context = await self._read(work, cause.encounter_id, cause.attending, self._clock(), ongoing=True)
        context = context.model_copy(update={"expected_end": cause.expected_at})
        digest = await texts.put(context.model_dump_json(exclude_none=True).encode())
        task = Assignment(
            case=work.cause.case.id,
            department=work.cause.case.department,
            context_digest=digest,
            number=cause.number,
            last=work.last,
            before=await self._prepared(texts, cause.prepared),
            preparing=True,
            # An earlier attempt may have used them.
            tokens=0 if cause.tokens is not None and work.attempt > 1 else cause.tokens,
        )
        draft = await self._preparer.write(context, task)
        stored = await texts.put(draft.model_dump_json(exclude_none=True).encode())
        return domain.prepared(context, draft, stored)

    async def _read(
        self,
        work: StepContext[CaseEvent],
        encounter_id: str,
        attending: str | None,
        until: datetime | None,
        *,
        died: bool | None = None,
        ongoing: bool = False,
    ) -> EncounterContext:
        department = work.cause.case.department
        return await read_stay(
            self._ehr,
            encounter_id,
            occurred_at=until,
            attending=attending,
            died=died or False,
            zone=self._zone_of(department),
            kinds=self._kinds,
            department=department,
            ongoing=ongoing,
            identifiers=self._identifiers,
        )

    async def _prepared(self, texts: CaseTexts, digest: str | None) -> PreparedDraft | None:
        """Return the draft that was prepared before; None where it was erased or cannot be read."""
        if digest is None:
            return None
        try:
            return PreparedDraft(digest, read_strictly(Draft, await texts.get(digest)))
        except (ErasedError, PermanentError):
            return None
