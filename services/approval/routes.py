"""Every route of approval: the REST API first, then the pages."""

from services.approval.absences.api import router as absences
from services.approval.access.api import router as access
from services.approval.access.case_search_api import router as case_search
from services.approval.access.signatures_api import router as signatures
from services.approval.alerts.api import router as alerts
from services.approval.corrections.api import router as corrections
from services.approval.erasure.api import router as erasure
from services.approval.escalation.api import router as escalations
from services.approval.event_feed.api import router as event_feed
from services.approval.evidence.api import router as evidence
from services.approval.filing.api import router as filing
from services.approval.health.api import router as health
from services.approval.operations.api import router as operations
from services.approval.operations.dead_letters_api import router as dead_letters
from services.approval.preparation.api import router as preparations
from services.approval.ratings.api import router as ratings
from services.approval.review.api import router as reviews
from services.approval.sign_in.api import router as sessions
from services.approval.system.api import router as system
from services.approval.verification.api import router as verifications
from services.approval.web.absences import router as absence_pages
from services.approval.web.access import router as access_pages
from services.approval.web.alerts import router as alert_page
from services.approval.web.case import router as case_pages
from services.approval.web.case_actions import router as case_actions
from services.approval.web.cases import router as operator_cases
from services.approval.web.corrections import router as correction_pages
from services.approval.web.dead_letters import router as dead_letter_pages
from services.approval.web.department import router as department_pages
from services.approval.web.department_actions import router as department_actions
from services.approval.web.filing import router as filing_pages
from services.approval.web.inbox import router as inbox
from services.approval.web.launch import router as launch
from services.approval.web.practitioner_search import router as practitioner_search
from services.approval.web.ratings import router as rating_pages
from services.approval.web.render import assets_router as script
from services.approval.web.sign_in import provider_router as provider_sign_in
from services.approval.web.sign_in import router as sign_in
from services.approval.web.sign_out import back_channel_router
from services.approval.web.sign_out import provider_router as provider_sign_out
from services.approval.web.sign_out import router as sign_out
from services.approval.web.signatures import router as signature_pages
from services.approval.web.system import router as system_page
from services.approval.web.trial import router as trial_pages
from services.approval.web.verification import router as verification_pages
from services.approval.webhooks.api import router as webhooks
from shared.web.render import assets_router

API_ROUTERS = (
    case_search,
    reviews,
    ratings,
    preparations,
    corrections,
    filing,
    erasure,
    escalations,
    absences,
    dead_letters,
    operations,
    event_feed,
    webhooks,
    sessions,
    system,
    health,
    alerts,
    access,
    signatures,
    verifications,
    evidence,
)
PAGE_ROUTERS = (
    script,
    assets_router,
    sign_in,
    sign_out,
    inbox,
    case_pages,
    correction_pages,
    rating_pages,
    filing_pages,
    trial_pages,
    practitioner_search,
    dead_letter_pages,
    system_page,
    alert_page,
    department_pages,
    department_actions,
    absence_pages,
    operator_cases,
    case_actions,
    access_pages,
    signature_pages,
    verification_pages,
)
ROUTERS = (*API_ROUTERS, *PAGE_ROUTERS)
PROVIDER_ROUTERS = (provider_sign_in, provider_sign_out, back_channel_router)  # where there is an identity provider

LAUNCH_ROUTERS = (launch,)  # where the EHR opens Countersign

__all__ = ["API_ROUTERS", "LAUNCH_ROUTERS", "PAGE_ROUTERS", "PROVIDER_ROUTERS", "ROUTERS"]
