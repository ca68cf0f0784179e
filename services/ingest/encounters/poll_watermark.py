"""How far the poll of Encounters is, in the EHR's own time. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from services.ingest.encounters.status import STATUSES, last_updated
from services.ingest.hl7.visits import INPATIENT_CLASSES
from shared.clinical.capabilities import Capabilities
from shared.clinical.elements import Resource, child
from shared.contracts.model import Model
from shared.contracts.timestamps import format_timestamp

OVERLAP = timedelta(minutes=10)  # a server may show a change a little later than the time it gives it
MAX_KNOWN = 20_000  # Encounters within the overlap that are remembered; publishing one twice changes nothing
NEEDED = ("_lastUpdated", "status", "class")  # search parameters
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
R4_STATUSES = tuple(item for item in STATUSES if item not in ("discharged", "completed", "on-hold", "discontinued"))


class PollWatermark(Model):
    """The time up to which Encounters are known, and how the last runs went."""

    seen: datetime | None = None  # the newest `meta.lastUpdated` so far
    known: tuple[str, ...] = ()  # `id/version` of those within the overlap
    run: datetime | None = None  # when the last complete run was
    failed: int = 0  # runs since then that failed
    census: bool = False  # the last run asked for the census of visits: the server cannot be searched by time


def can_search(server: Capabilities) -> bool:
    """Return whether the server can be asked for Encounters that have changed. One that states nothing is tried."""
    return not server.search or all(server.supports_parameter("Encounter", name) for name in NEEDED)


def search_start(mark: PollWatermark, since: datetime | None, now: datetime) -> datetime:
    """Return from which time on to search; a first run starts at `since`, or shortly before now."""
    return mark.seen - OVERLAP if mark.seen is not None else since or now - OVERLAP


def query(start: datetime) -> list[tuple[str, str]]:
    """Return the search for inpatient Encounters that changed at `start` or later, oldest first."""
    return [
        ("status", ",".join(R4_STATUSES)),
        ("class", ",".join(f"{ACT_CODE}|{code}" for code in INPATIENT_CLASSES)),
        ("_lastUpdated", f"ge{format_timestamp(start)}"),
        ("_sort", "_lastUpdated"),
    ]


def key_of(encounter: Resource) -> str:
    """Return `id/version`; without a version its time tells changes apart."""
    meta = child(encounter, "meta")
    return f"{encounter['id']}/{meta.get('versionId') or meta.get('lastUpdated') or ''}"


def advance(mark: PollWatermark, found: Iterable[Resource], start: datetime) -> PollWatermark:
    """Return the mark after everything up to the newest of `found` is known; `found` may hold earlier pages again."""
    timed = [(time, key_of(item)) for item in found if (time := last_updated(item)) is not None]
    seen = max([time for time, _ in timed] + [mark.seen or start])
    near = sorted((item for item in timed if item[0] >= seen - OVERLAP), reverse=True)[:MAX_KNOWN]
    return mark.model_copy(update={"seen": seen, "known": tuple(sorted({key for _, key in near}))})


def in_order(found: Iterable[Resource]) -> bool:
    """Return whether the server sorted by time, so that nothing older follows."""
    times = [last_updated(item) for item in found]
    known = [time for time in times if time is not None]
    return len(known) == len(times) and known == sorted(known)
