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
from shared.clinical.fhir import FhirClient, NotFoundError
from shared.clinical.references import parse_url
from shared.contracts.case import CONSUMED
from shared.contracts.corrections import Retracted, RetractionFiled
from shared.contracts.envelope import chain_digest, decode
from shared.contracts.events import Filed, Signature
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
    """Each Provenance carries the digest of what somebody signed, and each document holds what was filed."""
    faults: list[Fault] = []
    signature: Stored | None = None
    for item in events:
        name = parse_case_subject(item.subject)[1]
        if name in CONSUMED["file"]:
            signature = item
        if name not in ("filed", "retraction-filed"):
            continue
        try:
            body = decode(item.subject, item.headers, item.data, item.sequence).body
        except PermanentError:
            continue  # named already
        if isinstance(body, Filed | RetractionFiled):
            faults += await _filing(case_id, item, body, signature, ehr)
    return faults


async def _filing(
    case_id: str, item: Stored, filed: Filed | RetractionFiled, signature: Stored | None, ehr: FhirClient
) -> list[Fault]:
    """What does not hold of one filing, which `signature` led to."""
    try:
        provenance = await ehr.read("Provenance", filed.provenance)
    except Failure as failure:
        reason = f"the EHR does not show the Provenance ({failure.reason})"
        return [Fault(case_id, filed.event, item.sequence, reason)]
    if signature is None or chain_digest(signature.headers, signature.data) != chain_head_of(provenance):
        at = signature or item
        reason = "the Provenance in the EHR carries another digest"
        return [Fault(case_id, parse_case_subject(at.subject)[1], at.sequence, reason)]
    if isinstance(filed, RetractionFiled):
        reasons = await _standing(signature, ehr)
    else:
        reasons = await _differing(filed, provenance, ehr)
        signed = filed.renditions.get(TEXT)
        if signed is not None and signed != _signed(signature):
            reasons.append("the text that was filed is not the one that was signed")
    return [Fault(case_id, filed.event, item.sequence, reason) for reason in reasons]


async def _standing(retraction: Stored, ehr: FhirClient) -> list[str]:
    """What stands in the chart though it was retracted. A document that was deleted there does not."""
    try:
        body = decode(retraction.subject, retraction.headers, retraction.data, retraction.sequence).body
    except PermanentError:
        return []  # named already
    reasons: list[str] = []
    for id in body.documents if isinstance(body, Retracted) else ():
        try:
            status = (await ehr.read("DocumentReference", id)).get("status")
        except NotFoundError:
            continue
        except Failure as failure:
            reasons.append(f"the EHR does not show a document that was retracted ({failure.reason})")
            continue
        if status != "entered-in-error":
            reasons.append("a document that was retracted is not entered in error in the EHR")
    return reasons


def _signed(signature: Stored) -> str | None:
    """The digest that a signature signs; None where it is none."""
    try:
        body = decode(signature.subject, signature.headers, signature.data, signature.sequence).body
    except PermanentError:
        return None  # named already
    return body.signed if isinstance(body, Signature) else None


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
