"""The write-back profile `mdm`: each document is a message, and the receiver's AA says that it is filed.

MLLP delivers at least once: the same bytes under the same MSH-10 may arrive twice, and the receiver's key TXA-12 names
one document.
"""

from dataclasses import replace
from datetime import UTC
from functools import partial
from uuid import UUID

from services.approval.filing.errors import DocumentHeldError, require_chart_check
from services.approval.filing.mdm.message import Content, DocumentHeader, Event, Header, MdmMessage, compose
from services.approval.filing.mdm.outbox import Compose, MessageDraft, Outbox, Stored
from services.approval.filing.mdm.parties import read_parties
from services.approval.filing.mdm.sender import MdmSender
from services.approval.filing.renditions.make import PDF, TEXT
from services.approval.filing.renditions.writer import Renditions
from services.approval.filing.write_back import (
    SignedDocument,
    SignedRetraction,
    Written,
    current_filings,
    document_key,
    document_type_of,
)
from shared.clinical.fhir_client import FhirClient
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.events import Filed, Signature
from shared.contracts.subjects import derived_id
from shared.hl7.write import UnencodableError
from shared.messaging.steps import Clock
from shared.runtime.mdm_settings import MdmSettings
from shared.web.local_time import ZoneOf

MAX_MESSAGE_BYTES = 1_000_000  # NATS stores messages of up to 1 MiB
CONTROL_ID_LENGTH = 20  # MSH-10 in HL7 2.5.1


class MdmWriteBack:
    """`renditions` makes the PDF where that is what is sent."""

    def __init__(
        self,
        settings: MdmSettings,
        sender: MdmSender,
        outbox: Outbox,
        ehr: FhirClient,
        renditions: Renditions,
        clock: Clock,
        zone_of: ZoneOf,
    ) -> None:
        self._settings = settings
        self._sender = sender
        self._outbox = outbox
        self._ehr = ehr
        self._renditions = renditions
        self._clock = clock
        self._zone_of = zone_of

    async def file(self, document: SignedDocument) -> Written:
        """Send the document, and return once the receiver has accepted it."""
        name = f"{document.releases}-0"
        stored = await self._send(document.decision, name, partial(self._draft, document), document.doubt)
        filed = Filed(
            document_reference=document_key(document.decision.case, document.signature, document.number),
            provenance="",
            renditions=stored.message.renditions,
            profile="mdm",
            message=stored.message.message,
            acknowledgment=stored.message.answer or None,
        )
        without_pdf = self._settings.content == "pdf" and PDF not in filed.renditions
        return Written(filed, (PDF,) if without_pdf else ())

    async def retract(self, retraction: SignedRetraction) -> RetractionFiled:
        """Replace each document that stands by a notice that it was entered in error.

        T11 (cancel) is only for documents that nobody has used yet.
        """
        for number, filed in enumerate(current_filings(retraction.case)):
            notice = partial(self._notice, retraction, filed.document_reference, number)
            await self._send(retraction.decision, f"{retraction.releases}-{number}", notice, retraction.doubt)
        return RetractionFiled(provenance="", profile="mdm")

    async def _send(self, decision: RecordedEvent, name: str, compose_it: Compose, doubt: str) -> Stored:
        """Send a message that was not accepted yet. Raises DocumentHeldError if it is refused or in `doubt`."""
        if doubt and not await self._outbox.accepted(decision, name):
            require_chart_check(doubt)
        stored = await self._outbox.prepare(decision, name, compose_it)
        if stored.message.accepted:
            return stored
        async with self._sender.turn() as turn:
            stored = await self._outbox.prepare(decision, name, compose_it)
            if stored.message.accepted:  # by another process, which was first
                return stored
            answer = await turn.send(stored.content, stored.message.control_id)
            if not answer.accepted:
                raise DocumentHeldError(f"the HL7v2 receiver refused the document ({answer.words})")
            return await self._outbox.accept(stored, answer.id)

    async def _draft(self, document: SignedDocument) -> MessageDraft:
        decision, signature = document.decision, document.signature
        pdf = None
        if self._settings.content == "pdf":
            made = await self._renditions.of(decision, signature, document.text, document.number)
            pdf = made.get(PDF)
        type = signature.draft.type
        content = Content((type.code, type.display), document.text, pdf)
        number = document_key(decision.case, signature, document.number)
        control_id = _control_id(decision, document, 0)
        message = await self._message(
            _event(signature), control_id, decision, signature, (number, _parent(signature)), content
        )
        data = self._composed(message)
        if pdf is not None and len(data) > MAX_MESSAGE_BYTES:  # the text alone is better than nothing
            pdf = None
            data = self._composed(replace(message, content=replace(content, pdf=None)))
        carried = {PDF: sha256_hex(pdf)} if pdf is not None else {TEXT: sha256_hex(document.text.encode())}
        return _limited(MessageDraft(control_id, data, carried))

    async def _notice(self, retraction: SignedRetraction, parent: str, number: int) -> MessageDraft:
        decision, type = retraction.decision, document_type_of(retraction.case)
        text = retraction_notice(retraction.retracted, parent)
        control_id, content = (
            _control_id(decision, retraction, number),
            Content((type.code, type.display), text),
        )
        numbers = f"{decision.case.id}/retraction/{number + 1}", parent
        message = await self._message("T10", control_id, decision, retraction.retracted, numbers, content)
        return _limited(MessageDraft(control_id, self._composed(message), {TEXT: sha256_hex(text.encode())}))

    def _composed(self, message: MdmMessage) -> bytes:
        """Return the message. Raises DocumentHeldError for a character that the receiver's charset lacks."""
        try:
            return compose(message, escape_others=self._settings.unencodable == "escape")
        except UnencodableError as error:
            raise DocumentHeldError(
                f"the receiver's charset {message.header.charset} (COUNTERSIGN_MDM_CHARSET) does not have "
                f"characters of the message: {error.names}"
            ) from None

    async def _message(
        self,
        event: Event,
        control_id: str,
        decision: RecordedEvent,
        signed: Signature | Retracted,
        numbers: tuple[str, str],
        content: Content,
    ) -> MdmMessage:
        """Return a message. `numbers` are those of the document and of its parent (TXA-12, TXA-13)."""
        settings, zone = self._settings, self._zone_of(decision.case.department) or UTC
        parties = await read_parties(self._ehr, settings, signed)
        header = Header(
            sender=(settings.sending_application, settings.sending_facility),
            receiver=(settings.receiving_application, settings.receiving_facility),
            control_id=control_id,
            processing_id=settings.processing_id,
            at=self._clock().astimezone(zone),
            charset=settings.charset,
        )
        code, title = content.code
        document = DocumentHeader(
            number=numbers[0],
            type=(settings.document_types.get(code, "DS"), title),
            completion=settings.completion,
            activity_at=signed.stay.end.astimezone(zone),
            signed_at=decision.time.astimezone(zone),
            signer=parties.signer,
            parent=numbers[1],
        )
        return MdmMessage(event, header, parties.patient, parties.visit, document, content)


def retraction_notice(retracted: Retracted, document: str) -> str:
    """Return the text that replaces a document that was retracted. It names no patient: PID does."""
    first, second = retracted.requested_by, retracted.by
    return (
        "RETRACTED: ENTERED IN ERROR\n\n"
        f"Document {document} was entered in error and must not be used.\n"
        f"Retraction requested by {first.name or first.subject}, confirmed by {second.name or second.subject}.\n"
    )


def _event(signature: Signature) -> Event:
    if isinstance(signature, Amended):
        return "T10"
    return "T06" if isinstance(signature, Addended) else "T02"


def _parent(signature: Signature) -> str:
    if isinstance(signature, Amended):
        return signature.replaces
    return signature.appends if isinstance(signature, Addended) else ""


def _control_id(decision: RecordedEvent, signed: SignedDocument | SignedRetraction, number: int) -> str:
    """Return MSH-10 of a message: by digests, as after a restore ids of events may be those of lost ones."""
    of = f"{decision.head.digest}/{signed.releases}/{signed.released}/{number}"
    return UUID(derived_id(of, "mdm")).hex[:CONTROL_ID_LENGTH]


def _limited(draft: MessageDraft) -> MessageDraft:
    if len(draft.content) > MAX_MESSAGE_BYTES:
        raise DocumentHeldError(f"the message has {len(draft.content)} bytes, and at most {MAX_MESSAGE_BYTES} are sent")
    return draft
