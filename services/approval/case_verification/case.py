"""Verify one case: recompute every digest from the stored bytes, check every event against the state before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.approval.case_verification.chart import FiledSignature, against_chart
from services.approval.case_verification.fault import Fault
from services.approval.corrections.rules import number_of, signature_of
from services.approval.filing.correction_resources import identifier_of
from services.approval.filing.write_back import document_in_ehr
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import Case, fold, restored_event, unexpected_events
from shared.contracts.corrections import RetractionFiled
from shared.contracts.envelope import RecordedEvent, chain_digest, decode
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Filed, Reimported
from shared.contracts.steps import FILE
from shared.contracts.subjects import parse_case_subject
from shared.messaging.event_store import RawMessage, sort_readable


@dataclass(frozen=True, slots=True)
class VerifiedCase:
    """The result of verifying one case."""

    id: str
    faults: tuple[Fault, ...]
    documents: frozenset[str]  # ids of the DocumentReferences that were filed
    filing: bool  # a document may be in the chart before its event
    identifiers: tuple[tuple[str, str], ...]  # system and value of its documents
    erased: bool = False
    reimported: bool = False  # something of it was taken over from the chart after a restore
    unread: int = 0  # documents that were filed where we cannot read them: the events alone prove them


async def verify_case(case_id: str, events: Sequence[RawMessage], ehr: FhirClient) -> VerifiedCase:
    """Verify one case; `events` is every message of it, in stream order."""
    faults = _broken(case_id, events)
    history, unread = sort_readable(events)
    # Later events may follow from events that only a newer version can read.
    for item in unexpected_events(history) if not any(item.newer for item in unread) else ():
        reason = (
            "it does not fit the state that the case was in: nothing of ours appends it there, and it has no effect"
        )
        faults.append(Fault(case_id, item.name, item.head.sequence, reason))
    for filing in filings(history):
        for found in await against_chart(filing, ehr):
            at = filing.signature if found.about_signature and filing.signature else filing.filed
            faults.append(Fault(case_id, at.name, at.head.sequence, found.words, found.unanswered))
    return filed_documents(case_id, events, faults)


def filed_documents(case_id: str, events: Sequence[RawMessage], faults: Iterable[Fault] = ()) -> VerifiedCase:
    """Return the documents of the case that are, or may be, in the chart, without verifying them."""
    history, _ = sort_readable(events)
    case = fold(history)
    filed = (item.body.filed if isinstance(item.body, Reimported) else item.body for item in history)
    bodies = [body for body in filed if isinstance(body, Filed)]
    readable = [body for body in bodies if document_in_ehr(body) is not None]
    documents = frozenset(body.document_reference for body in readable)
    taken_over = any(isinstance(item.body, Reimported) for item in history)
    return VerifiedCase(
        case_id,
        tuple(faults),
        documents,
        case.awaits == "file",
        _identifiers(case),
        erased=case.erasure is not None,
        reimported=taken_over,
        unread=len(bodies) - len(readable),
    )


def _broken(case_id: str, events: Sequence[RawMessage]) -> list[Fault]:
    """Return the faults of events that do not follow from the one before, or cannot be read."""
    faults: list[Fault] = []
    previous, seen = "", set[str]()
    for item in events:
        name = parse_case_subject(item.subject)[1]
        try:
            id = decode(item.subject, item.headers, item.data, item.sequence).id
        except PermanentError as error:
            faults.append(Fault(case_id, name, item.sequence, error.reason))
        except TransientError as error:
            faults.append(Fault(case_id, name, item.sequence, error.reason, unanswered=True))
        else:
            if id in seen:
                faults.append(Fault(case_id, name, item.sequence, "it has the id of an event before it"))
            seen.add(id)
        if item.headers.get("ce-prevdigest", "") != previous:
            reason = "it does not carry the digest of the event before it: one of the two was changed"
            faults.append(Fault(case_id, name, item.sequence, reason))
        previous = chain_digest(item.headers, item.data)
    return faults


def filings(history: Sequence[RecordedEvent]) -> Iterable[FiledSignature]:
    """Return every filing of the case, with its signature."""
    signature: RecordedEvent | None = None
    filed = [(item, body) for item in history if (body := _filed_by(item)) is not None]
    last = {body.document_reference: item.id for item, body in filed if isinstance(body, Filed)}
    for item in history:
        if isinstance(item.body, FILE.consumes):
            signature = item
        if (body := _filed_by(item)) is None:
            continue
        if isinstance(item.body, Reimported):
            signature = restored_event(item)
        reference = body.document_reference if isinstance(body, Filed) else ""
        yield FiledSignature(item, body, signature, last.get(reference, item.id) != item.id)


def _filed_by(event: RecordedEvent) -> Filed | RetractionFiled | None:
    body = event.body.filed if isinstance(event.body, Reimported) else event.body
    return body if isinstance(body, Filed | RetractionFiled) else None


def _identifiers(case: Case) -> tuple[tuple[str, str], ...]:
    return tuple(
        identifier_of(entry.signature.case, signature_of(entry), number_of(case, entry.signature))
        for entry in (*case.earlier, *case.entries)
    )
