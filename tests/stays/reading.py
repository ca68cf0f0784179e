"""The typed record of a stay, as the drafter extracts it; each record once a process, however many tests ask for it."""

import hashlib
import json
import pickle
from zoneinfo import ZoneInfo

from services.drafter.extract import read_stay
from shared.clinical.fhir_client import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.errors import PermanentError
from tests.stays.elements import BASE
from tests.stays.model import Stay
from tests.stays.server import serve

# By everything that the extraction can see. Pickled: some hundred records as objects would be hundreds of megabytes.
_read: dict[str, bytes] = {}


async def read(stay: Stay) -> EncounterContext:
    """Raises PermanentError where no document may be drafted of the record."""
    seen = json.dumps([stay.encounter, stay.resources, repr(stay.serve), stay.time_zone])
    key = hashlib.sha256(seen.encode()).hexdigest()
    if key not in _read:
        found: EncounterContext | str
        try:
            found = await _extracted(stay)
        except PermanentError as error:
            found = error.reason
        _read[key] = pickle.dumps(found)
    known = pickle.loads(_read[key])  # noqa: S301 - our own, of this process
    if isinstance(known, str):
        raise PermanentError(known)
    assert isinstance(known, EncounterContext)
    return known


async def _extracted(stay: Stay) -> EncounterContext:
    async with serve(stay) as http:
        ehr, zone = FhirClient(BASE, http), ZoneInfo(stay.time_zone)
        return await read_stay(ehr, stay.encounter, occurred_at=None, attending=None, zone=zone)
