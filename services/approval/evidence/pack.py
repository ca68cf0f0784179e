"""The files of an evidence pack, from what was gathered of a case. Pure."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from services.approval.case_verification.chart import FiledSignature
from shared.contracts.corrections import Retracted
from shared.contracts.envelope import CHAINED_HEADERS, RecordedEvent, chain_digest
from shared.contracts.events import Filed, Signature
from shared.messaging.event_store import RawMessage

HERE = Path(__file__).parent
FORMAT = "countersign-evidence/1"
EPOCH = (1980, 1, 1, 0, 0, 0)  # of the files in the zip: the same pack is the same bytes
SUFFIXES = {"text/plain": "txt", "application/pdf": "pdf", "application/fhir+json": "json"}


@dataclass(frozen=True, slots=True)
class Rendition:
    """A document that was filed. `content` None: the reader of the pack may not read it, or it is not kept."""

    sequence: int
    content_type: str
    digest: str
    content: bytes | None

    @property
    def file(self) -> str:
        return f"renditions/{self.sequence}-{self.digest[:12]}.{SUFFIXES.get(self.content_type, 'bin')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackContents:
    """What was gathered of a case. `provenances`: sequence of the filing → resource, or the reason why there is none.

    `proof`: the inclusion proof and the PEM of the public key; None where no checkpoint covers the case.
    """

    case: str
    made_at: datetime
    made_by: str
    role: str
    includes_texts: bool  # the contents of documents are included
    events: Sequence[RawMessage]
    history: Sequence[RecordedEvent]
    filings: Sequence[FiledSignature]
    provenances: Mapping[int, dict[str, Any] | str]
    renditions: Sequence[Rendition]
    verification: Mapping[str, Any]
    proof: tuple[Mapping[str, Any], bytes] | None
    missing: list[str] = field(default_factory=list)


def write_zip(found: PackContents) -> bytes:
    """Return the pack as a zip, below a folder with the name of the case."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files_of(found).items():
            archive.writestr(zipfile.ZipInfo(f"evidence-{found.case}/{name}", EPOCH), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def files_of(found: PackContents) -> dict[str, bytes]:
    """Return name → content of every file."""
    files = {
        "README.txt": (HERE / "README.txt").read_bytes(),
        "verify.py": (HERE / "verify.py").read_bytes(),
        "manifest.json": _json(_manifest(found)),
        "events.jsonl": b"".join(_line(item) for item in found.events),
        "digests.json": _json(_digests(found)),
        "signature.json": _json(_signatures(found)),
        "provenance.json": _json([_provenance(number, item) for number, item in found.provenances.items()]),
        "renditions.json": _json([_rendition(item) for item in found.renditions]),
        "verification.json": _json(found.verification),
    }
    files |= {item.file: item.content for item in found.renditions if item.content is not None}
    if found.proof is not None:
        files["checkpoint.json"], files["checkpoint-key.pem"] = _json(found.proof[0]), found.proof[1]
    files["SHA256SUMS"] = _sums(files)
    return files


def _manifest(found: PackContents) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "case": found.case,
        "made_at": found.made_at.isoformat(),
        "made_by": found.made_by,
        "role": found.role,
        "texts": found.includes_texts,
        "checkpoint": found.proof is not None,
        "not_included": found.missing,
    }


def _line(item: RawMessage) -> bytes:
    """Return a line of canonical JSON: sorted keys, no spaces."""
    headers = {name: item.headers[name] for name in CHAINED_HEADERS if name in item.headers}
    line: dict[str, Any] = {"sequence": item.sequence, "subject": item.subject, "headers": headers}
    try:
        line["data"] = item.data.decode()
    except UnicodeDecodeError:
        line["data_base64"] = base64.b64encode(item.data).decode()
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _digests(found: PackContents) -> dict[str, Any]:
    events = [
        {
            "sequence": item.sequence,
            "event": item.subject.rpartition(".")[2],
            "digest": chain_digest(item.headers, item.data),
        }
        for item in found.events
    ]
    return {"events": events, "filings": [_filing(item) for item in found.filings]}


def _filing(item: FiledSignature) -> dict[str, Any]:
    """Return what was filed. `signature`: sequence of its event; null where that was lost in a restore."""
    lost = item.filed.name == "reimported" or item.signature is None
    return {
        "sequence": item.filed.head.sequence,
        "signature": None if lost or item.signature is None else item.signature.head.sequence,
        "document_reference": item.body.document_reference if isinstance(item.body, Filed) else None,
        "provenance": item.body.provenance,
        "renditions": item.body.renditions if isinstance(item.body, Filed) else {},
    }


def _signatures(found: PackContents) -> list[dict[str, Any]]:
    """Return the signatures and retractions, as they are stored."""
    signed = {item.head.sequence: item for item in found.history if isinstance(item.body, Signature | Retracted)}
    return [_signature(item, signed[item.sequence]) for item in found.events if item.sequence in signed]


def _signature(item: RawMessage, event: RecordedEvent) -> dict[str, Any]:
    body = json.loads(item.data)
    copied = {name: body[name] for name in ("signed", "by", "signer", "edited", "channel") if name in body}
    place = {"sequence": item.sequence, "event": event.name, "time": item.headers["ce-time"]}
    return place | {"digest": event.head.digest} | copied


def _provenance(sequence: int, item: dict[str, Any] | str) -> dict[str, Any]:
    if isinstance(item, str):
        return {"sequence": sequence, "resource": None, "reason": item}
    return {"sequence": sequence, "resource": item, "reason": None}


def _rendition(item: Rendition) -> dict[str, Any]:
    found = {"sequence": item.sequence, "content_type": item.content_type, "sha256": item.digest}
    return found | {"file": item.file if item.content is not None else None}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str).encode() + b"\n"


def _sums(files: Mapping[str, bytes]) -> bytes:
    lines: Iterable[str] = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    return "".join(lines).encode()
