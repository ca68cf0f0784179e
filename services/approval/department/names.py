"""Names of practitioners for pages, from the EHR, cached. Without an answer in time a page shows the reference."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from shared.clinical.elements import person_name
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import CountersignError

CACHE_SIZE = 5_000
KNOWN_S, UNKNOWN_S = 3_600.0, 60.0  # seconds for which a name, or that there is none, is not asked for again
NAMES_TIMEOUT_S = 2.0  # that a page waits for all names together


class PractitionerNames:
    """`clock` gives seconds."""

    def __init__(self, ehr: FhirClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._ehr = ehr
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()  # until when, and the name

    async def of(self, references: Iterable[str | None]) -> dict[str, str]:
        """Return names by reference (`Practitioner/…`); those without a known name are left out."""
        wanted = {item for item in references if item}
        now = self._clock()
        missing = [item for item in wanted if self._known.get(item, (now, ""))[0] <= now]
        if missing:
            tasks = [asyncio.ensure_future(self._read(item)) for item in missing]
            _, late = await asyncio.wait(tasks, timeout=NAMES_TIMEOUT_S)
            for task in late:
                task.cancel()
        return {item: name for item in wanted if (name := self._known.get(item, (now, ""))[1])}

    async def _read(self, reference: str) -> None:
        self._remember(reference, "")  # an EHR that is slow now is not asked again by the next page
        kind, _, id = reference.partition("/")
        if kind != "Practitioner" or not id:
            return
        try:
            name = person_name(await self._ehr.read("Practitioner", id), prefixes=True) or ""
        except CountersignError:
            return
        self._remember(reference, name)

    def _remember(self, reference: str, name: str) -> None:
        self._known[reference] = self._clock() + (KNOWN_S if name else UNKNOWN_S), name
        if len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
