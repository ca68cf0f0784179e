"""Compare cases with the EHR one after the other, and ask approval to reimport them; approval verifies them again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.connections import open_bus, open_ehr
from cli.errors import CommandError
from cli.reimport.candidates import all_cases, candidates
from cli.reimport.rejections import RejectedDraft, rejected_drafts
from cli.reimport.unreadable import LostHead, UnreadableCase, lost_heads, unreadable
from services.approval.ehr_tasks.task_decision import CASE_ID
from services.approval.filing.last_restore import RestoreRecord, read_last_restore
from services.approval.filing.profile_choice import Setting as WriteBackSetting
from services.approval.filing.profile_choice import choose
from services.approval.reimport.plan import VerifiedEvent, event_id
from services.approval.reimport.plans import can_be_read, plan_by_profile
from shared.clinical.fhir_client import FhirClient
from shared.contracts.corrections import Retracted
from shared.contracts.ehr import ReimportRequested
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError
from shared.contracts.events import WriteBackProfile
from shared.contracts.subjects import CaseRef, reimport_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from shared.runtime.mdm_settings import MdmSettings

REIMPORT_TIMEOUT_S = 120.0  # for approval to reimport what it was asked for
POLL_INTERVAL_S = 0.5
KINDS = {"approved": "document", "amended": "correction", "addended": "addendum", "retracted": "retraction"}

ProgressCallback = Callable[[int], None]  # cases checked


@dataclass(frozen=True, slots=True)
class MissingEntry:
    """One signed entry of a case that is missing from the event stream."""

    what: str
    signer: str
    signed_at: datetime
    document: str | None  # id of the DocumentReference
    version: str | None
    provenance: str
    event_id: str  # of the event by which it is taken over

    @classmethod
    def of(cls, found: VerifiedEvent) -> "MissingEntry":
        lost = found.lost
        filed, body = lost.filed, lost.signature
        signer = body.signer or body.by.subject
        if isinstance(body, Retracted):
            signer = f"{body.requester or body.requested_by.subject}, {signer}"
        document = None if filed.event == "retraction-filed" else filed.document_reference
        return cls(
            KINDS[body.event],
            signer,
            lost.signed_at,
            document,
            lost.document_version,
            filed.provenance,
            event_id(lost),
        )


@dataclass(slots=True)
class CaseFindings:
    """A case of which the EHR has more than the event stream."""

    case: str
    ready: list[MissingEntry]
    stopped: list[str]
    state: str = "to be taken over"  # taken over | asked for | stopped

    def as_dict(self) -> dict[str, Any]:
        lines: list[dict[str, str | None]] = [
            {
                "what": item.what,
                "signer": item.signer,
                "signed_at": item.signed_at.isoformat(),
                "document": item.document,
                "version": item.version,
                "provenance": item.provenance,
            }
            for item in self.ready
        ]
        return {"case_id": self.case, "state": self.state, "ready": lines, "stopped": self.stopped}


@dataclass(slots=True)
class ReimportResult:
    cases: list[CaseFindings] = field(default_factory=list)
    refused: list[RejectedDraft] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    unreadable: list[UnreadableCase] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Return whether nothing is left to do by hand."""
        left = self.unchecked or self.refused or self.unreadable
        return not left and all(item.state == "taken over" for item in self.cases)


class WriteBackSettings(BaseSettings):
    """The setting of approval that says how documents reach the chart."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True)

    write_back: WriteBackSetting = "fhir"


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """The folder of signed checkpoints, and the public key to verify them with."""

    folder: Path
    key: Path


async def reimport(
    data_dir: Path | None,
    cases: Sequence[str],
    request: ReimportRequested | None,
    department: str | None,
    checkpoints: CheckpointFiles | None,
    report_progress: ProgressCallback,
) -> ReimportResult:
    """Reimport `cases`, or all that the EHR has; without `request`, only report them. Raises CommandError."""
    ehr, setting = open_ehr(data_dir), WriteBackSettings().write_back
    try:
        async with open_bus(data_dir, "operator") as bus:
            profile = setting if setting != "auto" else await _chosen(ehr)
            run = Reimporter(bus, ehr, department, profile, checkpoints)
            return await run.run(cases, request, report_progress)
    finally:
        await ehr.close()


async def _chosen(ehr: FhirClient) -> WriteBackProfile:
    return choose("auto", await ehr.capabilities(), mdm=MdmSettings().configured).profile


@dataclass(frozen=True, slots=True)
class Reimporter:
    """One run. `bus` is a connection of the operator; `department` is that of cases without events.

    `profile` is that of new documents.
    """

    bus: NatsConnection
    ehr: FhirClient
    department: str | None = None
    profile: WriteBackProfile = "fhir"
    checkpoints: CheckpointFiles | None = None
    timeout_s: float = REIMPORT_TIMEOUT_S

    async def run(
        self,
        cases: Sequence[str],
        request: ReimportRequested | None,
        report_progress: ProgressCallback = lambda _: None,
    ) -> ReimportResult:
        if wrong := [case for case in cases if not CASE_ID.fullmatch(case)]:
            raise CommandError(f"{wrong[0]} is not a case id.")
        found, count = ReimportResult(), 0
        restored, heads = await self._lost()
        async for case in _unique(cases) if cases else self._all(found, heads):
            count += 1
            report_progress(count)
            history = await EventStore(self.bus, "operator").find(case)
            if not can_be_read(self.profile, history):
                left = unreadable(case, history, restored, heads.get(case))
                found.unreadable += [left] if left is not None else []
            elif (findings := await self._check(case, history)) is not None:
                found.cases.append(findings)
        if not cases:
            await self._refusals(found)
        if request is not None:
            await self._request_all(found.cases, request)
        return found

    async def _refusals(self, found: ReimportResult) -> None:
        """Add rejected drafts that were not followed by a signed one."""
        signed = {item.case for item in found.cases}
        try:
            async for item in rejected_drafts(self.ehr, EventStore(self.bus, "operator")):
                found.refused += [item] if item.case not in signed else []
        except PermanentError as error:
            found.unchecked.append(
                f"rejected drafts: the EHR does not support searching for our Tasks ({error.reason})"
            )

    async def _lost(self) -> tuple[RestoreRecord | None, dict[str, LostHead]]:
        """Return the last restore, and the ends of chains that checkpoints from after its backup prove."""
        restored = await read_last_restore(self.bus)
        if restored is None or self.checkpoints is None:
            return restored, {}
        return restored, lost_heads(self.checkpoints.folder, self.checkpoints.key, restored.backed_up)

    async def _all(self, found: ReimportResult, heads: Mapping[str, LostHead]) -> AsyncIterator[str]:
        event_store = EventStore(self.bus, "operator")
        if self.profile != "fhir":
            found.unchecked.append(
                f"cases missing from the event stream: the chart has no identifier of ours (profile {self.profile})"
            )
            async for case in all_cases(event_store):
                yield case
            for case in heads:
                if not await event_store.find(case):
                    yield case
            return
        try:
            async for case in candidates(self.ehr, event_store):
                yield case
        except PermanentError as error:
            found.unchecked.append(
                "cases missing from the event stream: the EHR does not support searching for their documents "
                f"({error.reason})"
            )
            async for case in all_cases(event_store):
                yield case

    async def _check(self, case: str, history: Sequence[RecordedEvent]) -> CaseFindings | None:
        ref = history[-1].case if history else CaseRef(self.department or "", case)
        made = await plan_by_profile(self.profile, ref, history, self.ehr, None)
        if made.ready and not ref.department:
            made.stopped.append("the event stream has no such case: give its department with --department")
        ready = [MissingEntry.of(item) for item in made.ready]
        if not ready and not made.stopped:
            return None
        return CaseFindings(case, ready, made.stopped, "stopped" if made.stopped else "to be taken over")

    async def _request_all(self, cases: Iterable[CaseFindings], request: ReimportRequested) -> None:
        """Ask for all cases, also those that cannot be verified: approval raises an alert for them."""
        body = request.model_copy(update={"department": self.department}).model_dump_json(exclude_none=True).encode()
        asked = []
        for item in cases:
            await self.bus.publish(reimport_subject(item.case), body, stream="EHR", id=str(uuid4()))
            if item.state != "stopped":
                item.state = "asked for"
                asked.append(item)
        begun = datetime.now(UTC)
        while asked and (datetime.now(UTC) - begun).total_seconds() < self.timeout_s:
            asked = [item for item in asked if not await self._is_done(item)]
            if asked:
                await asyncio.sleep(POLL_INTERVAL_S)

    async def _is_done(self, item: CaseFindings) -> bool:
        ids = {event.id for event in await EventStore(self.bus, "operator").find(item.case)}
        if all(line.event_id in ids for line in item.ready):
            item.state = "taken over"
        return item.state == "taken over"


async def _unique(cases: Iterable[str]) -> AsyncIterator[str]:
    for case in dict.fromkeys(cases):
        yield case
