"""Verify messages that are already in memory."""

from collections.abc import Iterable

from services.approval.case_verification.case import verify_case
from services.approval.verification.report import VerificationReport
from shared.clinical.fhir_client import FhirClient
from shared.contracts.subjects import parse_case_subject
from shared.messaging.event_store import RawMessage


async def verify_stored(stored: Iterable[RawMessage], ehr: FhirClient) -> VerificationReport:
    """Verify messages of the stream, in stream order, and return the report."""
    cases: dict[str, list[RawMessage]] = {}
    for item in stored:
        cases.setdefault(parse_case_subject(item.subject)[0].id, []).append(item)
    looked_at = [await verify_case(id, events, ehr) for id, events in cases.items()]
    faults = tuple(fault for case in looked_at for fault in case.faults)
    return VerificationReport(len(cases), sum(map(len, cases.values())), faults)
