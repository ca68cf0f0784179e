"""Verifications that auditors start: one at a time of all processes, their results in a bucket.

A run is a task of the process that took the request. It is not resumed: when the process stops, the run is
interrupted, and says so.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.approval.verification.verification import Verification, ended, finished, latest_first
from services.approval.verification.verifier import EventStreamVerifier
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import CountersignError, TransientError
from shared.contracts.subjects import derived_id
from shared.messaging.buckets import Bucket, KvEntry
from shared.messaging.checkpoints import Folder
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_store import Clock

logger = logging.getLogger(__name__)

BUCKET, RUNS, CURRENT = "reconciled", "verification", "verification-current"
MAX_STORED_RUNS = 50  # runs
CONCURRENCY = 2  # cases: a run takes place beside people's requests
SAVE_EVERY_S = 2.0
MAX_ATTEMPTS = 5
NO_DRAFTERS = (
    "the registry of drafters (stream DRAFTERS): this service has no right to read it; countersign audit verify does"
)
NO_CHECKPOINTS = (
    "the signed checkpoints and the access log against them: this service has no checkpoints "
    "(COUNTERSIGN_CHECKPOINT_DIR); countersign audit verify --checkpoints … --key … takes those of another machine"
)
OWN_CHECKPOINTS = (
    "whether the checkpoints were made again with this service's own key: compare with copies kept elsewhere"
)


class VerificationService:
    """Start verifications and return their results. `checkpoints`: their folder and public key; None without any."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        checkpoints: tuple[Folder, Ed25519PublicKey] | None,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._bus = bus
        self._ehr = ehr
        self._checkpoints = checkpoints
        self._clock = clock
        self._new_id = new_id
        self._bucket = Bucket(bus, BUCKET)
        self._running: dict[asyncio.Task[None], Verification] = {}

    async def start(self, by: str, case_id: str | None = None, key: str | None = None) -> Verification:
        """Start a run; return the one that is running already, or that was started with the same `key`.

        Raises TransientError.
        """
        id = derived_id(f"{by}/{key}", RUNS) if key is not None else self._new_id()
        for _ in range(MAX_ATTEMPTS):
            if key is not None and (known := await self.get(id)) is not None:
                return known
            current = await self._bucket.get(CURRENT)
            running = await self.get(current.value.decode()) if current is not None else None
            if running is not None and running.state == "running":
                return running
            now = self._clock()
            run = Verification(id=id, state="running", case_id=case_id, started_by=by, started_at=now, updated_at=now)
            if await self._claim(run, current):
                task = asyncio.create_task(self._execute(run))
                self._running[task] = run
                task.add_done_callback(lambda done: self._running.pop(done, None))
                return run
        raise TransientError("other verifications are being started")

    async def get(self, id: str) -> Verification | None:
        """Return a run as it is now; None where there is none. Raises TransientError."""
        entry = await self._bucket.get(f"{RUNS}.{id}")
        return Verification.model_validate_json(entry.value).seen_at(self._clock()) if entry is not None else None

    async def latest(self, limit: int) -> list[Verification]:
        """Return the last runs, latest first. Raises TransientError."""
        found = [Verification.model_validate_json(entry.value) async for entry in self._bucket.scan(RUNS)]
        found.sort(key=latest_first)
        return [run.seen_at(self._clock()) for run in found[:limit]]

    async def stop(self) -> None:
        """Interrupt what runs in this process."""
        for task, run in tuple(self._running.items()):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if task.cancelled():
                await self._end(ended(run, "interrupted", "the process was stopped", self._clock()))

    async def _claim(self, run: Verification, current: KvEntry | None) -> bool:
        """Store the run as the current one; return False where another one was first."""
        await self._save(run)
        try:
            await self._bucket.put(CURRENT, run.id.encode(), revision=current.revision if current is not None else 0)
        except WrongSequenceError:
            await self._bucket.delete(f"{RUNS}.{run.id}")
            return False
        for old in (await self.latest(1000))[MAX_STORED_RUNS:]:
            await self._bucket.delete(f"{RUNS}.{old.id}")
        return True

    async def _execute(self, run: Verification) -> None:
        progress = {"read": 0, "total": 0}

        def report(read: int, total: int) -> None:
            progress.update(read=read, total=total)

        saving = asyncio.create_task(self._save_periodically(run, progress))
        try:
            result = await self._verify(run, report)
        except CountersignError as failure:
            result = ended(run, "failed", failure.reason, self._clock())
        except Exception as failure:
            logger.exception("a verification failed")
            result = ended(run, "failed", f"an unexpected error ({type(failure).__name__})", self._clock())
        finally:
            saving.cancel()
        with suppress(asyncio.CancelledError):
            await saving
        await self._end(result)

    async def _end(self, result: Verification) -> None:
        try:
            await self._save(result)
        except CountersignError as failure:
            logger.warning("the result of a verification was not stored: %s", failure.reason)

    async def _verify(self, run: Verification, report: Callable[[int, int], None]) -> Verification:
        audit = EventStreamVerifier(self._bus, self._ehr, self._checkpoints, drafters=False, concurrency=CONCURRENCY)
        found = await (audit.all(report) if run.case_id is None else audit.one(run.case_id))
        unchecked = [OWN_CHECKPOINTS if self._checkpoints is not None else NO_CHECKPOINTS]
        if run.case_id is None:
            unchecked.append(NO_DRAFTERS)
        return finished(run, found, unchecked, self._clock())

    async def _save_periodically(self, run: Verification, progress: dict[str, int]) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            at = {"read": progress["read"], "total": progress["total"] or None, "updated_at": self._clock()}
            try:
                await self._save(run.model_copy(update=at))
            except CountersignError as failure:
                logger.warning("the progress of a verification was not stored: %s", failure.reason)

    async def _save(self, run: Verification) -> None:
        await self._bucket.put(f"{RUNS}.{run.id}", run.model_dump_json().encode())
