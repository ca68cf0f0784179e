"""The reports about an encounter on the EHR stream, of any department and by any route."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from nats.aio.msg import Msg

from services.ingest.domain import DischargeReport, Route
from shared.contracts.ehr import parse_encounter_reported
from shared.contracts.errors import PermanentError
from shared.contracts.subjects import encounter_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.stream_pages import read_stream_pages

# `ce-source` of what ingest publishes.
ADT_SOURCE = "countersign/ingest/adt"  # follows from an ADT feed, and is in its order
FHIR_SOURCE = "countersign/ingest/fhir"  # follows from an Encounter that was read, and is in the order of its versions
ROUTES: dict[str, Route] = {ADT_SOURCE: "adt", FHIR_SOURCE: "fhir"}
ARRIVED = "countersign-arrived"  # header of a report that follows from an ADT message: the sequence of that message


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report and where it is stored. `id` is the cause of the events that follow from it.

    `arrived` is the sequence of the message that it follows from: a report by ADT is stored once the EHR knows the
    visit, which may be long after the ADT message.
    """

    report: DischargeReport
    sequence: int
    id: str
    arrived: int

    def came_after(self, other: "StoredReport") -> bool:
        """Return whether it came after `other`: of one route as they are stored, of two as they arrived."""
        if self.report.route == other.report.route:
            return self.sequence > other.sequence
        return self.arrived > other.arrived


class StoredReports:
    """Reads reports; `name` is `domain.DISCHARGED` or `domain.CANCELLED`.

    One that breaks its contract is left out: it is a dead letter of its own consumer, and tells nothing.
    """

    def __init__(self, bus: NatsConnection) -> None:
        self._bus = bus

    async def last(self, name: str, encounter_id: str) -> StoredReport | None:
        """Return the last report of that kind; None without one in the last 30 days."""
        subject = encounter_subject(name, "*", encounter_id)
        found = await self._bus.direct_get("EHR", {"last_by_subj": subject})
        if not found:
            return None
        newest = max(found, key=_sequence)
        if (last := _of_stored(newest)) is not None:
            return last
        return max([item async for item in self.since(name, encounter_id, 0)], key=lambda i: i.sequence, default=None)

    async def since(self, name: str, encounter_id: str, sequence: int) -> AsyncIterator[StoredReport]:
        """Yield the reports of that kind that are stored after `sequence`, oldest first."""
        subject = encounter_subject(name, "*", encounter_id)
        async for page in read_stream_pages(self._bus, "EHR", subject, start=sequence + 1):
            for item in page:
                if (found := _of_stored(item)) is not None:
                    yield found


def of_message(message: Msg) -> StoredReport:
    """Return the report that a consumer received. Raises PermanentError."""
    return _stored(message.subject, message.data, dict(message.headers or {}), message.metadata.sequence.stream)


def _of_stored(message: Msg) -> StoredReport | None:
    headers = dict(message.headers or {})
    try:
        return _stored(headers["Nats-Subject"], message.data, headers, _sequence(message))
    except PermanentError:
        return None


def _sequence(message: Msg) -> int:
    return int((message.headers or {})["Nats-Sequence"])


def _stored(subject: str, data: bytes, headers: dict[str, str], sequence: int) -> StoredReport:
    """Return a stored report. Its id is the CloudEvents id, or the stream position where an engine sends none."""
    report = DischargeReport(parse_encounter_reported(subject, data), ROUTES.get(headers.get("ce-source", ""), "other"))
    arrived = headers.get(ARRIVED, "")
    return StoredReport(
        report,
        sequence,
        headers.get("ce-id") or f"EHR/{sequence}",
        int(arrived) if arrived.isdecimal() else sequence,
    )
