"""Check the EHR: access, write-back, notifications, planned discharges and the census."""

from datetime import UTC, datetime

import httpx

from cli.doctor.appointments import check_appointments
from cli.doctor.census import check_search
from cli.doctor.target import DoctorTarget
from cli.ehr.subscription_status import describe, own_subscriptions, report_of
from cli.ehr.subscriptions import STOPPED, describe_notifications
from services.approval.health.rules import assess_write_back
from services.ingest.encounters.poll_watermark import can_search
from shared.clinical.fhir_client import Capabilities, FhirClient
from shared.contracts.errors import CountersignError
from shared.runtime.checks.ehr import check_access
from shared.runtime.checks.findings import Group


async def check_ehr(group: Group, http: httpx.AsyncClient, target: DoctorTarget) -> None:
    """Add findings about the EHR, and about this machine's clock compared with the EHR's."""
    found = await check_access(group, http, target.ehr_url, target.ehr_authorization)
    if found is None:
        return
    ehr, capabilities = found.client, found.capabilities
    assess_write_back(group, target.write_back, capabilities, target.mdm)
    if found.usable:
        assess_routes(group, capabilities)
        if "Subscription" in capabilities.creates:
            await check_subscriptions(group, ehr)
        await check_appointments(group, ehr, capabilities, target.appointments, datetime.now(UTC))
        await check_search(group, ehr, capabilities, target.census, datetime.now(UTC))


def assess_routes(group: Group, server: Capabilities) -> None:
    """Report how FHIR can notify us of discharges: by Subscriptions, and by which poll."""
    group.ok("EHR notifications", describe_notifications(server))
    if can_search(server):
        group.ok("EHR poll", "by one search for Encounters that have changed")
        return
    message = (
        "the EHR offers no search for changed Encounters: only visits that an ADT feed or a report named are asked for"
    )
    group.warning("EHR poll", message, "send ADT messages to ingest (docs/how-to/hl7.md)")


async def check_subscriptions(group: Group, ehr: FhirClient) -> None:
    """Add a finding for each Subscription that notifies us: its state, and the events so far."""
    try:
        reports = [(item["id"], await report_of(ehr, item)) for item in await own_subscriptions(ehr)]
    except CountersignError as failure:
        group.ok("EHR Subscriptions", f"their state is not known: {failure.reason}")
        return
    for id, report in reports:
        message = f"{id}: {describe(report)}"
        if report.status in STOPPED or report.error is not None:
            group.warning(
                "EHR Subscriptions", message, "check that the EHR reaches us, then: countersign ehr subscribe"
            )
        else:
            group.ok("EHR Subscriptions", message)
