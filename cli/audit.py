"""Proves the trail: every digest computed again from the stored bytes, every chain held against the chart."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.bus import bus
from cli.stack.access import read_access
from services.approval.renditions import chart
from services.approval.renditions.make import TEXT
from services.approval.resources import Resource, chain_head_of
from shared.clinical.fhir import FhirClient
from shared.clinical.references import parse_url
from shared.contracts.envelope import chain_digest, decode
from shared.contracts.events import Approved, Filed
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
    """A filed case's Provenance carries the digest of its approval, and its document holds what was filed."""
    last = events[-1]
    try:
        filed = decode(last.subject, last.headers, last.data, last.sequence).body
    except PermanentError:
        return []  # named already
    if not isinstance(filed, Filed):
        return []
    try:
        provenance = await ehr.read("Provenance", filed.provenance)
    except Failure as failure:
        return [Fault(case_id, "filed", last.sequence, f"the EHR does not show the Provenance ({failure.reason})")]
    approval = next((item for item in reversed(events) if item.subject.endswith(".approved")), None)
    if approval is None or chain_digest(approval.headers, approval.data) != chain_head_of(provenance):
        sequence = approval.sequence if approval else last.sequence
        return [Fault(case_id, "approved", sequence, "the Provenance in the EHR carries another digest")]
    reasons = await _differing(filed, provenance, ehr)
    signed = filed.renditions.get(TEXT)
    if signed is not None and signed != _signed(approval):
        reasons.append("the text that was filed is not the one that was signed")
    return [Fault(case_id, "filed", last.sequence, reason) for reason in reasons]


def _signed(approval: Stored) -> str | None:
    """The digest that an approval signs; None where it is no approval."""
    try:
        body = decode(approval.subject, approval.headers, approval.data, approval.sequence).body
    except PermanentError:
        return None  # named already
    return body.signed if isinstance(body, Approved) else None


async def _differing(filed: Filed, provenance: Resource, ehr: FhirClient) -> list[str]:
    """What of the renditions on the trail does not stand in the chart as it was filed."""
    if not filed.renditions:
        return []  # a trail of before renditions had digests
    reasons = [] if chart.digests_in(provenance) == filed.renditions else ["the Provenance names other renditions"]
    try:
        held = chart.attachments(await ehr.read("DocumentReference", filed.document_reference))
    except Failure as failure:
        return [*reasons, f"the EHR does not show the document ({failure.reason})"]
    for content_type, digest in filed.renditions.items():
        if content_type not in held:
            reasons.append(f"the document in the EHR has no {content_type} any more")
        elif await _held_digest(held[content_type], ehr) != digest:
            reasons.append(f"the {content_type} of the document in the EHR is not what was filed")
    return reasons


async def _held_digest(attachment: Resource, ehr: FhirClient) -> str | None:
    """SHA-256 of an attachment, also where the EHR has put it into a Binary of its own; None where it is not shown."""
    if "data" in attachment:
        return chart.digest_of(attachment)
    named = parse_url(str(attachment.get("url") or ""))
    if named is None or named.type != "Binary":
        return None
    try:
        return chart.digest_of(await ehr.read("Binary", named.id))
    except Failure:
        return None
