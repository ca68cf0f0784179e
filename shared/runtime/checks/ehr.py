"""Check the EHR: that it answers, is FHIR R4, accepts our token, and granted the scopes that are needed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from shared.clinical.authorization import Authorization
from shared.clinical.fhir_client import Capabilities, FhirClient, parse_capabilities
from shared.clinical.smart.scopes import lacks_required, missing_scopes
from shared.clinical.smart.token_source import BackendToken
from shared.contracts.errors import CountersignError
from shared.oauth.errors import TokenRefusedError
from shared.runtime.checks.findings import Group
from shared.runtime.checks.nats_server import assess_clock_skew

ACCESS_FIX = (
    "set COUNTERSIGN_EHR_CLIENT_ID and COUNTERSIGN_EHR_CLIENT_KEY_FILE (docs/how-to/connect-your-ehr.md) or "
    "COUNTERSIGN_EHR_TOKEN_FILE, or check the token's permissions"
)
TOKEN_FIX = "check that the EHR's token endpoint can be reached from here, or the file with the token"  # noqa: S105
SCOPES_FIX = "let the EHR's team grant them to our client; docs/reference/fhir.md says what each is for"


@dataclass(frozen=True, slots=True)
class EhrAccess:
    """An EHR that answered, and what it states. `usable`: it is R4 and accepts searches."""

    client: FhirClient
    capabilities: Capabilities
    usable: bool


async def check_access(
    group: Group, http: httpx.AsyncClient, url: str, authorization: Authorization | None
) -> EhrAccess | None:
    """Add findings about the EHR, and about this machine's clock compared with the EHR's.

    Returns None, after a finding, where its CapabilityStatement cannot be read.
    """
    headers = {"Accept": "application/fhir+json"}
    metadata = f"{url.rstrip('/')}/metadata"
    try:
        value = await authorization.value() if authorization is not None else None
    except CountersignError as failure:
        group.fault("EHR", failure.reason, failure.fix if isinstance(failure, TokenRefusedError) else TOKEN_FIX)
        await _compare_clocks(group, http, metadata)  # a wrong clock is a common reason
        return None
    headers |= {"Authorization": value} if value is not None else {}
    answer = await _get_metadata(group, http, metadata, headers)
    if answer is None:
        return None
    statement: dict[str, Any] = answer.json()
    release, capabilities = str(statement["fhirVersion"]), parse_capabilities(statement)
    # Most servers return their CapabilityStatement without a token.
    ehr = FhirClient(url, http, authorization)
    ready = await ehr.ready()
    if not ready:
        group.fault("EHR", "it returns its CapabilityStatement but refuses searches", ACCESS_FIX)
    elif release.startswith("4.0"):
        group.ok("EHR", f"FHIR {release}")
    else:
        group.fault("EHR", f"its FHIR version is {release}", "set its R4 (4.0) base URL")
    if ready and isinstance(authorization, BackendToken):
        assess_scopes(group, await authorization.granted_scopes(), capabilities)
    _assess_date(group, answer)
    return EhrAccess(ehr, capabilities, ready and release.startswith("4.0"))


async def _get_metadata(
    group: Group, http: httpx.AsyncClient, url: str, headers: dict[str, str]
) -> httpx.Response | None:
    """Return the response with the EHR's CapabilityStatement; None, with a finding, where there is none."""
    try:
        answer = await http.get(url, headers=headers)
    except httpx.HTTPError as error:
        do = f"check that {url.removesuffix('/metadata')} is correct, and that the EHR runs"
        group.fault("EHR", f"it does not answer ({type(error).__name__})", do)
        return None
    if answer.status_code in (401, 403):
        group.fault("EHR", f"it refuses the token (HTTP {answer.status_code})", ACCESS_FIX)
        return None
    try:
        answer.raise_for_status().json()["fhirVersion"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        says = f"it returns no CapabilityStatement (HTTP {answer.status_code})"
        group.fault("EHR", says, "check that this is the FHIR R4 base URL")
        return None
    return answer


def assess_scopes(group: Group, granted: frozenset[str], server: Capabilities) -> None:
    """Compare the granted scopes with those needed, for the types that the server has."""
    missing = [scope for scope in missing_scopes(granted) if server.supports_type(_type_of(scope))]
    if not missing:
        group.ok("EHR scopes", "all that are needed are granted")
        return
    says = f"not granted: {', '.join(missing)}"
    if lacks_required(missing):
        group.fault("EHR scopes", says, f"{SCOPES_FIX}; without Encounter and Patient nothing can be drafted")
    else:
        group.warning("EHR scopes", says, SCOPES_FIX)


def _type_of(scope: str) -> str:
    return scope.removeprefix("system/").partition(".")[0]


async def _compare_clocks(group: Group, http: httpx.AsyncClient, url: str) -> None:
    try:
        _assess_date(group, await http.get(url))
    except httpx.HTTPError:
        return  # the fault is reported already


def _assess_date(group: Group, answer: httpx.Response) -> None:
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError):
        return  # it states no time
    assess_clock_skew(group, "the EHR", theirs, datetime.now(UTC))
