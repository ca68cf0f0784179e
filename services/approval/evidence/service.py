"""Gather the evidence of a case: its events, what the chart has of it, the proof in a checkpoint, a verification."""

import asyncio
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.approval.case_verification.case import filings
from services.approval.case_verification.chart import FiledSignature
from services.approval.evidence.pack import PackContents, Rendition, write_zip
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.renditions.store import RenditionStore
from services.approval.review.authorization import denial
from services.approval.review.case_reader import CaseReader
from services.approval.verification.inclusion import prove
from services.approval.verification.service import NO_CHECKPOINTS
from services.approval.verification.verifier import EventStreamVerifier
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import fold
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.errors import CountersignError, ErasedError, PermanentError
from shared.contracts.events import Filed, Signature
from shared.contracts.subjects import CaseRef
from shared.messaging.access_log import AccessLog
from shared.messaging.checkpoints import Folder
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import Clock, EventStore, sort_readable
from shared.runtime.authentication import Caller

NO_TEXTS = "the signed documents: the role {} does not read them; their digests are included"


class EvidenceService:
    """Write evidence packs. `checkpoints`: the folder of this installation and its public key; None without any."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        cases: CaseReader,
        log: AccessLog,
        checkpoints: tuple[Folder, Ed25519PublicKey] | None,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._ehr = ehr
        self._cases = cases
        self._log = log
        self._checkpoints = checkpoints
        self._clock = clock
        self._event_store = EventStore(bus, "approval")
        self._store = RenditionStore(bus)

    async def pack(self, case_id: str, who: Caller) -> bytes:
        """Return the zip of a case that the caller may know of. The access is in the log when this returns.

        Whoever may read the drafts of the case gets the signed documents, too. Raises DecisionRefusedError,
        TransientError.
        """
        stored = await self._event_store.stored(CaseRef("*", case_id).filter)
        history, _ = sort_readable(stored)
        case, department = fold(history), history[-1].case.department
        may_read_texts = denial(who, case, department, "see") is None
        if may_read_texts or who.in_role("auditor") is None:
            await self._cases.authorized_history(case_id, who)
        role = who.role if may_read_texts else "auditor"
        await self._record(case_id, who, role, may_read_texts=may_read_texts)
        filed = list(filings(history))
        missing = [] if may_read_texts else [NO_TEXTS.format(role)]
        found = PackContents(
            case=case_id,
            made_at=self._clock(),
            made_by=who.subject,
            role=role,
            includes_texts=may_read_texts,
            events=stored,
            history=history,
            filings=filed,
            provenances={item.filed.head.sequence: await self._provenance(item) for item in filed},
            renditions=await self._renditions(case_id, filed, missing, may_read_texts=may_read_texts),
            verification=await self._verification(case_id, self._clock()),
            proof=await asyncio.to_thread(self._proof, case_id, missing),
            missing=missing,
        )
        return await asyncio.to_thread(write_zip, found)

    async def _record(self, case_id: str, who: Caller, role: str, *, may_read_texts: bool) -> None:
        await self._log.record(
            "exported",
            detail="evidence pack with documents" if may_read_texts else "evidence pack without documents",
            case_id=case_id,
            by=who.actor,
            role=role,
        )

    async def _provenance(self, item: FiledSignature) -> dict[str, Any] | str:
        """Return the Provenance of a filing, or why there is none."""
        if not item.readable or not item.body.provenance:
            return "it was filed where no Provenance is kept"
        try:
            return await self._ehr.read("Provenance", item.body.provenance)
        except CountersignError as failure:
            return f"the EHR does not show it ({failure.reason})"

    async def _renditions(
        self, case_id: str, filed: list[FiledSignature], missing: list[str], *, may_read_texts: bool
    ) -> list[Rendition]:
        """Return the documents that were filed; adds to `missing` which contents are not there."""
        found: list[Rendition] = []
        for item in filed:
            if not isinstance(item.body, Filed):
                continue
            contents = await self._contents(case_id, item.signature) if may_read_texts else {}
            for content_type, digest in item.body.renditions.items():
                content = contents.get(content_type)
                if content is not None and sha256_hex(content) != digest:
                    content = None
                if may_read_texts and content is None:
                    missing.append(f"the {content_type} that event {item.filed.head.sequence} filed: it is not kept")
                found.append(Rendition(item.filed.head.sequence, content_type, digest, content))
        return found

    async def _contents(self, case_id: str, signature: RecordedEvent | None) -> dict[str, bytes]:
        if signature is None or not isinstance(signature.body, Signature):
            return {}
        try:
            kept = await self._store.get(case_id, signature.head.digest) or {}
            return (
                kept
                if TEXT in kept
                else kept | {TEXT: (await self._cases.signed_text(case_id, signature.body)).encode()}
            )
        except (ErasedError, PermanentError):
            return {}

    async def _verification(self, case_id: str, now: datetime) -> dict[str, Any]:
        audit = EventStreamVerifier(self._bus, self._ehr, self._checkpoints, drafters=False, concurrency=1)
        report = await audit.one(case_id)
        unchecked = [*report.unchecked, *([NO_CHECKPOINTS] if self._checkpoints is None else [])]
        return report.as_dict() | {"unchecked": unchecked, "time": now.isoformat()}

    def _proof(self, case_id: str, missing: list[str]) -> tuple[dict[str, Any], bytes] | None:
        """Return the inclusion proof and the public key. Adds to `missing` why there is none."""
        if self._checkpoints is None:
            missing.append("a proof in a signed checkpoint: this service makes no checkpoints")
            return None
        folder, key = self._checkpoints
        try:
            proof = prove(folder, case_id)
        except PermanentError as failure:
            missing.append(f"a proof in a signed checkpoint: {failure.reason}")
            return None
        return proof.model_dump(mode="json"), key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
