"""Composition root of approval."""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from services.approval import parts
from services.approval.http_interface import http_interface
from services.approval.settings import ApprovalSettings
from shared.clinical.fhir_client import FhirClient
from shared.messaging.event_store import Clock
from shared.runtime.authentication import Caller
from shared.runtime.service import Service
from shared.runtime.start import start


def build(
    settings: ApprovalSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: str(uuid4()),
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(48),
    ehr: FhirClient | None = None,
    people: Sequence[Caller] = (),
) -> Service:
    """Build approval without starting it. `ehr` replaces the configured client.

    `people` are callers as which anybody may sign in: only for the demo of the embedded stack, and not a setting.
    """
    core = parts.core(settings, clock, new_id, ehr)
    http = http_interface(core, new_secret, people)
    made_of = (
        core.part,
        parts.case_steps(core),
        parts.escalation(core),
        parts.notifications(core),
        parts.webhooks(core),
        parts.ehr_decisions(core),
        parts.recurring_jobs(core),
        parts.erasure(core),
        parts.reimport(core),
        parts.monitoring(core),
        http.part,
        parts.operator_requests(core),
    )
    return Service.of_parts(core.broker, made_of, http.routers, http.dependencies, hsts=settings.public.secure)


def main() -> None:
    start(ApprovalSettings, build)


if __name__ == "__main__":
    main()
