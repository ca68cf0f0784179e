"""Who supervises a department: the settings, else the EHR's PractitionerRoles."""

import logging
from collections.abc import Mapping

from services.approval.domain import supervisor_of
from services.approval.resources import Resource
from shared.clinical.fhir import FhirClient
from shared.contracts.failures import PermanentError

logger = logging.getLogger(__name__)

SUPERVISOR = "department supervisor"  # PractitionerRole.code.text


class Directory:
    def __init__(self, ehr: FhirClient, supervisors: Mapping[str, str]) -> None:
        self._ehr = ehr
        self._supervisors = supervisors

    async def supervisor(self, department: str) -> str:
        """FHIR reference of the supervisor; the role in words where nobody is known, so that it is never nobody."""
        return supervisor_of(department, self._supervisors) or await self._from_ehr(department) or _role(department)

    async def _from_ehr(self, department: str) -> str | None:
        try:
            roles = [item for item in await self._ehr.search("PractitionerRole", {}) if _supervises(item)]
        except PermanentError as error:
            logger.warning("the EHR shows no PractitionerRoles: %s", error.reason)
            return None
        # The department's own supervisor, else one who is named for no department at all.
        own = [item for item in roles if department in _departments(item)]
        general = [item for item in roles if not _departments(item)]
        for role in own or general:
            if reference := (role.get("practitioner") or {}).get("reference"):
                return str(reference)
        return None


def _supervises(role: Resource) -> bool:
    return any(str(code.get("text", "")).lower() == SUPERVISOR for code in role.get("code") or [])


def _departments(role: Resource) -> set[str]:
    return {str(item.get("text", "")).lower().replace(" ", "-") for item in role.get("specialty") or []}


def _role(department: str) -> str:
    return f"Supervisor of {department}"
