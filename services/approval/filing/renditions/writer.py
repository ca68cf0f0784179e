"""The renditions of a decision: the stored ones, or new ones, which are stored."""

import asyncio
import logging
from collections.abc import Sequence

from services.approval.ehr_tasks.tasks import Devices
from services.approval.filing.correction_resources import identifier_of
from services.approval.filing.renditions.make import FHIR, TEXT, make
from services.approval.filing.renditions.pdf import Paper
from services.approval.filing.renditions.source import Source
from services.approval.filing.renditions.store import RenditionStore
from shared.clinical.fhir_client import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.corrections import Addended, Amended
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError
from shared.contracts.events import Signature
from shared.contracts.model import read_strictly
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection

logger = logging.getLogger(__name__)


class Renditions:
    """`wanted` are the content types that the EHR takes, `paper` the size of a printed page."""

    def __init__(
        self, bus: NatsConnection, ehr: FhirClient, devices: Devices, wanted: Sequence[str], paper: Paper
    ) -> None:
        self._ehr = ehr
        self._devices = devices
        self._wanted = tuple(wanted)
        self._paper = paper
        self._artifacts = Artifacts(bus)
        self._store = RenditionStore(bus)

    async def of(self, decision: RecordedEvent, approved: Signature, text: str, number: int = 1) -> dict[str, bytes]:
        """Return content type → bytes, the same at each attempt. `number` counts the documents of the case.

        Only content types that are still configured are returned, and only the text if the draft cannot be read. Raises
        TransientError, PermanentError.
        """
        # An addendum has no coded parts: a Bundle would contain no more than the text.
        wanted = tuple(name for name in self._wanted if name != FHIR or not isinstance(approved, Addended)) or (TEXT,)
        if wanted == (TEXT,):
            return {TEXT: text.encode()}
        key = decision.head.digest
        kept = await self._store.get(decision.case.id, key) or {}
        if chosen := {name: data for name, data in kept.items() if name in wanted}:
            return chosen
        source = await self._source(decision, approved, text, number, device=FHIR in wanted)
        if source is None:
            return {TEXT: text.encode()}
        made = await asyncio.to_thread(make, source, wanted, self._paper)
        return await self._store.put(decision, made)

    async def _source(
        self, decision: RecordedEvent, approved: Signature, text: str, number: int, *, device: bool
    ) -> Source | None:
        """Return what renditions are made from. `device`: one of them refers to the drafting AI in the EHR."""
        ref = approved.draft
        stored = await self._artifacts.of(decision.case.id).get_many(list({ref.digest, ref.context}))
        try:
            draft = read_strictly(Draft, stored.get(ref.digest, b""))
        except PermanentError:
            logger.warning("case %s: its draft cannot be read, the text is filed alone", decision.case.id)
            return None
        return Source(
            decision=decision,
            approved=approved,
            identifier=identifier_of(decision.case, approved, number),
            replaces=identifier_of(decision.case, approved, number - 1) if isinstance(approved, Amended) else None,
            text=text,
            draft=draft,
            context=_context(stored.get(ref.context, b"")),
            device=await self._devices.id_of(ref) if device else "",
            base=self._ehr.base,
        )


def _context(data: bytes) -> EncounterContext | None:
    try:
        return read_strictly(EncounterContext, data)
    except PermanentError:
        return None
