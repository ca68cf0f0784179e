"""Proves the trail: every digest computed again from the stored bytes, every chain held against the chart."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.bus import bus
from cli.stack.access import read_access
from services.approval.resources import chain_head_of
from shared.clinical.fhir import FhirClient
from shared.contracts.envelope import chain_digest, decode
from shared.contracts.events import Filed
from shared.contracts.failures import Failure, PermanentError
from shared.contracts.subjects import parse_case_subject
from shared.messaging.journal import Journal, Stored
from shared.runtime.settings import EhrSettings


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not hold."""

    case: str
    event: str
    sequence: int
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and what did not hold."""

    cases: int
    events: int
    faults: tuple[Fault, ...]

    @property
    def verified(self) -> bool:
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self)
        return {"verified": self.verified, **found, "faults": [asdict(fault) for fault in self.faults]}


async def verify(data_dir: Path, case: str | None) -> Report:
    """Verify one case, or all of them.

    Raises CommandError when no stack runs, PermanentError when there is no such case.
    """
    access = read_access(data_dir)
    async with bus(data_dir, "auditor") as connection:
        stored = await Journal(connection, "auditor").stored(f"discharge.*.{case or '*'}.*")
    if case is not None and not stored:
        raise PermanentError("there is no such case")
    settings = EhrSettings(url=access.ehr_url)  # the token, where the EHR wants one, is in the environment
    ehr = settings.connect()
    try:
        return await verify_stored(stored, ehr)
    finally:
        await ehr.close()


async def verify_stored(stored: Sequence[Stored], ehr: FhirClient) -> Report:
    """The report about messages as the stream holds them, in stream order."""
    cases: dict[str, list[Stored]] = {}
    for item in stored:
        cases.setdefault(parse_case_subject(item.subject)[0].id, []).append(item)
    faults: list[Fault] = []
    for case_id, events in cases.items():
        faults += _broken(case_id, events)
        faults += await _against_chart(case_id, events, ehr)
    return Report(len(cases), len(stored), tuple(faults))


def _broken(case_id: str, events: Sequence[Stored]) -> list[Fault]:
    """Events that do not follow from the one before them, or are no events at all."""
    faults: list[Fault] = []
    previous = ""
    for item in events:
        name = parse_case_subject(item.subject)[1]
        try:
            decode(item.subject, item.headers, item.data, item.sequence)
        except PermanentError as error:
            faults.append(Fault(case_id, name, item.sequence, error.reason))
        if item.headers.get("ce-prevdigest", "") != previous:
            reason = "it does not carry the digest of the event before it: one of the two was changed"
            faults.append(Fault(case_id, name, item.sequence, reason))
        previous = chain_digest(item.headers, item.data)
    return faults


async def _against_chart(case_id: str, events: Sequence[Stored], ehr: FhirClient) -> list[Fault]:
    """A filed case's Provenance carries the digest of its approval."""
    last = events[-1]
    try:
        filed = decode(last.subject, last.headers, last.data, last.sequence).body
    except PermanentError:
        return []  # named already
    if not isinstance(filed, Filed):
        return []
    try:
        head = chain_head_of(await ehr.read("Provenance", filed.provenance))
    except Failure as failure:
        return [Fault(case_id, "filed", last.sequence, f"the EHR does not show the Provenance ({failure.reason})")]
    approval = next((item for item in reversed(events) if item.subject.endswith(".approved")), None)
    if approval is None or chain_digest(approval.headers, approval.data) != head:
        sequence = approval.sequence if approval else last.sequence
        return [Fault(case_id, "approved", sequence, "the Provenance in the EHR carries another digest")]
    return []
