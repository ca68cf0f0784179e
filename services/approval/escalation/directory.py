"""Look up supervisors, deputies and channels of a department: in the directory file, the settings, then the EHR."""

import logging
import time
from collections.abc import Callable, Mapping

from services.approval.domain import supervisor_of
from services.approval.escalation.directory_file import DirectoryFile, NotificationChannel
from services.approval.settings import Escalations
from shared.clinical.elements import Resource, child, children
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import PermanentError

logger = logging.getLogger(__name__)

SUPERVISOR = "department supervisor"  # PractitionerRole.code.text
CACHE_SECONDS = 60.0


class Directory:
    """Supervisors, deputies and channels of departments.

    Without `file` there are no deputies and no channels, and `escalate_after` applies to all departments.
    """

    def __init__(
        self,
        ehr: FhirClient,
        supervisors: Mapping[str, str],
        escalate_after: Escalations,
        file: DirectoryFile | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._read: tuple[float, list[Resource]] | None = None  # when the EHR was asked for supervisors, and its answer
        self._ehr = ehr
        self._supervisors = supervisors
        self._escalate_after = escalate_after
        self._file = file or DirectoryFile()

    async def supervisor(self, department: str) -> str:
        """Return the FHIR reference of the supervisor; the role in words where nobody is known."""
        named = self._file.entry(department).supervisor or supervisor_of(department, self._supervisors)
        return named or await self._from_ehr(department) or _role(department)

    def deputies(self, department: str) -> tuple[str, ...]:
        """Return the FHIR references of those who are notified at level 2 besides the supervisor."""
        return self._file.entry(department).deputies or ()

    def escalation_delays(self, department: str) -> Escalations:
        """Return how long after the start of a review's clock each level is due."""
        return self._file.entry(department).escalate_after or self._escalate_after

    def channels(self, department: str, level: int) -> tuple[NotificationChannel, ...]:
        """Return the channels that an escalation of this level is sent to."""
        return tuple(item for item in self._file.entry(department).channels or () if level in item.levels)

    def channel(self, department: str, key: str) -> NotificationChannel | None:
        """Return the channel with this key; None where the file has it no longer."""
        return next((item for item in self._file.entry(department).channels or () if item.key == key), None)

    async def _from_ehr(self, department: str) -> str | None:
        roles = await self._supervising()
        # The department's own supervisor, else one who is named for no department at all.
        own = [item for item in roles if department in _departments(item)]
        general = [item for item in roles if not _departments(item)]
        for role in own or general:
            if reference := child(role, "practitioner").get("reference"):
                return str(reference)
        return None

    async def _supervising(self) -> list[Resource]:
        """Return the EHR's supervisors, cached for a minute."""
        if self._read is not None and self._clock() - self._read[0] < CACHE_SECONDS:
            return self._read[1]
        try:
            roles = [item for item in await self._ehr.search("PractitionerRole", {}) if _supervises(item)]
        except PermanentError as error:
            logger.warning("the EHR shows no PractitionerRoles: %s", error.reason)
            return []
        self._read = (self._clock(), roles)
        return roles


def _supervises(role: Resource) -> bool:
    return any(str(code.get("text", "")).lower() == SUPERVISOR for code in children(role, "code"))


def _departments(role: Resource) -> set[str]:
    return {str(item.get("text", "")).lower().replace(" ", "-") for item in children(role, "specialty")}


def _role(department: str) -> str:
    return f"Supervisor of {department}"
