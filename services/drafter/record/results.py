"""Read the results of a stay: measurements, cultures, reports, and what is pending."""

from collections.abc import Callable

from services.drafter.record.microbiology import Microbiology
from services.drafter.record.observations import Measurements, is_measured, read_measurements
from services.drafter.record.reference_ranges import RangeSubject
from services.drafter.record.reports import ReportList, pending_requests, read_reports
from services.drafter.record.scope import StayScope, source
from services.drafter.source_record import SourceRecord
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry, Patient


class ResultReader:
    """Sort Observations into measurements, cultures and others, and read the reports about them."""

    def __init__(
        self,
        record: SourceRecord,
        resources_of_type: Callable[[str], list[Resource]],
        scope: StayScope,
        patient: Patient,
    ) -> None:
        self._record = record
        self._resources_of_type = resources_of_type
        self._scope = scope
        self._patient = patient
        self._microbiology = Microbiology(
            resources_of_type("Observation"), resources_of_type("DiagnosticReport"), record.bases
        )

    def measurements(self) -> Measurements:
        return read_measurements(
            self._resources_of_type("Observation"), self._scope, self._range_subject(), self._microbiology.taken
        )

    def not_measured(self) -> list[Resource]:
        """Return observations that are neither results nor vital signs."""
        taken = self._microbiology.taken
        return [
            item
            for item in self._resources_of_type("Observation")
            if source(item) not in taken and not is_measured(item)
        ]

    def cultures(self, pending: list[ContextEntry]) -> list[ContextEntry]:
        """Return cultures; those that are not final are added to `pending`, too."""
        return list(self._microbiology.cultures(self._scope, pending))

    def reports(self) -> ReportList:
        shown = frozenset(source(item) for item in self._resources_of_type("Observation"))
        return read_reports(
            self._resources_of_type("DiagnosticReport"),
            self._resources_of_type("ImagingStudy"),
            shown,
            self._scope,
            self._record.bases,
        )

    def requested(self) -> list[ContextEntry]:
        """Return diagnostic requests that have no result yet."""
        results = [
            item
            for type in ("DiagnosticReport", "Observation", "ImagingStudy", "Procedure")
            for item in self._resources_of_type(type)
        ]
        return list(
            pending_requests(self._resources_of_type("ServiceRequest"), results, self._scope, self._record.bases)
        )

    def _range_subject(self) -> RangeSubject:
        born = self._scope.parse_time(self._record.patient.get("birthDate"))
        years = (self._scope.end - born.begins).days / 365.25 if born is not None else None
        return RangeSubject(self._patient.sex, years)
