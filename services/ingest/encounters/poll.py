"""Poll the EHR for discharges that nobody reported: by one search, or by the census of visits.

Servers give up on a subscriber after a minute, or accept a Subscription and never notify. One timer (`poll_timer.py`)
starts the poll, and one process does it. What has changed is published as a notification is (`updates.py` decides).
"""

import logging
import re
from datetime import datetime, timedelta

from nats.aio.msg import Msg

from services.ingest.appointments.poll import AppointmentPoll
from services.ingest.domain import CANCELLED, DISCHARGED
from services.ingest.encounters import poll_watermark, status
from services.ingest.encounters.poll_timer import PollTimer
from services.ingest.encounters.poll_watermark import PollWatermark
from services.ingest.encounters.visit_index import SeenVisit, VisitEntry, VisitIndex
from services.ingest.encounters.watch import SubscriptionWatch
from services.ingest.hl7.encounters import EncounterFinder
from services.ingest.publishers import NotificationPublisher
from services.ingest.stored_reports import StoredReports
from shared.clinical.elements import Resource, child, string
from shared.clinical.fhir_client import FhirClient
from shared.contracts.ehr import EncounterChanged
from shared.contracts.errors import CountersignError, PermanentError
from shared.contracts.subjects import FHIR_ID
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import Clock
from shared.telemetry import instruments

logger = logging.getLogger(__name__)

KEY = "encounters"
IDS_PER_SEARCH = 50
MAX_LOOKUPS = 500  # of visits whose Encounter is not known yet, in one run
CENSUS_INTERVAL = timedelta(minutes=15)
ALERT_AFTER = 3  # failed runs in a row; then after six, twelve, …


class EncounterPoll:
    """`since`: discharges before it are not asked for by the first run."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        publisher: NotificationPublisher,
        census: VisitIndex,
        watch: SubscriptionWatch,
        appointments: AppointmentPoll,
        timer: PollTimer,
        since: datetime | None,
        clock: Clock,
    ) -> None:
        self._bus, self._ehr, self._publisher, self._census = bus, ehr, publisher, census
        self._watch, self._appointments, self.timer = watch, appointments, timer
        self._since, self._clock = since, clock
        self._finder = EncounterFinder(ehr)
        self._reports = StoredReports(bus)
        self._marks = Bucket(bus, "reconciled")

    async def on_timer(self, message: Msg) -> None:
        await self.timer.run(self.run, handled=message.metadata.sequence.stream)

    async def run(self) -> timedelta | None:
        """Do one run; return how soon the next one is due, None: as set. Failures are counted and alerted."""
        mark = await self._mark()
        try:
            await self._watch.run()
            mark = await self._poll(mark)
            await self._appointments.run()
        except CountersignError as failure:
            latest = await self._mark()
            mark = latest.model_copy(update={"failed": latest.failed + 1})
            await self._save(mark)
            await self._alert(mark, failure)
            return None
        await self._save(mark.model_copy(update={"run": self._clock(), "failed": 0}))
        return CENSUS_INTERVAL if mark.census else None

    async def update_gauges(self) -> None:
        """Set the gauge: all processes report the same value."""
        mark = await self._mark()
        if mark.run is not None:
            instruments.set_gauge("countersign.ehr.poll.age", (self._clock() - mark.run).total_seconds())

    async def _poll(self, mark: PollWatermark) -> PollWatermark:
        """Publish what has changed; return the mark. Raises CountersignError."""
        if poll_watermark.can_search(await self._ehr.capabilities()):
            try:
                return (await self._search(mark)).model_copy(update={"census": False})
            except PermanentError as refusal:
                logger.info("the EHR refuses the search for changed Encounters: %s", refusal.reason)
        await self._ask_census()
        return (await self._mark()).model_copy(update={"census": True})

    async def _search(self, mark: PollWatermark) -> PollWatermark:
        """Publish the changed Encounters page by page. The mark is kept with each page while the server sorts."""
        start, known = poll_watermark.search_start(mark, self._since, self._clock()), frozenset(mark.known)
        found: list[Resource] = []
        async for page in self._ehr.each_page("Encounter", poll_watermark.query(start)):
            matches = [item for item in page.matches if item.get("resourceType") == "Encounter"]
            for encounter in matches:
                if poll_watermark.key_of(encounter) not in known:
                    await self._consider(encounter)
            found += [_outline(item) for item in matches]
            if poll_watermark.in_order(found):
                mark = poll_watermark.advance(mark, found, start)
                await self._save(mark)
        return poll_watermark.advance(mark, found, start)

    async def _consider(self, encounter: Resource) -> None:
        """Publish an Encounter that may be a discharge, or that takes back one that was reported."""
        if not re.fullmatch(FHIR_ID, encounter["id"]):
            logger.warning("an Encounter whose id is none of FHIR cannot be taken")
            return
        state = status.state_of(encounter)
        if state.discharged or (state.status not in status.ENDED and await self._was_discharged(encounter["id"])):
            fact = EncounterChanged(encounter_id=encounter["id"], version=_version(encounter))
            await self._publisher.publish([fact])

    async def _was_discharged(self, encounter_id: str) -> bool:
        reported = await self._reports.last(DISCHARGED, encounter_id)
        cancelled = await self._reports.last(CANCELLED, encounter_id)
        return reported is not None and not (cancelled is not None and cancelled.came_after(reported))

    async def _ask_census(self) -> None:
        """Ask for the Encounters of all visits, and publish those that have changed. Raises CountersignError."""
        entries = await self._with_encounters(await self._census.entries())
        for batch in _batches(entries):
            by_id = {seen.encounter: (entry, seen) for entry, seen in batch}
            for encounter in await self._ehr.search("Encounter", {"_id": ",".join(by_id)}, fresh=True):
                if encounter.get("resourceType") != "Encounter" or encounter.get("id") not in by_id:
                    continue
                entry, seen = by_id[encounter["id"]]
                version = poll_watermark.key_of(encounter)
                if version != seen.version:
                    await self._consider(encounter)
                    await self._census.considered(entry, SeenVisit(encounter=seen.encounter, version=version))

    async def _with_encounters(self, entries: list[VisitEntry]) -> list[tuple[VisitEntry, SeenVisit]]:
        """Return the entries whose Encounter is known, after asking for those of new visits."""
        found: list[tuple[VisitEntry, SeenVisit]] = []
        lookups = 0
        for entry in entries:
            if entry.seen is not None:
                found.append((entry, entry.seen))
            elif entry.visit is not None and lookups < MAX_LOOKUPS:
                lookups += 1
                candidates = await self._finder.encounters(entry.visit)
                if len(candidates) == 1:
                    found.append((entry, SeenVisit(encounter=candidates[0]["id"])))
        return found

    async def _mark(self) -> PollWatermark:
        entry = await self._marks.get(KEY)
        return PollWatermark.read(entry.value) if entry else PollWatermark()

    async def _save(self, mark: PollWatermark) -> None:
        await self._marks.put(KEY, mark.model_dump_json(exclude_none=True).encode())

    async def _alert(self, mark: PollWatermark, failure: CountersignError) -> None:
        logger.warning("the EHR could not be asked for discharges: %s", failure.reason)
        times, rest = divmod(mark.failed, ALERT_AFTER)
        if rest == 0 and times > 0 and times & (times - 1) == 0:
            last = mark.run.isoformat() if mark.run else "never"
            await publish_alert(
                self._bus,
                "warning",
                "encounter-poll-failing",
                id=f"{last}-{mark.failed}",
                reason=failure.reason,
                runs=mark.failed,
            )


def _batches(entries: list[tuple[VisitEntry, SeenVisit]]) -> list[list[tuple[VisitEntry, SeenVisit]]]:
    return [entries[start : start + IDS_PER_SEARCH] for start in range(0, len(entries), IDS_PER_SEARCH)]


def _outline(encounter: Resource) -> Resource:
    """Return what the mark needs of an Encounter: a poll may go through many thousands."""
    return {"id": encounter["id"], "meta": child(encounter, "meta")}


def _version(encounter: Resource) -> str | None:
    version = string(child(encounter, "meta"), "versionId")
    return version[:64] if version else None
