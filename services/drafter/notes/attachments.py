"""Fetch and read texts that notes only refer to: Binary resources and PDF. Other formats are read by rules."""

import asyncio
from collections.abc import Iterable

from services.drafter.notes import formats, pdf
from services.drafter.notes.formats import UnreadableAttachmentError
from services.drafter.record.scope import source
from services.drafter.source_record import NoteText
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.errors import PermanentError, RateLimitedError, TransientError

MAX_DOCUMENTS = 400  # notes of one stay whose text is fetched
MAX_CONCURRENT_PDFS = 2
MAX_FETCH_ATTEMPTS = 2  # for one Binary: a failing server must not block the draft
_MAX_RESPONSE_BYTES = formats.MAX_ATTACHMENT_BYTES * 4 // 3 + 10_000  # a Binary as JSON is base64


class AttachmentReader:
    """Read texts of notes that are not inline, or not as text."""

    def __init__(self, ehr: FhirClient, limit: asyncio.Semaphore) -> None:
        self._ehr = ehr
        self._limit = limit
        self._reading = asyncio.Semaphore(MAX_CONCURRENT_PDFS)

    async def texts(self, documents: Iterable[Resource]) -> dict[str, NoteText]:
        """Return each document's text by `Type/id`, or why there is none.

        Raises RateLimitedError.
        """
        wanted = list(documents)
        fetched = await asyncio.gather(*(self._text(item) for item in wanted[:MAX_DOCUMENTS]))
        texts = {source(item): text for item, text in zip(wanted, fetched, strict=False)}
        more = NoteText(reason=f"not read: the stay has more than {MAX_DOCUMENTS} notes to be fetched")
        return texts | {source(item): more for item in wanted[MAX_DOCUMENTS:]}

    async def _text(self, document: Resource) -> NoteText:
        """Return the text of the first readable format."""
        reasons: list[str] = []
        for attachment in formats.attachments_of(document):
            try:
                return NoteText(text=await self._read(attachment))
            except UnreadableAttachmentError as error:
                reasons.append(str(error))
        return NoteText(reason=reasons[0] if reasons else "it has no attachment")

    async def _read(self, attachment: Resource) -> str:
        stated = elements.string(attachment, "contentType")
        data = formats.data_of(attachment)
        if data is None:
            if stated and formats.format_of(stated) is None:
                raise formats.unknown_format_reason(stated)  # a picture is not fetched to be refused
            data, named = await self._fetch(attachment)
            stated = stated or named
        if len(data) > formats.MAX_ATTACHMENT_BYTES:
            raise UnreadableAttachmentError(f"it is larger than {formats.MAX_ATTACHMENT_BYTES // 1_000_000} MB")
        format = formats.detect_format(data, stated)
        if format is None:
            raise formats.unknown_format_reason(stated)
        if format == "pdf":
            return await self._pdf(data)
        return await asyncio.to_thread(formats.text_of, data, format, stated)

    async def _pdf(self, data: bytes) -> str:
        try:
            async with self._reading:
                return formats.check_text(await pdf.text_of(data))
        except UnreadableAttachmentError:
            raise
        except ValueError as error:
            raise UnreadableAttachmentError(str(error)) from None

    async def _fetch(self, attachment: Resource) -> tuple[bytes, str | None]:
        """Return the bytes of a Binary of the EHR. Nothing is fetched from elsewhere."""
        url = elements.string(attachment, "url")
        if url is None:
            raise UnreadableAttachmentError("its attachment is empty")
        named = references.parse_url(url, self._ehr.bases)
        if named is None or named.type != "Binary":
            raise UnreadableAttachmentError("its text is not a Binary of the EHR")
        size = attachment.get("size")
        if isinstance(size, int) and size > formats.MAX_ATTACHMENT_BYTES:
            raise UnreadableAttachmentError(f"it is larger than {formats.MAX_ATTACHMENT_BYTES // 1_000_000} MB")
        for _ in range(MAX_FETCH_ATTEMPTS):
            try:
                async with self._limit:
                    content = await self._ehr.binary(named.id, _MAX_RESPONSE_BYTES)
                return content.data, content.media_type
            except RateLimitedError:
                raise
            except NotFoundError:
                raise UnreadableAttachmentError("the EHR does not have its text") from None
            except PermanentError as error:
                raise UnreadableAttachmentError(
                    f"its text could not be fetched ({error.reason.partition(': ')[2]})"
                ) from None
            except TransientError:
                continue
        raise UnreadableAttachmentError("the EHR failed to give its text")
