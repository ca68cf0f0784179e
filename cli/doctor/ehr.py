"""Check the EHR: that it answers, is FHIR R4, accepts our token, and granted the scopes that are needed."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from cli.doctor.appointments import check_appointments
from cli.doctor.census import check_search
from cli.doctor.findings import Group
from cli.doctor.server import assess_clock_skew
from cli.doctor.target import DoctorTarget
from cli.ehr.subscription_status import describe, own_subscriptions, report_of
from cli.ehr.subscriptions import STOPPED, describe_notifications
from services.approval.filing.profile_choice import Setting, choose, unsuitable
from services.ingest.encounters.poll_watermark import can_search
from shared.clinical.fhir_client import Capabilities, FhirClient, parse_capabilities
from shared.clinical.smart.scopes import lacks_required, missing_scopes
from shared.clinical.smart.token_source import BackendToken
from shared.contracts.errors import CountersignError
from shared.oauth.errors import TokenRefusedError
from shared.runtime.mdm_settings import MdmSettings

ACCESS_FIX = (
    "set COUNTERSIGN_EHR_CLIENT_ID and COUNTERSIGN_EHR_CLIENT_KEY_FILE (docs/how-to/connect-your-ehr.md) or "
    "COUNTERSIGN_EHR_TOKEN_FILE, or check the token's permissions"
)
TOKEN_FIX = "check that the EHR's token endpoint can be reached from here, or the file with the token"  # noqa: S105
SCOPES_FIX = "let the EHR's team grant them to our client; docs/reference/fhir.md says what each is for"


async def check_ehr(group: Group, http: httpx.AsyncClient, target: DoctorTarget) -> None:
    """Add findings about the EHR, and about this machine's clock compared with the EHR's."""
    headers = {"Accept": "application/fhir+json"}
    metadata = f"{target.ehr_url.rstrip('/')}/metadata"
    try:
        value = await target.ehr_authorization.value() if target.ehr_authorization is not None else None
    except CountersignError as failure:
        group.fault("EHR", failure.reason, failure.fix if isinstance(failure, TokenRefusedError) else TOKEN_FIX)
        await _compare_clocks(group, http, metadata)  # a wrong clock is a common reason
        return
    headers |= {"Authorization": value} if value is not None else {}
    answer = await _get_metadata(group, http, metadata, headers)
    if answer is None:
        return
    statement: dict[str, Any] = answer.json()
    release, capabilities = str(statement["fhirVersion"]), parse_capabilities(statement)
    # Most servers return their CapabilityStatement without a token.
    ehr = FhirClient(target.ehr_url, http, target.ehr_authorization)
    ready = await ehr.ready()
    if not ready:
        group.fault("EHR", "it returns its CapabilityStatement but refuses searches", ACCESS_FIX)
    elif release.startswith("4.0"):
        group.ok("EHR", f"FHIR {release}")
    else:
        group.fault("EHR", f"its FHIR version is {release}", "set its R4 (4.0) base URL")
    if ready and isinstance(target.ehr_authorization, BackendToken):
        assess_scopes(group, await target.ehr_authorization.granted_scopes(), capabilities)
    assess_write_back(group, target.write_back, capabilities, target.mdm)
    if ready and release.startswith("4.0"):
        assess_routes(group, capabilities)
        if "Subscription" in capabilities.creates:
            await check_subscriptions(group, ehr)
        await check_appointments(group, ehr, capabilities, target.appointments, datetime.now(UTC))
        await check_search(group, ehr, capabilities, target.census, datetime.now(UTC))
    _assess_date(group, answer)


async def _get_metadata(
    group: Group, http: httpx.AsyncClient, url: str, headers: dict[str, str]
) -> httpx.Response | None:
    """Return the response with the EHR's CapabilityStatement; None, with a finding, where there is none."""
    try:
        answer = await http.get(url, headers=headers)
    except httpx.HTTPError as error:
        fix = f"check that {url.removesuffix('/metadata')} is correct, and that the EHR runs"
        group.fault("EHR", f"it does not answer ({type(error).__name__})", fix)
        return None
    if answer.status_code in (401, 403):
        group.fault("EHR", f"it refuses the token (HTTP {answer.status_code})", ACCESS_FIX)
        return None
    try:
        answer.raise_for_status().json()["fhirVersion"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        message = f"it returns no CapabilityStatement (HTTP {answer.status_code})"
        group.fault("EHR", message, "check that this is the FHIR R4 base URL")
        return None
    return answer


def assess_write_back(group: Group, setting: Setting, server: Capabilities, mdm: MdmSettings) -> None:
    """Report by which profile documents reach the chart, and why. Pure."""
    try:
        choice = choose(setting, server, mdm=mdm.configured)
    except CountersignError as failure:
        group.fault("write-back", failure.reason, "set COUNTERSIGN_WRITE_BACK to fhir, fhir-basic, mdm or none")
        return
    message = f"{choice.profile}: {choice.why}"
    if choice.profile == "mdm" and not mdm.configured:
        group.fault("write-back", f"{message}, and there is no receiver", "set COUNTERSIGN_MDM_HOST")
    elif (why := unsuitable(choice.profile, server)) is not None:
        fix = "set COUNTERSIGN_WRITE_BACK=auto, or see docs/how-to/file-into-the-chart.md"
        group.warning("write-back", f"{message}; {why}", fix)
    elif choice.profile == "none":
        fix = "set COUNTERSIGN_MDM_HOST if the hospital takes documents by HL7v2"
        group.warning("write-back", f"{message}; a person transfers each document", fix)
    else:
        group.ok("write-back", message)


def assess_scopes(group: Group, granted: frozenset[str], server: Capabilities) -> None:
    """Compare the granted scopes with those needed, for the types that the server has."""
    missing = [scope for scope in missing_scopes(granted) if server.supports_type(_type_of(scope))]
    if not missing:
        group.ok("EHR scopes", "all that are needed are granted")
        return
    message = f"not granted: {', '.join(missing)}"
    if lacks_required(missing):
        group.fault("EHR scopes", message, f"{SCOPES_FIX}; without Encounter and Patient nothing can be drafted")
    else:
        group.warning("EHR scopes", message, SCOPES_FIX)


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


def _type_of(scope: str) -> str:
    return scope.removeprefix("system/").partition(".")[0]


async def _compare_clocks(group: Group, http: httpx.AsyncClient, url: str) -> None:
    try:
        _assess_date(group, await http.get(url))
    except httpx.HTTPError:
        return  # the fault is reported already


def _assess_date(group: Group, answer: httpx.Response) -> None:
    if "date" in answer.headers:
        assess_clock_skew(group, "the EHR", parsedate_to_datetime(answer.headers["date"]), datetime.now(UTC))
