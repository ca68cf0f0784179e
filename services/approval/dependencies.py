"""What the routes of approval work with, from the application's state."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from services.approval.access.service import AccessLogReader
from services.approval.access.signatures import SignatureReview
from services.approval.alerts.prometheus import PrometheusAlerts
from services.approval.corrections.service import CorrectionsService
from services.approval.department.dependencies import DepartmentDependencies
from services.approval.erasure.service import ErasureService
from services.approval.escalation.directory import Directory
from services.approval.event_feed.feed import EventFeed
from services.approval.evidence.service import EvidenceService
from services.approval.filing.service import UnfiledDocumentService
from services.approval.health.service import HealthService
from services.approval.operations.saved_views import SavedViews
from services.approval.operations.service import Operations
from services.approval.projections.case_index import CaseIndex
from services.approval.projections.open_reviews import OpenReviewsProjection
from services.approval.projections.preparations import PreparationsProjection
from services.approval.projections.unreadable_events import UnreadableEvents
from services.approval.ratings.service import RatingService
from services.approval.review.authorization import READERS
from services.approval.review.autosave import DraftAutosave
from services.approval.review.carried_edits import EditCarrier
from services.approval.review.case_reader import CaseReader
from services.approval.review.draft_labels import DraftLabels
from services.approval.review.service import ReviewService
from services.approval.sign_in.service import SignInService
from services.approval.system.service import SystemService
from services.approval.trials.service import TrialReader
from services.approval.verification.service import VerificationService
from services.approval.webhooks.service import WebhookService
from shared.clinical.fhir_client import FhirClient
from shared.messaging.access_log import AccessLog
from shared.messaging.steps import Clock
from shared.runtime.authentication import ROLES, Authenticator, Caller, RequireRole, Role
from shared.runtime.dependencies import provided
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import EventStreamLimit
from shared.web.local_time import ZoneOf
from shared.web.navigation import PERSONS


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDependencies:
    """The services behind the routes. `streams` counts open event streams, for this application alone.

    `trace_url`: that of a trace, with `{trace_id}` in the place of its id; empty where no pages show traces.
    """

    authenticator: Authenticator
    log: AccessLog
    access_log: AccessLogReader
    signatures: SignatureReview
    clock: Clock
    organization: str
    zone_of: ZoneOf
    trace_url: str
    review: ReviewService
    open_reviews: OpenReviewsProjection
    index: CaseIndex
    corrections: CorrectionsService
    ratings: RatingService
    chart: UnfiledDocumentService
    erasures: ErasureService
    operations: Operations
    directory: Directory
    sign_in: SignInService
    autosave: DraftAutosave
    preparations: PreparationsProjection
    labels: DraftLabels
    unreadable: UnreadableEvents
    ehr: FhirClient
    streams: EventStreamLimit
    webhooks: WebhookService
    feed: EventFeed
    system: SystemService
    health: HealthService
    alerts: PrometheusAlerts
    department: DepartmentDependencies
    views: SavedViews
    trials: TrialReader
    verifications: VerificationService
    evidence: EvidenceService

    @property
    def cases(self) -> CaseReader:
        return self.review.cases

    @property
    def carrier(self) -> EditCarrier:
        return EditCarrier(self.review.cases, self.autosave)


def allow(*roles: Role) -> RequireRole:
    """Return a dependency: the caller if they have one of `roles`, otherwise the request gets 401 or 403."""
    return RequireRole(lambda request: provided(request, ApiDependencies).authenticator, roles)


async def api_dependencies(request: Request) -> ApiDependencies:  # async: FastAPI would run it in a thread otherwise
    return provided(request, ApiDependencies)


Api = Annotated[ApiDependencies, Depends(api_dependencies)]


async def _event_stream_slot(request: Request, api: Api) -> AsyncIterator[None]:
    """Hold one of the caller's event streams until the answer has ended. Raises Problem 429 when none is left."""
    async with asynccontextmanager(api.streams)(request):
        yield


# Its parameter comes after the caller's, because streams are counted by person.
EventStreamSlot = Annotated[None, Depends(_event_stream_slot)]

AnyRole = Annotated[Caller, Depends(allow(*ROLES))]
Person = Annotated[Caller, Depends(allow(*PERSONS))]
Auditor = Annotated[Caller, Depends(allow("auditor"))]
Clinician = Annotated[Caller, Depends(allow(*READERS))]  # reads drafts
Supervisor = Annotated[Caller, Depends(allow("supervisor"))]
AbsenceManager = Annotated[Caller, Depends(allow("supervisor", "operator"))]
Operator = Annotated[Caller, Depends(allow("operator"))]
SystemReader = Annotated[Caller, Depends(allow("operator", "auditor"))]
CaseWatcher = Annotated[Caller, Depends(allow("operator", "auditor"))]  # follows cases without their texts
StreamReader = Annotated[Caller, Depends(allow("operator", "auditor", *READERS))]  # follows case events
Engineer = Annotated[Caller, Depends(allow("engineer"))]  # reads the drafts of trials
Watcher = Annotated[Caller, Depends(allow("physician", "supervisor", "operator"))]  # sees which reviews are open

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="a key of your choice: a decision sent again with the same key gets its first answer, even if the "
        "case has changed since",
    ),
]


def parse_if_match(if_match: str | None, of: str = "draft") -> str:
    """Return the digest in an If-Match header, of the draft or document that was seen.

    Raises ProblemError 428 when it is missing: one approves exactly what one saw.
    """
    if not if_match:
        raise ProblemError(428, "If-Match is needed", f"Send the {of}'s digest (its ETag) as If-Match.")
    return if_match.removeprefix("W/").strip().strip('"')
